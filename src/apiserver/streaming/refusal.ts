/**
 * Answers that are not streams: a {@link Status} before the upgrade.
 */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Status } from '../../kube/objects.ts';
import { StatusError } from '../status.ts';

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
};

/** What a plain text answer of the kubelet amounts to; as upstream, a 500 has no reason. */
export const refused = (code: number, message: string): StatusError =>
  new StatusError(code, REASONS[code] ?? '', message);

/** The status an error is answered with. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  return refused(500, error instanceof Error ? error.message : String(error)).status;
}

/** Answers a request to upgrade with a Status instead, and closes the connection. */
export function refuseUpgrade(socket: Duplex, status: Status): void {
  const code = status.code ?? 500;
  const body = JSON.stringify(status);
  const lines = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
