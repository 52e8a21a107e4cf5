import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Fault } from '../fault/fault.ts';

/** What the supervisor writes down while it runs, for `status`, `down` and `enter`. */
export interface SupervisorRecord {
  readonly pid: number;
  /** When the process began, in clock ticks since boot (proc(5), field 22): tells it from a later one with its pid. */
  readonly startTime: string;
  /** The process whose namespaces hold the cluster. */
  readonly cagePid: number;
  readonly port: number;
  /** Whether the cage has a user namespace of its own. */
  readonly privilege: 'root' | 'user';
  readonly nodes: readonly string[];
  readonly profile: string;
}

/** `$XDG_STATE_HOME/fairlead`, or the default of the XDG base directory specification. */
export function defaultDataFolder(): string {
  return join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'fairlead');
}

/**
 * The folder that outlives a cluster: objects, certificates, kubeconfig, logs, and who holds it.
 * One supervisor holds a folder at a time; a record left by a killed one is seen as such and replaced.
 */
export class DataFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
    try {
      mkdirSync(join(this.path, 'logs'), { recursive: true, mode: 0o700 });
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      const cure = 'name one of yours with --data';
      throw new Fault('FE006', `the data folder ${this.path} cannot be made: ${why}`, cure, { cause: error });
    }
  }

  get kubeconfig(): string {
    return join(this.path, 'kubeconfig');
  }

  log(name: string): string {
    return join(this.path, 'logs', `${name}.log`);
  }

  /** Opens a log for appending; past `limit` bytes the old one is kept aside once. */
  openLog(name: string, limit = 8 << 20): number {
    const file = this.log(name);
    if (existsSync(file) && statSync(file).size > limit) renameSync(file, `${file}.1`);
    return openSync(file, 'a', 0o600);
  }

  /** The living supervisor of this folder, if any. */
  holder(): SupervisorRecord | undefined {
    if (!existsSync(this.#record)) return undefined;
    const record = JSON.parse(readFileSync(this.#record, 'utf8')) as SupervisorRecord;
    return startTimeOf(record.pid) === record.startTime ? record : undefined;
  }

  /** The living supervisor. Throws {@link Fault} FE010 if there is none. */
  running(): SupervisorRecord {
    const holder = this.holder();
    if (holder !== undefined) return holder;
    throw new Fault('FE010', `no cluster runs in ${this.path}`, 'start one with: fairlead up');
  }

  /**
   * Waits, for less than a second, until the clock shows another second than at the last write of an earlier run. Times in
   * the API are whole seconds, and what that run left must be told from what the next one makes.
   */
  async untilLater(): Promise<void> {
    const files = ['objects.db', 'objects.db-wal'].map((name) => join(this.path, name));
    const written = Math.max(
      0,
      ...files.filter((file) => existsSync(file)).map((file) => statSync(file).mtimeMs),
    );
    const nextSecond = (Math.floor(written / 1000) + 1) * 1000;
    // A timer may fire a little before its time: it counts by another clock than Date.
    for (let left = nextSecond - Date.now(); left > 0 && left <= 1000; left = nextSecond - Date.now()) {
      await delay(left);
    }
  }

  /** Throws {@link Fault} FE009 while another supervisor lives. */
  claim(): void {
    const holder = this.holder();
    if (holder === undefined) return;
    const cure = `use it, or end it with: fairlead down --data ${this.path}`;
    throw new Fault('FE009', `the cluster in ${this.path} already runs (process ${holder.pid})`, cure);
  }

  record(rest: Omit<SupervisorRecord, 'pid' | 'startTime'>): void {
    const startTime = startTimeOf(process.pid) ?? '';
    const record: SupervisorRecord = { pid: process.pid, startTime, ...rest };
    writeFileSync(`${this.#record}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${this.#record}.new`, this.#record);
  }

  release(): void {
    rmSync(this.#record, { force: true });
  }

  get #record(): string {
    return join(this.path, 'supervisor.json');
  }
}

/** Field 22 of /proc/PID/stat; the second field holds spaces and brackets, so count from its closing one. */
export function startTimeOf(pid: number): string | undefined {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return undefined;
  const stat = readFileSync(file, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
