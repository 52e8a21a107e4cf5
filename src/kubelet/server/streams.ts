import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type Ending, Exec, type Running } from '../../exec/exec.ts';
import { startOnTerminal } from '../../exec/pty.ts';
import type { Sandbox } from '../pods/sandbox.ts';
import { followLog } from '../runtime/container-log.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { exitStatus, failure, type Session, SUCCESS, type TerminalSize } from './session.ts';

const CONNECT = new URL('../workloads/connect.pl', import.meta.url).pathname;

/** What the client wants to be connected. */
export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Runs a command in a container. It is not ended when the client goes (as upstream): only its streams end. */
export async function serveExec(
  session: Session,
  runtime: ContainerRuntime,
  record: ContainerRecord,
  argv: readonly string[],
  options: StreamOptions,
): Promise<void> {
  const command = runtime.execCommand(record.id, argv, options.tty);
  const ending = options.tty ? await onTerminal(session, command) : await onPipes(session, command, options);
  await session.finish(exitStatus(codeOf(ending)));
}

const FIRST_SIZE_MS = 200;

interface CommandLine {
  readonly file: string;
  readonly args: readonly string[];
}

/** A client without a terminal of its own may say 0. */
const isSize = ({ Width, Height }: TerminalSize) => Width > 0 && Height > 0;

async function onPipes(session: Session, command: CommandLine, options: StreamOptions): Promise<Ending> {
  const running = await new Exec().start(command.file, command.args, {
    stdin: options.stdin ? 'pipe' : 'ignore',
    stdout: options.stdout ? 'pipe' : 'ignore',
    stderr: options.stderr ? 'pipe' : 'ignore',
  });
  if (running.stdin !== null) pour(session, running.stdin);
  await Promise.all([
    running.stdout === null ? undefined : session.pump('stdout', running.stdout),
    running.stderr === null ? undefined : session.pump('stderr', running.stderr),
  ]);
  return running.ended;
}

async function onTerminal(session: Session, command: CommandLine): Promise<Ending> {
  // crun looks at the size once at its start and then waits for SIGWINCH; one that comes between the two is lost.
  const size = await session.firstSize(FIRST_SIZE_MS);
  const given = size !== undefined && isSize(size) ? { columns: size.Width, rows: size.Height } : {};
  const terminal = startOnTerminal(command.file, command.args, given);
  let isRunning = true;
  let sent: Promise<void> = Promise.resolve();
  terminal.onData((bytes) => {
    terminal.pause();
    sent = sent.then(() => session.send('stdout', bytes)).then(() => terminal.resume());
  });
  session.input.on('data', (bytes: Buffer) => {
    if (isRunning) terminal.write(bytes);
  });
  session.onResize((to) => {
    if (isRunning && isSize(to)) terminal.resize(to.Width, to.Height);
  });
  // Whoever sits at a terminal that closes gets SIGHUP.
  session.gone.addEventListener('abort', () => {
    if (isRunning) terminal.kill('SIGHUP');
  });
  const ending = await terminal.ended;
  isRunning = false;
  await sent;
  return ending;
}

/**
 * Connects a client to a container's own streams. Output comes from the log, from the beginning: so the prompt that was
 * printed before the client came is seen, and nothing twice. Input goes to conmon's socket, which is of a type
 * (SOCK_SEQPACKET) that Node cannot speak.
 */
export async function serveAttach(
  session: Session,
  runtime: ContainerRuntime,
  record: ContainerRecord,
  options: StreamOptions,
): Promise<void> {
  const input = options.stdin && record.stdin ? await attachInput(session, runtime, record) : undefined;
  if (record.tty) {
    session.onResize(({ Width, Height }) => runtime.resize(record.id, Height, Width));
  }
  const entries = followLog(runtime.logFile(record.id), {
    signal: session.gone,
    hasEnded: () => runtime.get(record.id)?.exit !== undefined,
    onEnd: (listener) => runtime.onExit((ended) => (ended.id === record.id ? listener() : undefined)),
  });
  for await (const { stream, content } of entries) {
    const channel = record.tty ? 'stdout' : stream;
    if (channel === 'stdout' ? options.stdout : options.stderr) await session.send(channel, content);
  }
  input?.kill('SIGTERM');
  await session.finish(SUCCESS);
}

async function attachInput(
  session: Session,
  runtime: ContainerRuntime,
  record: ContainerRecord,
): Promise<Running> {
  const args = [CONNECT, 'seqpacket', runtime.attachSocket(record.id)];
  const running = await new Exec().start('perl', args, { stdin: 'pipe' });
  if (running.stdin !== null) pour(session, running.stdin);
  return running;
}

/** Connects the client to a port of the pod's loopback address. */
export async function servePortForward(session: Session, sandbox: Sandbox, port: number): Promise<void> {
  const here = new Exec();
  const place = sandbox.netns === undefined ? here : here.inside(sandbox.netns);
  const args = [CONNECT, 'tcp', '127.0.0.1', String(port)];
  const running = await place.start('perl', args, { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  session.gone.addEventListener('abort', () => running.kill('SIGTERM'));
  if (running.stdin !== null) pour(session, running.stdin);
  const [said] = await Promise.all([
    running.stderr === null ? '' : text(running.stderr),
    running.stdout === null ? undefined : session.pump('stdin', running.stdout),
  ]);
  await session.end('stdin');
  const { code } = await running.ended;
  const pod = `${sandbox.namespace}/${sandbox.name}`;
  const message = `error forwarding port ${port} to pod ${pod}: failed to connect to localhost:${port} inside the pod: ${said.trim()}`;
  await session.finish(code === 0 || session.gone.aborted ? SUCCESS : failure(message));
}

/** The client's input into a process that may end before it has read it all. */
function pour(session: Session, stdin: Writable): void {
  stdin.on('error', () => session.input.resume());
  session.input.pipe(stdin);
}

function codeOf(ending: Ending): number {
  if (ending.signal === null) return ending.code ?? 1;
  return 128 + constants.signals[ending.signal];
}
