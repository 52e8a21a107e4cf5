/**
 * Containers of one node as processes: images and what they stand for, root filesystems, OCI configurations, crun and conmon,
 * logs in CRI's format and their rotation. It knows nothing of pods or of the API.
 */
import {
  existsSync,
  type FSWatcher,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '../../client/clock.ts';
import { Exec, type Output } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import type { Log } from '../../fault/log.ts';
import type { ContainerExit, ContainerRecord } from './container-record.ts';

/** A container to run: its record, its config.json, and the folder that {@link ContainerRuntime.prepare} gave. */
export interface ContainerStart {
  readonly record: ContainerRecord;
  readonly config: unknown;
  /** Whether the first client that attaches and leaves closes the container's standard input. */
  readonly stdinOnce: boolean;
}

/** As much of a container's config.json as a further process in it needs. */
interface ContainerProcess {
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number };
}

export interface RuntimeOptions {
  readonly runtimeDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Every code a process can end with: for commands whose exit code is the answer. */
const ANY_CODE: readonly number[] = Array.from({ length: 256 }, (_, code) => code);
const CHECK_EVERY_MS = 10_000;

/**
 * Containers by crun, each watched by a conmon of its own.
 *
 * Promises: a container runs on when this process dies; conmon keeps its log, its standard input and, when it ends, its
 * exit code; {@link open} adopts what an earlier agent left. Everything is below the runtime folder.
 * Refuses: cgroups. A lab on a shared machine may have none to write to.
 */
export class ContainerRuntime {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #exec = new Exec();
  readonly #records = new Map<string, ContainerRecord>();
  readonly #listeners = new Set<(record: ContainerRecord) => void>();
  #crun = 'crun';
  #conmon = 'conmon';
  #watcher: FSWatcher | undefined;
  #stopChecks: (() => void) | undefined;

  constructor(options: RuntimeOptions) {
    this.#dir = options.runtimeDir;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Finds the tools and adopts the containers of an earlier agent. Throws {@link Fault} FE001 when a tool is missing. */
  async open(): Promise<void> {
    this.#crun = programPath('crun');
    this.#conmon = programPath('conmon');
    for (const folder of ['containers', 'exits', 'sockets', 'crun']) {
      mkdirSync(join(this.#dir, folder), { recursive: true });
    }
    this.#watcher = watch(join(this.#dir, 'exits'), (_event, name) => {
      if (name !== null) this.#lookAtExit(name);
    });
    for (const id of readdirSync(join(this.#dir, 'containers'))) await this.#adopt(id);
    this.#scheduleCheck();
  }

  /** Stops watching. Containers run on. */
  close(): void {
    this.#watcher?.close();
    this.#stopChecks?.();
  }

  /** `crun://1.8.1`, as a Node reports it. */
  async version(): Promise<string> {
    const { stdout } = await this.#exec.run({ file: this.#crun, args: ['--version'] });
    return `crun://${/version (\S+)/.exec(stdout)?.[1] ?? 'unknown'}`;
  }

  /** Told when a container ends. Returns what ends the subscription. */
  onExit(listener: (record: ContainerRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  records(): IterableIterator<ContainerRecord> {
    return this.#records.values();
  }

  get(id: string): ContainerRecord | undefined {
    return this.#records.get(id);
  }

  folder(id: string): string {
    return join(this.#dir, 'containers', id);
  }

  /** The CRI log file of a container; the one rotated away before it has `.1` behind its name. */
  logFile(id: string): string {
    return join(this.folder(id), 'log');
  }

  /** conmon's attach socket, of type SOCK_SEQPACKET. */
  attachSocket(id: string): string {
    return join(this.#dir, 'sockets', id, 'attach');
  }

  /** The container's own folder, made. */
  prepare(id: string): string {
    mkdirSync(this.folder(id), { recursive: true });
    return this.folder(id);
  }

  /** Runs a container. When crun refuses it, the record given back has ended with StartError and crun's words. */
  async start(start: ContainerStart): Promise<ContainerRecord> {
    const { id } = start.record;
    writeFileSync(join(this.folder(id), 'config.json'), JSON.stringify(start.config));
    this.#keep(start.record);
    try {
      await this.#create(start);
      await this.#run('start', id);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      await this.#forget(id);
      return this.#ended(id, { code: 128, reason: 'StartError', message: error.message });
    }
    this.#keep({ ...start.record, startedAt: this.#clock.now() });
    // A short command may have ended before its start was noted.
    this.#lookAtExit(id);
    return this.#records.get(id) ?? start.record;
  }

  /** conmon goes on by itself; file descriptor 3 tells when the container exists (conmon(8), _OCI_SYNCPIPE). */
  async #create(start: ContainerStart): Promise<void> {
    const { id, tty, stdin } = start.record;
    const dir = this.folder(id);
    const args = [
      ...['--cid', id, '--cuuid', id, '--name', id],
      ...['--runtime', this.#crun, '--bundle', dir],
      ...['--container-pidfile', join(dir, 'pidfile'), '--conmon-pidfile', join(dir, 'conmon.pid')],
      ...['--exit-dir', join(this.#dir, 'exits'), '--socket-dir-path', join(this.#dir, 'sockets')],
      ...['--log-path', `k8s-file:${this.logFile(id)}`, '--log-level', 'error'],
      ...this.#crunOptions().map((option) => `--runtime-arg=${option}`),
      ...(tty ? ['--terminal'] : []),
      ...(stdin ? ['--stdin'] : []),
      ...(stdin && !start.stdinOnce ? ['--leave-stdin-open'] : []),
    ];
    const conmon = await this.#exec.start(this.#conmon, args, { report: true, env: { _OCI_SYNCPIPE: '3' } });
    const report = conmon.report === null ? '' : await firstLine(conmon.report);
    const { pid = -1, message = '' } = reportOf(report);
    if (pid > 0) return;
    throw new Fault('FE002', message.trim() || `conmon gave no process for ${id}`, 'see its message');
  }

  /** Sends a signal to the container's first process; nothing happens when it has ended. */
  async signal(id: string, signal: NodeJS.Signals): Promise<void> {
    try {
      await this.#run('kill', id, signal);
    } catch (error) {
      if (this.#records.get(id)?.exit === undefined && this.#isAlive(id)) throw error;
    }
  }

  /** Takes a container away with its folder, ending it if need be. */
  async remove(id: string): Promise<void> {
    await this.#forget(id);
    this.#records.delete(id);
    for (const path of [`exits/${id}`, `sockets/${id}`, `containers/${id}`]) {
      rmSync(join(this.#dir, path), { recursive: true, force: true });
    }
  }

  /** Runs a command in a container to its end. */
  exec(id: string, argv: readonly string[], timeoutMs: number): Promise<Output> {
    const { file, args } = this.execCommand(id, argv, false);
    return this.#exec.run({ file, args, timeoutMs, accept: ANY_CODE });
  }

  /** The command that runs another one in a container, with the container's own environment, user and folder. */
  execCommand(id: string, argv: readonly string[], tty: boolean): { file: string; args: readonly string[] } {
    const { env, cwd, user } = this.#process(id);
    // crun would take root and `/`; and one --env makes it forget those of the container, so TERM brings them all along.
    const as = [`--user=${user.uid}:${user.gid}`, `--cwd=${cwd}`];
    const terminal = tty ? ['--tty', ...[...env, 'TERM=xterm'].map((one) => `--env=${one}`)] : [];
    return { file: this.#crun, args: [...this.#crunOptions(), 'exec', ...as, ...terminal, id, ...argv] };
  }

  #process(id: string): ContainerProcess {
    const file = join(this.folder(id), 'config.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { process: ContainerProcess }).process;
  }

  /** Lets conmon write to a new log file; the old one has been renamed (conmon, ctrl.c: REOPEN_LOGS_EVENT). */
  reopenLog(id: string): void {
    this.#control(id, '2 0 0\n');
  }

  /** Gives a container's terminal its size (conmon, ctrl.c: WIN_RESIZE_EVENT). */
  resize(id: string, rows: number, columns: number): void {
    this.#control(id, `1 ${rows} ${columns}\n`);
  }

  #control(id: string, message: string): void {
    const fifo = join(this.folder(id), 'ctl');
    // conmon holds the reading end as long as it lives; without it, opening would wait for ever.
    if (this.#isAlive(id) && existsSync(fifo)) writeFileSync(fifo, message, { flag: 'r+' });
  }

  #crunOptions(): readonly string[] {
    return [`--root=${join(this.#dir, 'crun')}`, '--cgroup-manager=disabled'];
  }

  async #run(verb: string, ...args: string[]): Promise<void> {
    await this.#exec.run({ file: this.#crun, args: [...this.#crunOptions(), verb, ...args] });
  }

  /** Ends what runs and lets crun forget the container; it may not know it. */
  async #forget(id: string): Promise<void> {
    const args = [...this.#crunOptions(), 'delete', '--force', id];
    await this.#exec.run({ file: this.#crun, args, accept: ANY_CODE });
  }

  #keep(record: ContainerRecord): ContainerRecord {
    this.#records.set(record.id, record);
    const file = join(this.folder(record.id), 'record.json');
    writeFileSync(`${file}.new`, JSON.stringify(record));
    renameSync(`${file}.new`, file);
    return record;
  }

  /** What had not been started for certain is taken away: the pod's worker makes it anew. */
  async #adopt(id: string): Promise<void> {
    const file = join(this.folder(id), 'record.json');
    const record = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ContainerRecord) : undefined;
    if (record === undefined || (record.startedAt === undefined && record.exit === undefined)) {
      await this.remove(id);
      return;
    }
    this.#records.set(id, record);
    if (record.exit !== undefined) return;
    this.#lookAtExit(id);
    if (this.#records.get(id)?.exit === undefined) this.#lookForConmon(id);
    const pod = `${record.namespace}/${record.pod}`;
    this.#log.info('adopted a container', { pod, container: record.container });
  }

  #lookAtExit(id: string): void {
    const record = this.#records.get(id);
    const file = join(this.#dir, 'exits', id);
    if (record?.startedAt === undefined || record.exit !== undefined || !existsSync(file)) return;
    const code = Number.parseInt(readFileSync(file, 'utf8'), 10);
    const finishedAt = statSync(file).mtimeMs;
    const reason = code === 0 ? 'Completed' : 'Error';
    this.#ended(id, { code, reason, message: this.#terminationMessage(id), finishedAt });
  }

  /** A conmon that is gone without an exit file was killed: the container can no longer be followed. */
  #lookForConmon(id: string): void {
    if (this.#isAlive(id)) return;
    const message = 'The container could not be located when the agent looked for it';
    this.#ended(id, { code: 137, reason: 'ContainerStatusUnknown', message });
    this.#forget(id).catch((error: unknown) =>
      this.#log.warn('cannot delete a lost container', { id, error: String(error) }),
    );
  }

  #ended(id: string, exit: Omit<ContainerExit, 'finishedAt'> & { finishedAt?: number }): ContainerRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new Error(`no container ${id}`);
    const ended = this.#keep({ ...record, exit: { finishedAt: this.#clock.now(), ...exit } });
    for (const listener of this.#listeners) listener(ended);
    return ended;
  }

  #isAlive(id: string): boolean {
    const file = join(this.folder(id), 'conmon.pid');
    if (!existsSync(file)) return false;
    const stat = `/proc/${readFileSync(file, 'utf8').trim()}/stat`;
    // A zombie is as dead as one that is gone: proc(5), field 3.
    return existsSync(stat) && /^\d+ \(conmon\) [^Z]/.test(readFileSync(stat, 'utf8'));
  }

  #terminationMessage(id: string): string {
    const file = join(this.folder(id), 'termination-log');
    return existsSync(file) ? readFileSync(file, 'utf8').slice(0, 4096) : '';
  }

  #scheduleCheck(): void {
    this.#stopChecks = this.#clock.after(CHECK_EVERY_MS, () => {
      for (const record of [...this.#records.values()]) {
        if (record.startedAt === undefined || record.exit !== undefined) continue;
        this.#lookAtExit(record.id);
        if (this.#records.get(record.id)?.exit === undefined) this.#lookForConmon(record.id);
      }
      this.#scheduleCheck();
    });
  }
}

/** conmon keeps its end open, so the end of the line is all there is to wait for. */
async function firstLine(stream: Readable): Promise<string> {
  let said = '';
  for await (const chunk of stream) {
    said += String(chunk);
    if (said.includes('\n')) break;
  }
  return said;
}

function reportOf(report: string): { pid?: number; message?: string } {
  try {
    return JSON.parse(report) as { pid?: number; message?: string };
  } catch {
    return { message: report };
  }
}

function programPath(name: string): string {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/bin',
    '/usr/libexec/crio',
  ];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined)
    throw new Fault('FE001', `the tool '${name}' is missing`, `apt-get install ${name}`);
  return found;
}
