/** A whole API server for tests, over its real sockets, in a folder that is removed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lineLog } from '../fault/log.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { ObjectStore } from '../store/store.ts';
import { type ApiServerOptions, createApiServer, kubeconfigFor, openPki, type Pki } from './api-server.ts';
import type { AnyObject, Fields } from './registry/stored.ts';

export interface Reply {
  readonly code: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** The body as JSON. */
  readonly body: Body;
}

/** What tests look into, of an object, a list, a Table, a Status or a discovery document: the test knows which it is. */
export interface Body extends AnyObject {
  readonly metadata: AnyObject['metadata'] & { readonly continue?: string; readonly annotations?: object };
  readonly spec: Fields;
  readonly data: Record<string, string>;
  readonly items: readonly Body[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: Body }[];
  readonly message: string;
}

export interface Served {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly pki: Pki;
  readonly port: number;
  readonly socket: string;
  readonly kubeconfig: string;
  /** A request over the trusted socket. `body` is JSON unless it is text already. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  create(path: string, object: unknown): Promise<Body>;
  stop(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and on a unix socket. */
export async function startServed(options: Pick<ApiServerOptions, 'serviceCIDRs'> = {}): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-api-'));
  const store = openSqliteStore(join(folder, 'objects.db'));
  const pki = await openPki(join(folder, 'pki'));
  const log = lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
  );
  const server = await createApiServer({ store, pki, log, ...options });
  const port = await server.listenTls('127.0.0.1', 0);
  const socket = join(folder, 'admin.sock');
  await server.listenUnix(socket);
  const send: Served['send'] = (method, path, body, headers) => exchange(socket, method, path, body, headers);
  return {
    folder,
    store,
    pki,
    port,
    socket,
    kubeconfig: kubeconfigFor(pki, { server: `https://127.0.0.1:${port}` }),
    send,
    create: async (path, object) => {
      const reply = await send('POST', path, object);
      if (reply.code !== 201) throw new Error(`POST ${path}: ${reply.code} ${reply.text}`);
      return reply.body;
    },
    stop: async () => {
      await server.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const bytes = Buffer.from(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));
  // node sends the body of a DELETE without any framing unless its length is said.
  const framed = { ...headers, 'content-length': String(bytes.length) };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers: framed }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = String(response.headers['content-type']).startsWith('application/json');
        const body = (isJson ? JSON.parse(text) : {}) as Body;
        resolve({ code: response.statusCode ?? 0, headers: response.headers, text, body });
      });
    });
    sent.once('error', reject);
    sent.end(bytes);
  });
}

/** The lines of a watch as they come; `next` waits for the next one. */
export class WatchLines {
  readonly #lines: AsyncIterator<string>;
  readonly #close: () => void;

  private constructor(lines: AsyncIterator<string>, close: () => void) {
    this.#lines = lines;
    this.#close = close;
  }

  static open(served: Served, path: string, headers: Record<string, string> = {}): Promise<WatchLines> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: served.socket, path, headers }, (response) => {
        response.setEncoding('utf8');
        resolve(new WatchLines(linesOf(response), () => sent.destroy()));
      });
      sent.once('error', reject);
      sent.end();
    });
  }

  /** `ADDED a`: the type and the name of the next event. */
  async nextName(): Promise<string> {
    const { type, object } = await this.next();
    return `${type} ${object.metadata.name}`;
  }

  async next(): Promise<{ type: string; object: Body }> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the watch has ended');
    return JSON.parse(value);
  }

  /** Whether the server has ended the watch. */
  async ended(): Promise<boolean> {
    return (await this.#lines.next()).done === true;
  }

  close(): void {
    this.#close();
  }
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
