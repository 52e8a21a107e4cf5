import { rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { ListenOptions, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Fault } from '../fault/fault.ts';
import type { Pki } from './auth/pki.ts';
import type { Front, Trust } from './front.ts';

/** A server that listens, and ends with all its connections. */
export interface Listener {
  /** The port, for TCP. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

/**
 * TLS with HTTP/2 and HTTP/1.1: kubectl negotiates h2 for requests and http/1.1 for streams. Client certificates are asked
 * for, not required. Throws Fault FE005.
 */
export async function listenTls(front: Front, pki: Pki, at: ListenOptions): Promise<Listener> {
  if (at.path !== undefined) await removeStale(at.path);
  const server = createSecureServer({
    allowHTTP1: true,
    key: pki.serving.key,
    cert: pki.serving.certificate,
    ca: pki.ca,
    requestCert: true,
    rejectUnauthorized: false,
    // One client's watches share a connection; node's default of 10 MB a session would end them under load.
    maxSessionMemory: 256,
    settings: { maxConcurrentStreams: 1000 },
  });
  return listening(server, front, 'asked', at);
}

/** Plain HTTP/1.1 for whoever may open the socket, which is its owner (0600). Throws Fault FE005. */
export async function listenUnix(front: Front, path: string): Promise<Listener> {
  await removeStale(path);
  return listening(createServer(), front, 'trusted', { path });
}

/** A server that was killed leaves its socket file behind. */
const removeStale = (path: string) => rm(path, { force: true });

async function listening(
  server: Server | Http2SecureServer,
  front: Front,
  trust: Trust,
  at: ListenOptions,
): Promise<Listener> {
  const sockets = new Set<Socket>();
  (server as NetServer).on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on(
    'request',
    (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
      void front.serve(request, response, trust);
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void front.upgrade(request, socket, head, trust);
  });
  if ('timeout' in server) server.requestTimeout = 0;
  await bind(server, at);
  const address = server.address();
  return {
    port: typeof address === 'object' ? address?.port : undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function bind(server: NetServer, at: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = at.path ?? `${at.host}:${at.port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new Fault('FE005', `${where} is already taken`, 'end what listens there', { cause: error })
          : error,
      );
    });
    // A socket file gets its mode when it is made, so that nobody slips in before a chmod.
    const before = process.umask(0o177);
    server.listen(at, resolve);
    process.umask(before);
  });
}
