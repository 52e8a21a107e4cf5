import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { badRequest, tooLarge } from './status.ts';

/** Requests come by HTTP/2 (node:http2's compatibility API) or by HTTP/1.1. */
export type ApiRequest = IncomingMessage | Http2ServerRequest;

/** The part both kinds of response share; their own types differ in ways that do not matter here. */
export interface ApiResponse {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  writeHead(code: number, headers: Record<string, string | string[]>): unknown;
  write(chunk: string): boolean;
  end(chunk?: string | Uint8Array): unknown;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

export const asResponse = (response: ServerResponse | Http2ServerResponse): ApiResponse =>
  response as ApiResponse;

/** Upstream's limit on a request's body (server.MaxRequestBodyBytes). */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** The whole body. Throws 413 past {@link MAX_BODY_BYTES}; the rest is then read and dropped. */
export function readBody(request: ApiRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
      else if (chunks.length > 0) {
        chunks = [];
        reject(tooLarge(MAX_BODY_BYTES));
      }
    });
    request.once('end', () => (size <= MAX_BODY_BYTES ? resolve(Buffer.concat(chunks)) : undefined));
    request.once('aborted', () => reject(badRequest('the request ended before its body did')));
    request.once('error', reject);
  });
}

/** The first value of a header. */
export function headerOf(request: ApiRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
