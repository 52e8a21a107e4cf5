/**
 * From an HTTP/1.1 request to a SPDY connection or a WebSocket.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { badRequest } from '../status.ts';
import { refused } from './refusal.ts';

/** A request to upgrade, as node:http hands it over. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Uint8Array;
}

export type Wire = 'spdy' | 'websocket';

const PROTOCOL_HEADER = 'x-stream-protocol-version';
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** What the request asks to become. Throws StatusError 400. */
export function wireOf(request: IncomingMessage): Wire {
  const wanted = listIn(request.headers.upgrade).map((one) => one.toLowerCase());
  if (wanted.includes('websocket')) return 'websocket';
  if (wanted.includes('spdy/3.1')) return 'spdy';
  throw badRequest(`unable to upgrade: missing upgrade headers in request: ${request.headers.upgrade}`);
}

/**
 * The first of the client's protocols that is served; its order is its preference. SPDY names them in
 * X-Stream-Protocol-Version, and a client that names none gets `fallback`. Throws StatusError.
 */
export function protocolOf(
  request: IncomingMessage,
  wire: Wire,
  served: readonly string[],
  fallback?: string,
): string {
  const name = wire === 'spdy' ? PROTOCOL_HEADER : 'sec-websocket-protocol';
  const asked = listIn(request.headers[name]);
  const agreed = asked.find((one) => served.includes(one)) ?? (asked.length === 0 ? fallback : undefined);
  if (agreed !== undefined) return agreed;
  // Upstream answers 403 to SPDY and 400 to WebSocket clients.
  const code = wire === 'spdy' ? 403 : 400;
  const lists = `client supports [${asked.join(' ')}], server accepts [${served.join(' ')}]`;
  throw refused(code, `unable to upgrade: unable to negotiate protocol: ${lists}`);
}

function listIn(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** Answers 101; what follows on the socket is SPDY. */
export function acceptSpdy({ socket, head }: Upgrade, protocol: string): Duplex {
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1',
      `X-Stream-Protocol-Version: ${protocol}`,
      '\r\n',
    ].join('\r\n'),
  );
  if (head.length > 0) socket.unshift(head);
  return socket;
}

/** Answers 101 and calls `opened` in the turn in which the socket opens, so that no message is missed. */
export function acceptWebSocket(
  { request, socket, head }: Upgrade,
  protocol: string,
  opened: (socket: WebSocket) => void,
): void {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  // ws takes only tokens for protocols (RFC 6455, 4.1) and refuses the slash in SPDY/3.1+portforward.k8s.io, which kubectl
  // sends all the same. The choice has been made by protocolOf, so ws is spared it.
  delete request.headers['sec-websocket-protocol'];
  server.once('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  server.handleUpgrade(request, socket, Buffer.from(head), opened);
}

/** The messages of a WebSocket as one stream of bytes. */
export const bytesOver = (socket: WebSocket): Duplex => createWebSocketStream(socket);
