/**
 * Streams of a pod: exec, attach, port-forward and logs, from kubectl to the kubelet of the pod's node; and what else a
 * kubelet is asked by way of its node (`nodes/NAME/proxy`).
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
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Pod } from '../../kube/objects.ts';
import { type LogResponse, serveLogs, serveNodeProxy } from './logs.ts';
import { servePortForward } from './port-forward.ts';
import { refuseUpgrade, statusOf } from './refusal.ts';
import { serveRemoteCommand } from './remote-command.ts';
import { execTarget, nodeOf, streamsOf } from './target.ts';

export type { LogResponse } from './logs.ts';
export { refuseUpgrade } from './refusal.ts';

/** The subresources of a pod that are streams. */
export type StreamKind = 'exec' | 'attach' | 'portforward';

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
  /** Serves a GET of `nodes/NAME/proxy/PATH`: answers as the node's kubelet does, or with a Status. Never rejects. */
  handleNodeProxy(response: LogResponse, node: string, path: string): Promise<void>;
}

export interface StreamingOptions {
  /** The unix socket on which the kubelet of a node serves HTTP/1.1. */
  readonly kubeletSocket: (node: string) => string;
  /** The clock, for sinceTime. */
  readonly now?: () => Date;
}

export function createStreaming({ kubeletSocket, now = () => new Date() }: StreamingOptions): Streaming {
  return {
    async handleUpgrade(request, socket, head, pod, kind, query) {
      // A client that breaks off ends its session through 'close'; the error itself needs no answer.
      socket.on('error', () => socket.destroy());
      const upgrade = { request, socket, head };
      try {
        if (kind === 'portforward') {
          await servePortForward(upgrade, kubeletSocket(nodeOf(pod)), pod);
          return;
        }
        const { node, path } = execTarget(pod, kind, query);
        await serveRemoteCommand(upgrade, kubeletSocket(node), path, streamsOf(query));
      } catch (error) {
        refuseUpgrade(socket, statusOf(error));
      }
    },
    handleLogs: (response, pod, query) => serveLogs(response, kubeletSocket, pod, query, now()),
    handleNodeProxy: (response, node, path) => serveNodeProxy(response, kubeletSocket(node), path),
  };
}
