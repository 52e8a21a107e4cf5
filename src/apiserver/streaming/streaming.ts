/**
 * Streams of a pod: exec, attach, port-forward and logs, from kubectl to the kubelet of the pod's node.
 *
 * Promises: SPDY/3.1 and WebSocket clients (v5 and v4.channel.k8s.io, SPDY/3.1+portforward.k8s.io) are ended here and relayed
 * to the kubelet's unix socket; what one side cannot take, the other is not asked for; whatever can be refused is refused
 * with a Status before the upgrade, in upstream's words.
 * Refuses: to authenticate, to authorize, and to look the pod up. The API server does that first.
 *
 * @example
 * const streaming = createStreaming({ kubeletSocket: (node) => `/run/fairlead/kubelet-${node}.sock` });
 * server.on('upgrade', (request, socket, head) => {
 *   // … authenticate, find the pod, then:
 *   void streaming.handleUpgrade(request, socket, head, pod, 'exec', url.searchParams);
 * });
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Duplex, Writable } from 'node:stream';
import type { Pod } from '../../kube/objects.ts';
import { failure, refuseUpgrade } from './refusal.ts';

export { failure, Refusal, refuseUpgrade } from './refusal.ts';

/** The subresources of a pod that are streams. */
export type StreamKind = 'exec' | 'attach' | 'portforward';

/** What {@link Streaming.handleLogs} needs of a response: both node:http and node:http2 have it. */
export type LogResponse = Writable & { writeHead(code: number, headers: OutgoingHttpHeaders): unknown };

export interface Streaming {
  /**
   * Serves `…/pods/NAME/{exec,attach,portforward}`: takes the socket over, answers it (101 or a Status), and resolves
   * when the session is set up or refused. Never rejects.
   */
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    pod: Pod,
    kind: StreamKind,
    query: URLSearchParams,
  ): Promise<void>;
  /** Serves `…/pods/NAME/log`: answers with text or a Status, and resolves when the answer has ended. Never rejects. */
  handleLogs(response: LogResponse, pod: Pod, query: URLSearchParams): Promise<void>;
}

export interface StreamingOptions {
  /** The unix socket on which the kubelet of a node serves HTTP/1.1. */
  readonly kubeletSocket: (node: string) => string;
  /** The clock, for sinceTime. */
  readonly now?: () => Date;
}

export function createStreaming(_options: StreamingOptions): Streaming {
  return {
    async handleUpgrade(_request, socket) {
      refuseUpgrade(socket, failure(503, 'streams are not served yet'));
    },
    async handleLogs(response) {
      response.writeHead(503, { 'content-type': 'application/json' });
      response.end(JSON.stringify(failure(503, 'logs are not served yet')));
    },
  };
}
