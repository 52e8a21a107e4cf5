/**
 * What the API server asks of a node, by HTTP on a unix socket: logs, exec, attach, port-forward, and where pods listen.
 */
import { chmodSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { aborted } from '../../client/clock.ts';
import { errorFields, type Log } from '../../fault/log.ts';
import type { PodManager } from '../pods/pod-manager.ts';
import type { PodWorker } from '../pods/pod-worker.ts';
import { type ContainerRecord, isRunning } from '../runtime/container-record.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { parseLogQuery, serveLog } from './log-endpoint.ts';
import { failure, Session } from './session.ts';
import { socketsOf } from './sockets.ts';
import { type StreamOptions, serveAttach, serveExec, servePortForward } from './streams.ts';

const PROTOCOL = 'v5.channel.k8s.io';

/** A request that is not served: an HTTP status and a sentence, which the API server passes on. */
class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * What the API server asks of a node, on a unix socket (mode 0600): `GET /containerLogs/{ns}/{pod}/{container}`, `GET
 * /sockets` ({@link socketsOf}, as JSON), and WebSockets of v5.channel.k8s.io for `/exec/…`, `/attach/…` (the same path) and `/portForward/{ns}/{pod}?port=N`.
 */
export class KubeletServer {
  readonly #socketPath: string;
  readonly #log: Log;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  #server: Server | undefined;

  constructor(socketPath: string, log: Log) {
    this.#socketPath = socketPath;
    this.#log = log;
  }

  /** Listens, and resolves when the signal aborts. */
  async serve(pods: PodManager, runtime: ContainerRuntime, signal: AbortSignal): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response, pods, runtime));
    this.#server = server;
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head, pods, runtime));
    // A socket that an agent before this one left would be in the way.
    rmSync(this.#socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#socketPath, resolve);
    });
    chmodSync(this.#socketPath, 0o600);
    await aborted(signal);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    pods: PodManager,
    runtime: ContainerRuntime,
  ): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://kubelet');
    try {
      if (url.pathname === '/healthz') {
        response.end('ok');
        return;
      }
      if (url.pathname === '/sockets') {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(await socketsOf(pods.workers)));
        return;
      }
      const { kind, worker, container } = targetOf(url, pods);
      if (request.method !== 'GET' || kind !== 'containerLogs')
        throw new Refused(404, `no ${url.pathname} here`);
      const isPrevious = url.searchParams.get('previous') === 'true';
      const record = logged(worker, container, isPrevious, runtime);
      await serveLog(response, runtime, record, parseLogQuery(url.searchParams, Date.now()));
    } catch (error) {
      const code = error instanceof Refused ? error.code : 500;
      if (code === 500) this.#log.error('a request failed', { path: url.pathname, ...errorFields(error) });
      if (!response.headersSent) response.writeHead(code, { 'content-type': 'text/plain' });
      response.end(error instanceof Error ? error.message : String(error));
    }
  }

  #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    pods: PodManager,
    runtime: ContainerRuntime,
  ): void {
    let serve: (session: Session) => Promise<void>;
    try {
      serve = streamOf(new URL(request.url ?? '/', 'http://kubelet'), pods, runtime);
    } catch (error) {
      refuse(socket, error instanceof Refused ? error : new Refused(500, String(error)));
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      const session = new Session(client);
      serve(session).catch((error: unknown) => {
        this.#log.error('a stream failed', { path: request.url, ...errorFields(error) });
        void session.finish(failure(error instanceof Error ? error.message : String(error)));
      });
    });
  }
}

function refuse(socket: Duplex, { code, message }: Refused): void {
  const head = `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\nConnection: close\r\nContent-Type: text/plain\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`);
}

interface Target {
  readonly kind: string;
  readonly worker: PodWorker;
  readonly container: string;
}

/** `/{kind}/{namespace}/{pod}[/{container}]`; without a container, the pod's first. */
function targetOf(url: URL, pods: PodManager): Target {
  const [, kind = '', namespace = '', name = '', named] = url.pathname.split('/').map(decodeURIComponent);
  const worker = pods.find(namespace, name);
  if (worker === undefined) throw new Refused(404, `pods "${name}" not found`);
  const container = named || worker.pod.spec?.containers[0]?.name || '';
  return { kind, worker, container };
}

/** Checks what can be refused before the upgrade; gives what serves the session after it. */
function streamOf(
  url: URL,
  pods: PodManager,
  runtime: ContainerRuntime,
): (session: Session) => Promise<void> {
  const { kind, worker, container } = targetOf(url, pods);
  const query = url.searchParams;
  const options = streamOptions(query);
  switch (kind) {
    case 'exec': {
      const record = lastOf(worker, container);
      if (!isRunning(record)) throw new Refused(404, `container not found ("${container}")`);
      const argv = query.getAll('command');
      if (argv.length === 0)
        throw new Refused(400, 'you must specify at least one command for the container');
      return (session) => serveExec(session, runtime, record, argv, options);
    }
    case 'attach': {
      const record = lastOf(worker, container);
      if (record?.startedAt === undefined) throw new Refused(404, `container not found ("${container}")`);
      return (session) => serveAttach(session, runtime, record, options);
    }
    case 'portForward': {
      const { sandbox } = worker;
      const port = Number(query.get('port'));
      if (sandbox === undefined)
        throw new Refused(404, 'unable to do port forwarding: the pod is not running');
      if (!Number.isInteger(port) || port < 1 || port > 65535)
        throw new Refused(400, `${query.get('port')} is no port`);
      return (session) => servePortForward(session, sandbox, port);
    }
    default:
      throw new Refused(404, `no ${url.pathname} here`);
  }
}

function streamOptions(query: URLSearchParams): StreamOptions {
  const isOn = (name: string) => query.has(name) && query.get(name) !== 'false' && query.get(name) !== '0';
  return { stdin: isOn('stdin'), stdout: isOn('stdout'), stderr: isOn('stderr'), tty: isOn('tty') };
}

const lastOf = (worker: PodWorker, container: string): ContainerRecord | undefined =>
  worker.containers.attempts(container)[0];

/** The attempt whose log is asked for, in upstream's words where there is none. */
function logged(
  worker: PodWorker,
  container: string,
  isPrevious: boolean,
  runtime: ContainerRuntime,
): ContainerRecord {
  const { name } = worker.pod.metadata ?? {};
  const status = [
    ...(worker.pod.status?.containerStatuses ?? []),
    ...(worker.pod.status?.initContainerStatuses ?? []),
  ].find((one) => one.name === container);
  if (isPrevious) {
    const id = status?.lastState?.terminated?.containerID?.replace('crun://', '') ?? '';
    const record = runtime.get(id) ?? worker.containers.attempts(container)[1];
    if (record !== undefined) return record;
    throw new Refused(400, `previous terminated container "${container}" in pod "${name}" not found`);
  }
  const record = lastOf(worker, container);
  if (record !== undefined) return record;
  const reason = status?.state?.waiting?.reason ?? 'ContainerCreating';
  throw new Refused(400, `container "${container}" in pod "${name}" is waiting to start: ${reason}`);
}
