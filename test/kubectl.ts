import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Terminal } from '../src/cli/tour/terminal.ts';
import { Exec, type Output, type Running } from '../src/exec/exec.ts';

/** Every kubectl the API server is held to. */
export const VERSIONS = ['1.28', '1.29', '1.30', '1.31', '1.32', '1.33'] as const;
export const NEWEST = '1.33';

const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);
const BOUND_MS = 60_000;

export interface KubectlOptions {
  readonly version: string;
  readonly kubeconfig: string;
  readonly namespace: string;
  /** A folder of its own for discovery's cache: versions must not profit from each other. */
  readonly cache: string;
}

export interface Call {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Where the package google-cloud-cli-kubectl puts each version. Throws if it is missing: no version is left out in silence. */
export function kubectlOf(version: string): string {
  const file = `/usr/lib/google-cloud-sdk/bin/kubectl.${version}`;
  if (!existsSync(file)) throw new Error(`${file} is missing: install google-cloud-cli-kubectl`);
  return file;
}

/** A real kubectl of one version, at one cluster and in one namespace. */
export class Kubectl {
  readonly namespace: string;
  readonly #file: string;
  readonly #flags: readonly string[];
  readonly #env: Record<string, string>;

  constructor(options: KubectlOptions) {
    this.namespace = options.namespace;
    this.#file = kubectlOf(options.version);
    this.#flags = [`--namespace=${options.namespace}`, `--cache-dir=${options.cache}`];
    this.#env = { KUBECONFIG: options.kubeconfig, NO_PROXY: '127.0.0.1' };
  }

  /** The same with other flags before every command, such as another namespace. */
  run(args: readonly string[], call: Call = {}): Promise<Output> {
    return new Exec().run({
      file: this.#file,
      args: [...this.#flags, ...args],
      stdin: call.stdin ?? '',
      env: { ...this.#env, ...call.env },
      timeoutMs: call.timeoutMs ?? BOUND_MS,
      accept: ANY_CODE,
    });
  }

  /** Standard output of a command that succeeds; one that does not throws what it said. */
  async ok(...args: string[]): Promise<string> {
    return this.#stdout(args, await this.run(args));
  }

  /** The same with a manifest (an object or YAML) on standard input. */
  async send(args: readonly string[], manifest: string | readonly object[]): Promise<string> {
    const stdin = typeof manifest === 'string' ? manifest : JSON.stringify(listOf(manifest));
    return this.#stdout(args, await this.run(args, { stdin }));
  }

  /** `get -o json`. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok('get', ...args, '-o', 'json')) as T;
  }

  /** Runs in the shell of a pod; any exit code. */
  shell(pod: string, script: string, timeoutMs = BOUND_MS): Promise<Output> {
    return this.run(['exec', pod, '--', 'sh', '-c', script], { timeoutMs });
  }

  /** As a person at a terminal. */
  terminal(...args: string[]): Terminal {
    return Terminal.open(this.#file, [...this.#flags, ...args], this.#env, '/tmp');
  }

  /** A command that stays, and the lines it prints. */
  async follow(...args: string[]): Promise<Following> {
    const running = await new Exec().start(this.#file, [...this.#flags, ...args], {
      env: this.#env,
      stdout: 'pipe',
      stderr: 'pipe',
    });
    return new Following(running, args.join(' '));
  }

  #stdout(args: readonly string[], { code, stdout, stderr }: Output): string {
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
    return stdout;
  }
}

const listOf = (items: readonly object[]) => ({ apiVersion: 'v1', kind: 'List', items });

/** A kubectl that stays (`-f`, `-w`, port-forward) and what it has printed so far. */
export class Following implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #running: Running;
  readonly #name: string;
  #changed = Promise.withResolvers<void>();

  constructor(running: Running, name: string) {
    this.#running = running;
    this.#name = name;
    for (const stream of [running.stdout, running.stderr]) {
      if (stream === null) throw new Error('a pipe was asked for');
      createInterface(stream).on('line', (line) => {
        this.lines.push(line);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      });
    }
  }

  get ended() {
    return this.#running.ended;
  }

  /** The match of the first line that has it, printed before or yet to come. */
  async line(pattern: RegExp, boundMs = 20_000): Promise<RegExpExecArray> {
    const bound = delay(boundMs, 'late' as const, { ref: false });
    for (;;) {
      const changed = this.#changed.promise;
      for (const line of this.lines) {
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
      if ((await Promise.race([changed, bound])) === 'late') {
        const said = this.lines.slice(-10).join('\n');
        throw new Error(
          `waited ${boundMs} ms for ${pattern} from 'kubectl ${this.#name}'; it said:\n${said}`,
        );
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running.kill('SIGINT');
    await this.#running.ended;
  }
}
