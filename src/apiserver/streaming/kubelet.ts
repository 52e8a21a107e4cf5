/**
 * The kubelet's side: its streaming endpoints, over its unix socket.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import type { Status } from '../../kube/objects.ts';
import { StatusError } from '../status.ts';
import { ChannelSocket } from './channels.ts';
import { refused } from './refusal.ts';

const PROTOCOL = 'v5.channel.k8s.io';
const HANDSHAKE_MS = 30_000;
/** More than any message of a kubelet; one that is longer breaks the session rather than the server. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Opens a stream session. Throws StatusError: what the kubelet answered, or 500 if there is none. */
export function dialKubelet(socketPath: string, path: string): Promise<ChannelSocket> {
  const socket = new WebSocket(`ws+unix:${socketPath}:${path}`, [PROTOCOL], {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.off('error', failed);
      resolve(new ChannelSocket(socket, 'kubelet'));
    });
    socket.once('unexpected-response', (_request, response) => {
      socket.off('error', failed);
      // Ending a handshake halfway makes ws report an error of its own; the kubelet's answer is the better one.
      socket.on('error', () => socket.terminate());
      answerOf(response)
        .then(reject, reject)
        .finally(() => socket.terminate());
    });
    const failed = (error: Error) => reject(unreachable(error));
    socket.once('error', failed);
  });
}

/** Throws StatusError 500 if no kubelet listens. */
export async function probeKubelet(socketPath: string): Promise<void> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw unreachable(error);
  } finally {
    socket.destroy();
  }
}

/** A GET whose answer is a stream of text. Throws StatusError: what the kubelet answered, or 500 if there is none. */
export async function getFromKubelet(
  socketPath: string,
  path: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const outgoing = request({ socketPath, path, headers: { host: 'kubelet' }, signal });
  outgoing.end();
  let response: IncomingMessage;
  try {
    [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  } catch (error) {
    throw unreachable(error);
  }
  if (response.statusCode === 200) return response;
  throw await answerOf(response);
}

/** In the words of upstream's proxy to the kubelet. */
const unreachable = (error: unknown): StatusError =>
  refused(500, `error dialing backend: ${error instanceof Error ? error.message : String(error)}`);

/** What the kubelet refused with, as an error. */
async function answerOf(response: IncomingMessage): Promise<StatusError> {
  const body = await text(response);
  const status = statusIn(body);
  if (status === undefined) return refused(response.statusCode ?? 500, body.trim());
  const { code = 500, reason = '', message = '', details } = status;
  return new StatusError(code, reason, message, details);
}

/** A Status, if the text is one. */
export function statusIn(body: string): Status | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // Kubelets also answer in plain text; the caller makes a Status of it.
    return undefined;
  }
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status'
    ? (value as Status)
    : undefined;
}
