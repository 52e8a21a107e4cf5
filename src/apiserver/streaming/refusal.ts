/**
 * Answers that are not streams: a {@link Status} before the upgrade, in the words of upstream.
 */
import type { Duplex } from 'node:stream';
import type { Status } from '../../kube/objects.ts';

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  422: 'Unprocessable Entity',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** A failure Status whose reason follows from the HTTP code. */
export function failure(code: number, message: string): Status {
  const reason = REASONS[code] ?? 'Unknown';
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

/** Ends a request for a stream before it became one. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? 'refused', options);
    this.status = status;
  }

  static of(code: number, message: string, cause?: unknown): Refusal {
    return new Refusal(failure(code, message), cause === undefined ? undefined : { cause });
  }
}

/** Answers a request to upgrade with a Status instead, and closes the connection. */
export function refuseUpgrade(
  socket: Duplex,
  status: Status,
  headers: Readonly<Record<string, string>> = {},
): void {
  const code = status.code ?? 500;
  const body = JSON.stringify(status);
  const lines = [
    `HTTP/1.1 ${code} ${PHRASES[code] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
