/**
 * What the relay expects of a kubelet, as one that runs: the containers are processes of this host, forwarded ports are
 * those of its loopback. Tests drive it with real kubectl.
 *
 * All output goes out before the Status, the Status is one message and the last, then the kubelet closes with 1000.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { Exec } from '../../exec/exec.ts';
import { startOnTerminal } from '../../exec/pty.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;

export interface KubeletStandIn {
  /** Every path asked for. */
  readonly asked: string[];
  /** Adds a line to the log that followers read. */
  log(line: string): void;
  /** Resolves when a follower has come, and when it has gone. */
  readonly follower: { readonly came: Promise<void>; readonly gone: Promise<void> };
  close(): Promise<void>;
}

/** Listens on a unix socket. `attached` is the command that attach finds running. */
export async function startKubelet(socketPath: string, attached: readonly string[]): Promise<KubeletStandIn> {
  const asked: string[] = [];
  const came = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const followers = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const url = new URL(request.url ?? '', 'http://kubelet');
    if (url.pathname.endsWith('/waiting')) {
      response.writeHead(400).end('container "waiting" in pod "web" is waiting to start: ContainerCreating');
      return;
    }
    response.write('first\n');
    if (!url.searchParams.has('follow')) {
      response.end('second\n');
      return;
    }
    followers.add(response);
    came.resolve();
    response.once('close', () => {
      followers.delete(response);
      gone.resolve();
    });
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
  server.on('upgrade', (request, socket, head) => {
    asked.push(request.url ?? '');
    serve(sockets, request, socket, head, attached);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    asked,
    log: (line) => {
      for (const response of followers) response.write(`${line}\n`);
    },
    follower: { came: came.promise, gone: gone.promise },
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function serve(
  sockets: WebSocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  attached: readonly string[],
): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://kubelet');
  if (pathname.endsWith('/waiting')) {
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\ncontainer not found ("waiting")\n');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client) => {
    if (pathname.startsWith('/portForward/')) {
      forward(client, Number(searchParams.get('port')));
      return;
    }
    const command = pathname.startsWith('/attach/') ? attached : searchParams.getAll('command');
    const run = searchParams.has('tty') ? runOnTerminal : runOnPipes;
    run(client, command).catch((error) => client.close(1011, String(error)));
  });
}

async function runOnPipes(client: WebSocket, [file = 'true', ...args]: readonly string[]): Promise<void> {
  const inbox: Buffer[] = [];
  const early = (message: RawData) => inbox.push(message as Buffer);
  client.on('message', early);
  const process = await new Exec().start(file, args, { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  client.once('close', () => process.kill('SIGKILL'));
  const { stdin } = process;
  // The process may end before it has read all that was sent to it.
  stdin?.on('error', () => stdin.destroy());
  // No 'drain' comes once the input has ended.
  for (const event of ['drain', 'finish', 'close']) stdin?.on(event, () => client.resume());
  const take = (message: Buffer) => {
    if (message[0] === CLOSE && message[1] === STDIN) stdin?.end();
    else if (message[0] === STDIN && stdin?.writable && !stdin.write(message.subarray(1))) client.pause();
  };
  client.off('message', early);
  for (const message of inbox) take(message);
  client.on('message', (message: RawData) => take(message as Buffer));
  const outputs = [sendAll(client, STDOUT, process.stdout), sendAll(client, STDERR, process.stderr)];
  const { code } = await process.ended;
  await Promise.all(outputs);
  finish(client, code ?? 137);
}

async function runOnTerminal(client: WebSocket, [file = 'true', ...args]: readonly string[]): Promise<void> {
  const terminal = startOnTerminal(file, args);
  client.on('message', (raw: RawData) => {
    const message = raw as Buffer;
    if (message[0] === STDIN) terminal.write(message.subarray(1));
    if (message[0] !== RESIZE) return;
    const size = JSON.parse(message.subarray(1).toString()) as { Width: number; Height: number };
    terminal.resize(size.Width, size.Height);
  });
  terminal.onData((bytes) => client.send(Buffer.concat([Buffer.of(STDOUT), bytes])));
  const { code } = await terminal.ended;
  finish(client, code ?? 137);
}

async function sendAll(client: WebSocket, channel: number, output: Readable | null): Promise<void> {
  for await (const chunk of output ?? []) {
    const message = Buffer.concat([Buffer.of(channel), chunk as Buffer]);
    await new Promise<void>((resolve) => client.send(message, () => resolve()));
  }
}

function finish(client: WebSocket, code: number): void {
  const message = `command terminated with non-zero exit code: exit status ${code}`;
  const causes = [{ reason: 'ExitCode', message: String(code) }];
  const status =
    code === 0
      ? { metadata: {}, status: 'Success' }
      : { metadata: {}, status: 'Failure', message, reason: 'NonZeroExitCode', details: { causes } };
  client.send(`\u0003${JSON.stringify({ kind: 'Status', apiVersion: 'v1', ...status })}`);
  client.close(1000);
}

function forward(client: WebSocket, port: number): void {
  const connection = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('message', (raw: RawData) => {
    const message = raw as Buffer;
    if (message[0] === CLOSE) connection.end();
    else if (!connection.write(message.subarray(1))) client.pause();
  });
  connection.on('drain', () => client.resume());
  client.once('close', () => connection.destroy());
  connection.once('error', (error) => {
    const message = `error forwarding port ${port} to pod web: ${error.message}`;
    const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 };
    client.send(Buffer.concat([Buffer.of(ERROR), Buffer.from(JSON.stringify(status))]));
    client.close(1000);
  });
  sendAll(client, STDIN, connection)
    .then(() => client.send(Buffer.of(CLOSE, STDIN)))
    // The error has been told by the listener above.
    .catch(() => connection.destroy());
  connection.once('close', () => client.close(1000));
}
