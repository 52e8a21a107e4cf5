import { setTimeout as delay } from 'node:timers/promises';
import { Exec, type Output } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { Terminal } from './terminal.ts';

export interface StageOptions {
  readonly kubectl: string;
  readonly kubeconfig: string;
  /** Folder of the manifests, where a reader can repeat the commands. */
  readonly folder: string;
  /** What the reader sees. */
  readonly print: (text: string) => void;
}

/** What a check found; a tour holds when all its checks do. */
export interface Finding {
  readonly what: string;
  readonly held: boolean;
}

/** Runs what the tour shows, as the reader would, prints it, and keeps count of what held. */
export class Stage {
  readonly findings: Finding[] = [];
  readonly #options: StageOptions;
  readonly #exec = new Exec();

  constructor(options: StageOptions) {
    this.#options = options;
  }

  title(text: string): void {
    this.#options.print(`\n── ${text}\n`);
  }

  /** Shows and runs `kubectl ARGS`; gives what it printed. A failing command is a failed check, not the end. */
  async kubectl(...args: string[]): Promise<string> {
    this.#options.print(`$ kubectl ${args.map(quoted).join(' ')}\n`);
    const output = await this.quiet(...args);
    this.#options.print(indent(output.stdout + output.stderr));
    if (output.code !== 0) this.check(`kubectl ${args[0]} succeeds`, false, `exit code ${output.code}`);
    return output.stdout;
  }

  /** Runs kubectl without showing it: for what the tour needs to know and the reader does not. */
  quiet(...args: string[]): Promise<Output> {
    return this.#exec.run({
      file: this.#options.kubectl,
      args,
      env: this.#env,
      cwd: this.#options.folder,
      timeoutMs: 60_000,
      accept: Array.from({ length: 256 }, (_, code) => code),
    });
  }

  /** Objects of a kind, by `kubectl get -o json`. */
  async objects<T>(...args: string[]): Promise<T[]> {
    const { stdout, stderr, code } = await this.quiet('get', ...args, '-o', 'json');
    if (code !== 0)
      throw new Fault('FE002', `kubectl get ${args.join(' ')}: ${stderr.trim()}`, 'see its message');
    const parsed = JSON.parse(stdout) as { items?: T[] } & T;
    return parsed.items ?? [parsed];
  }

  /** Shows and runs a command that is not kubectl, at a place of the cluster. */
  async at(exec: Exec, shown: string, file: string, ...args: string[]): Promise<string> {
    this.#options.print(`$ ${shown}\n`);
    const output = await exec.run({ file, args, accept: Array.from({ length: 256 }, (_, code) => code) });
    this.#options.print(indent(firstLines(output.stdout, 6) + output.stderr));
    return output.stdout;
  }

  /** Opens a shell in a pod with `kubectl ARGS`, types the lines, and gives what each printed. */
  async shell(args: readonly string[], lines: readonly string[]): Promise<string[]> {
    this.#options.print(`$ kubectl ${args.join(' ')}\n`);
    const terminal = Terminal.open(this.#options.kubectl, args, this.#env, this.#options.folder);
    const printed: string[] = [];
    try {
      await terminal.prompt();
      for (const line of lines) {
        const output = await terminal.type(line);
        this.#options.print(`  / # ${line}\n${indent(firstLines(output, 12))}`);
        printed.push(output);
      }
      const code = await terminal.leave();
      this.check('the shell ends with the exit code of its last command', code === 0, `exit code ${code}`);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.check('the shell in the pod answers', false, error.message);
      terminal.close();
    }
    return printed;
  }

  check(what: string, held: boolean, found = ''): void {
    this.findings.push({ what, held });
    const detail = held || found === '' ? '' : `\n    found: ${found.trim().replaceAll('\n', '\n    ')}`;
    this.#options.print(`  ${held ? '✓' : '✗'} ${what}${detail}\n`);
  }

  /** Asks again until the answer satisfies, for states that come by themselves; the last answer is given. */
  async until<T>(ask: () => Promise<T>, satisfies: (answer: T) => boolean, boundMs = 20_000): Promise<T> {
    const end = performance.now() + boundMs;
    for (;;) {
      const answer = await ask();
      if (satisfies(answer) || performance.now() > end) return answer;
      await delay(100);
    }
  }

  get #env(): Record<string, string> {
    return { KUBECONFIG: this.#options.kubeconfig };
  }
}

/** As a reader would type it into a shell. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

const indent = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line === '' ? line : `  ${line}`))
    .join('\n')
    .replace(/([^\n])$/, '$1\n');

function firstLines(text: string, most: number): string {
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.length <= most ? text : `${lines.slice(0, most).join('\n')}\n...\n`;
}
