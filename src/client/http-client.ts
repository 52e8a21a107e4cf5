import { type Dispatcher, Pool } from 'undici';
import { Fault } from '../fault/fault.ts';
import type { KubeObject, Status } from '../kube/objects.ts';
import { apiVersionOf, pathOf, type Resource } from '../kube/resources.ts';
import { backoffMs } from './backoff.ts';
import {
  ApiError,
  type DeleteOptions,
  type KubeClient,
  type List,
  type ListOptions,
  type PatchType,
  type Trimming,
  type WatchEvent,
  type WatchOptions,
} from './client.ts';
import { type Clock, SYSTEM_CLOCK, sleep } from './clock.ts';
import { linesOf } from './lines.ts';

/** How to reach an API server and who the client is. */
export interface Connection {
  /** `https://host:port[/prefix]`, or `http://…` for a plain socket. */
  readonly server: string;
  /** A unix socket to connect to instead of the server's host and port. */
  readonly socketPath?: string;
  /** PEM texts. */
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly serverName?: string;
    /** Do not verify the server (insecure-skip-tls-verify). */
    readonly insecure?: boolean;
  };
  /** The bearer token; `fresh` asks for it to be read again because the server refused the last one. */
  readonly token?: (fresh: boolean) => Promise<string>;
}

export interface HttpClientOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
  /** The field manager of server-side apply; `fairlead` unless said. */
  readonly fieldManager?: string;
  /** Objects a page of a list. */
  readonly pageSize?: number;
}

/** A client of a server's plain HTTP socket: no credentials, the socket's file mode is the guard. */
export function socketClient(socketPath: string, options?: HttpClientOptions): HttpKubeClient {
  return new HttpKubeClient({ server: 'http://localhost', socketPath }, options);
}

interface Request {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Bound on the silence of the answer's body. */
  readonly silenceMs?: number;
  readonly pool?: Pool;
}

const CONTENT_TYPES: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};
const ATTEMPTS = 6;
const RETRY = { baseMs: 50, maxMs: 2_000 };
const ANSWER_WITHIN_MS = 60_000;
const SILENCE_MS = 75_000;

export class HttpKubeClient implements KubeClient {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #fieldManager: string;
  readonly #pageSize: number;
  readonly #prefix: string;
  readonly #requests: Pool;
  /** Watches hold a connection each, so they have their own pool and never keep a request waiting. */
  readonly #watches: Pool;

  constructor(connection: Connection, options: HttpClientOptions = {}) {
    this.#connection = connection;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.#fieldManager = options.fieldManager ?? 'fairlead';
    this.#pageSize = options.pageSize ?? 500;
    const url = new URL(connection.server);
    this.#prefix = url.pathname.replace(/\/$/, '');
    const connect = connectOptions(connection);
    this.#requests = new Pool(url.origin, { connect, connections: 64 });
    this.#watches = new Pool(url.origin, { connect });
  }

  async list<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & Trimming<T> = {},
  ): Promise<List<T>> {
    try {
      return await this.#pages<T>(resource, options, this.#pageSize);
    } catch (error) {
      // The revision the pages are read at was compacted meanwhile: read everything at once instead.
      if (error instanceof ApiError && error.code === 410) return this.#pages<T>(resource, options, 0);
      throw error;
    }
  }

  get<T extends KubeObject>(resource: Resource, name: string, namespace?: string): Promise<T> {
    return this.#json<T>({ method: 'GET', path: pathOf(resource, namespace, name) });
  }

  create<T extends KubeObject>(resource: Resource, object: T, namespace?: string): Promise<T> {
    const path = pathOf(resource, namespace ?? object.metadata?.namespace);
    return this.#json<T>({ method: 'POST', path, body: typed(resource, object) });
  }

  update<T extends KubeObject>(resource: Resource, object: T, subresource?: string): Promise<T> {
    const { name, namespace } = object.metadata ?? {};
    const path = pathOf(resource, namespace, name, subresource);
    return this.#json<T>({ method: 'PUT', path, body: typed(resource, object) });
  }

  patch<T extends KubeObject>(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    type: PatchType,
    body: unknown,
    subresource?: string,
  ): Promise<T> {
    const query =
      type === 'apply' ? `?fieldManager=${encodeURIComponent(this.#fieldManager)}&force=true` : '';
    const path = pathOf(resource, key.namespace, key.name, subresource) + query;
    return this.#json<T>({ method: 'PATCH', path, body, contentType: CONTENT_TYPES[type] });
  }

  async delete(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    options?: DeleteOptions,
  ): Promise<void> {
    const body = options === undefined ? undefined : { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
    await this.#json({ method: 'DELETE', path: pathOf(resource, key.namespace, key.name), body });
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const query = queryOf(options);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', options.resourceVersion);
    const request: Request = {
      method: 'GET',
      path: withQuery(pathOf(resource, options.namespace), query),
      signal: options.signal,
      silenceMs: options.silenceMs ?? SILENCE_MS,
      pool: this.#watches,
    };
    try {
      const answer = await this.#answer(request);
      for await (const line of linesOf(answer.body)) {
        const event = JSON.parse(line) as WatchEvent<T>;
        yield event.type === 'ERROR' ? event : { ...event, object: typed(resource, event.object) };
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      throw isOurs(error) ? error : this.#unreachable(request, error);
    }
  }

  request<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
    return this.#json<T>({ method, path, body });
  }

  async close(): Promise<void> {
    await Promise.all([this.#requests.destroy(), this.#watches.destroy()]);
  }

  async #pages<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & Trimming<T>,
    size: number,
  ): Promise<List<T>> {
    const items: T[] = [];
    const { trim = (item) => item } = options;
    const query = queryOf(options);
    if (size > 0) query.set('limit', String(size));
    for (;;) {
      const path = withQuery(pathOf(resource, options.namespace), query);
      const page = await this.#json<ListBody<T>>({ method: 'GET', path, signal: options.signal });
      for (const item of page.items ?? []) items.push(trim(typed(resource, item)));
      const { continue: next, resourceVersion = '' } = page.metadata ?? {};
      if (next === undefined || next === '') return { resourceVersion, items };
      query.set('continue', next);
    }
  }

  /** Sends, and again while the failure is the connection's and the request cannot have had an effect. */
  async #json<T>(request: Request): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        const answer = await this.#answer(request);
        const text = await answer.body.text();
        return (text === '' ? {} : JSON.parse(text)) as T;
      } catch (error) {
        request.signal?.throwIfAborted();
        const wait = retryAfterMs(request.method, error);
        if (wait === undefined || failures >= ATTEMPTS) {
          throw isOurs(error) ? error : this.#unreachable(request, error);
        }
        const pause = Math.max(wait, backoffMs(failures, { ...RETRY, random: this.#random }));
        await sleep(this.#clock, pause, request.signal);
      }
    }
  }

  /** The answer's head, with the body unread. Throws {@link ApiError} unless the status is a success. */
  async #answer(request: Request, fresh = false): Promise<Dispatcher.ResponseData> {
    const token = await this.#connection.token?.(fresh);
    const pool = request.pool ?? this.#requests;
    const answer = await pool.request({
      method: request.method,
      path: this.#prefix + request.path,
      headers: headersOf(request, token),
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal: request.signal ?? null,
      headersTimeout: request.silenceMs ?? ANSWER_WITHIN_MS,
      bodyTimeout: request.silenceMs ?? ANSWER_WITHIN_MS,
    });
    if (answer.statusCode < 400) return answer;
    const error = await apiErrorOf(answer);
    // Tokens of ServiceAccounts are rotated on disk; the one in memory may have run out.
    if (error.code === 401 && token !== undefined && !fresh) return this.#answer(request, true);
    throw error;
  }

  #unreachable(request: Request, cause: unknown): Fault {
    const at = this.#connection.socketPath ?? this.#connection.server;
    const why = cause instanceof Error ? cause.message : String(cause);
    return new Fault(
      'FE008',
      `the Kubernetes API at ${at} does not answer ${request.method} ${request.path}: ${why}`,
      'see whether the cluster runs and the kubeconfig names it',
      { cause },
    );
  }
}

interface ListBody<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[];
}

function connectOptions({ socketPath, tls }: Connection) {
  return {
    timeout: 10_000,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
    ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
    rejectUnauthorized: tls?.insecure !== true,
  };
}

/** Lists and watches leave out apiVersion and kind of their items, and events need them. */
function typed<T extends KubeObject>(resource: Resource, object: T): T {
  if (object.apiVersion !== undefined && object.kind !== undefined) return object;
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
}

function queryOf({ labelSelector, fieldSelector }: ListOptions): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
  return query;
}

const withQuery = (path: string, query: URLSearchParams): string =>
  query.size === 0 ? path : `${path}?${query}`;

function headersOf(request: Request, token: string | undefined): Record<string, string> {
  return {
    accept: 'application/json',
    'user-agent': 'fairlead',
    ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

async function apiErrorOf(answer: Dispatcher.ResponseData): Promise<ApiError> {
  const text = await answer.body.text();
  const seconds = Number(answer.headers['retry-after']);
  const error = new ApiError(statusOf(answer.statusCode, text));
  if (Number.isFinite(seconds)) retryAfter.set(error, seconds * 1000);
  return error;
}

/** What Retry-After said, in milliseconds, by the error it came with. */
const retryAfter = new WeakMap<ApiError, number>();

function statusOf(code: number, text: string): Status {
  try {
    const body = JSON.parse(text) as Partial<Status>;
    if (body.kind === 'Status') return { ...(body as Status), code: body.code ?? code };
  } catch (error) {
    // A proxy on the way answers in plain text or HTML.
    if (!(error instanceof SyntaxError)) throw error;
  }
  const message = text.trim() === '' ? `the server answered ${code}` : text.trim().slice(0, 1000);
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, message };
}

const isOurs = (error: unknown): boolean => error instanceof ApiError || error instanceof Fault;

/** Failures before a byte of the request left: whatever the method, it had no effect. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const BROKEN: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** The least wait before the request is sent again, or undefined if it must not be. */
function retryAfterMs(method: string, error: unknown): number | undefined {
  if (error instanceof ApiError) return retryAfter.get(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (NEVER_SENT.has(code) || (method === 'GET' && BROKEN.has(code))) return 0;
  return undefined;
}
