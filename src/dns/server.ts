/**
 * The listeners: DNS over UDP and TCP on one port; /health, /ready and /metrics over HTTP.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Fault } from '../fault/fault.ts';
import { messagesOf, withLength } from './tcp.ts';

/** As resolvers expect to reuse a connection (RFC 7766, 6.2.3). */
const IDLE_MS = 10_000;
const MAX_CONNECTIONS = 1_024;

export interface Client {
  readonly protocol: 'udp' | 'tcp';
  readonly family: 4 | 6;
}

/** A message to its answer; undefined when it deserves none. It may be at once: most answers are. */
export type Respond = (message: Buffer, client: Client) => Buffer | undefined | Promise<Buffer | undefined>;

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** How often a port that is free for UDP may turn out to be taken for TCP. */
const PORT_TRIES = 20;

/** UDP and TCP on one port; 0 finds one that is free for both. Throws {@link Fault} FE005. */
export async function listenDns(address: string, port: number, respond: Respond): Promise<Listener> {
  for (let left = port === 0 ? PORT_TRIES : 1; ; left--) {
    const udp = await listenUdp(address, port, respond);
    try {
      const tcp = await listenTcp(address, udp.port, respond);
      return { port: udp.port, close: async () => void (await Promise.all([udp.close(), tcp.close()])) };
    } catch (error) {
      await udp.close();
      if (left === 1) throw error;
    }
  }
}

async function listenUdp(address: string, port: number, respond: Respond): Promise<Listener> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
  socket.bind(port, address);
  await bound(socket, 'listening', address, port);
  socket.on('message', (message, peer) => {
    const family = peer.family === 'IPv6' && !peer.address.startsWith('::ffff:') ? 6 : 4;
    const answer = respond(message, { protocol: 'udp', family });
    const send = (bytes: Buffer | undefined) => {
      if (bytes !== undefined) sendUnlessClosed(socket, bytes, peer.port, peer.address);
    };
    if (answer instanceof Promise) void answer.then(send);
    else send(answer);
  });
  let isOpen = true;
  return {
    port: socket.address().port,
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      socket.close();
      await once(socket, 'close');
    },
  };
}

function sendUnlessClosed(socket: UdpSocket, bytes: Buffer, port: number, address: string): void {
  // A datagram that cannot be sent (a full queue, a client that is gone) is lost like any other; the client asks again.
  socket.send(bytes, port, address, () => undefined);
}

async function listenTcp(address: string, port: number, respond: Respond): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    // A client that breaks off needs no answer.
    serve(socket, respond).catch(() => socket.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, address);
  await bound(server, 'listening', address, port);
  return listenerOf(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** In the order of the questions. */
async function serve(socket: Socket, respond: Respond): Promise<void> {
  const family = socket.remoteFamily === 'IPv6' && !socket.remoteAddress?.startsWith('::ffff:') ? 6 : 4;
  for await (const message of messagesOf(socket)) {
    const answer = await respond(message, { protocol: 'tcp', family });
    if (answer === undefined) socket.destroy();
    else if (!socket.write(withLength(answer))) await once(socket, 'drain');
  }
  socket.end();
}

/** Throws {@link Fault} FE005. */
export async function listenHttp(address: string, port: number, handle: RequestListener): Promise<Listener> {
  const server = createHttpServer(handle);
  server.listen(port, address);
  await bound(server, 'listening', address, port);
  return listenerOf(server, () => server.closeAllConnections());
}

function listenerOf(server: Server | HttpServer, drop: () => void): Listener {
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        drop();
      }),
  };
}

async function bound(
  socket: Server | HttpServer | UdpSocket,
  event: 'listening',
  address: string,
  port: number,
): Promise<void> {
  try {
    await once(socket, event);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault(
      'FE005',
      `DNS cannot listen on ${address} port ${port}: ${why}`,
      'free the port or choose another',
      {
        cause: error,
      },
    );
  }
}
