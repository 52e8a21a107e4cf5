import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataFolder } from '../src/cluster/data-folder.ts';
import { Exec, type Output, type Running } from '../src/exec/exec.ts';
import { cagePlace } from '../src/lab/cage.ts';
import { Kubectl, NEWEST } from './kubectl.ts';
import { up } from './supervisor.ts';

const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** A cluster that a test file has for itself, and its parts within reach. */
export class Stand {
  readonly data: DataFolder;
  readonly #folder: string;
  readonly #args: readonly string[];
  #supervisor: Running;

  private constructor(folder: string, data: DataFolder, supervisor: Running, args: readonly string[]) {
    this.#folder = folder;
    this.data = data;
    this.#supervisor = supervisor;
    this.#args = args;
  }

  /** @param args of `fairlead up` */
  static async up(...args: string[]): Promise<Stand> {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-stand-'));
    const data = new DataFolder(join(folder, 'data'));
    return new Stand(folder, data, await up(data.path, ...args), args);
  }

  /** Kills the supervisor, and with it everything, and starts it anew on what is stored. */
  async crash(): Promise<void> {
    this.#supervisor.kill('SIGKILL');
    await this.#supervisor.ended;
    this.#supervisor = await up(this.data.path, ...this.#args);
  }

  async down(): Promise<void> {
    this.#supervisor.kill('SIGTERM');
    await this.#supervisor.ended;
    rmSync(this.#folder, { recursive: true });
  }

  /** The newest kubectl, in a namespace that it makes. */
  async kubectl(namespace: string): Promise<Kubectl> {
    const kubectl = new Kubectl({
      version: NEWEST,
      kubeconfig: this.data.kubeconfig,
      namespace,
      cache: join(this.#folder, 'cache'),
    });
    await kubectl.ok('create', 'namespace', namespace);
    return kubectl;
  }

  /** Commands on a host: a node, `external`, `router`, `control-plane`. */
  at(host: string): Exec {
    const { cagePid, privilege } = this.data.running();
    return new Exec(cagePlace(cagePid, privilege, host));
  }

  /** curl on a host; any exit code (7 is refused, 28 is past the bound). */
  curl(host: string, url: string, ...args: string[]): Promise<Output> {
    const all = ['-sS', '--max-time', '5', ...args, url];
    return this.at(host).run({ file: 'curl', args: all, accept: ANY_CODE });
  }

  /** The number, on this host, of a daemon by its name in the data folder's logs (`proxy-n1`); undefined while none runs. */
  daemon(name: string): number | undefined {
    const space = (pid: number | string) => readlinkSync(`/proc/${pid}/ns/pid`);
    const cage = space(this.data.running().cagePid);
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .find((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
          return (
            words[0]?.endsWith('/node') && words.includes(`/run/fairlead/${name}.json`) && space(pid) === cage
          );
        } catch (error) {
          // It ended between the listing and the look.
          if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
          throw error;
        }
      });
  }
}
