/**
 * The seam between the REST part of the API server and the relaying of byte streams to kubelets (pods/log, exec, attach,
 * portforward). The REST part authenticates, finds the Pod and answers 404; what implements {@link Streaming} speaks
 * SPDY/3.1 or WebSocket with the client and the kubelet's protocol with the node.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Pod } from '../kube/objects.ts';

/** What handlers use of node:http's and node:http2's requests; either is assignable. */
export interface ApiRequest extends Readable {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
}

/** What handlers use of node:http's and node:http2's responses; either is assignable. */
export interface ApiResponse {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  statusCode: number;
  setHeader(name: string, value: string | readonly string[]): unknown;
  flushHeaders(): void;
  write(chunk: string | Uint8Array): boolean;
  end(chunk?: string | Uint8Array): unknown;
  destroy(error?: Error): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
  once(event: 'close' | 'drain', listener: () => void): unknown;
}

export type StreamKind = 'exec' | 'attach' | 'portforward';

/** Relays streams between clients of the API and the kubelet of a Pod's node. */
export interface Streaming {
  /**
   * Answers GET pods/NAME/log. The query (container, follow, tailLines, …) is in `request.url`. Nothing has been written
   * to the response; a StatusError that is thrown before anything is written becomes its answer.
   */
  handleLogs(request: ApiRequest, response: ApiResponse, pod: Pod): Promise<void>;
  /**
   * Takes over the socket of an HTTP/1.1 Upgrade request (SPDY/3.1 by POST or GET, WebSocket by GET). The implementer writes
   * the 101 or the error answer itself and owns the socket from here on.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, pod: Pod, kind: StreamKind): void;
}

/** How {@link Streaming} reaches a node's kubelet; the default finds its unix socket by the node's name. */
export interface NodeConnector {
  /** Where the kubelet of this node listens, e.g. `/run/fairlead/kubelet-n1.sock`. */
  socketPath(node: string): string;
}
