/**
 * Talking to a Kubernetes API server: ours over a unix socket, or any other through a kubeconfig.
 *
 * Promises: typed requests, server errors as {@link ApiError} with the Status the server sent; watches that notice silence
 * and start anew; informers whose cache is consistent with one revision.
 * Refuses: to hide an error. What the server refuses, the caller is told with status and reason.
 *
 * This file is the interface. {@link ./http-client.ts} speaks it over HTTP, {@link ./kubeconfig.ts} finds a server and its
 * credentials, {@link ./informer.ts} keeps a cache, {@link ./work-queue.ts} runs a controller, {@link ./event-recorder.ts}
 * writes Events.
 *
 * @example
 * const client = socketClient('/run/fairlead/admin.sock');
 * const services = createInformer<Service>(client, RESOURCES.services);
 * services.subscribe({ added: (service) => console.log(keyOf(service)) });
 */
import type { KubeObject, Status } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly signal?: AbortSignal;
}

/** What the caller keeps of an object. Applied page by page, so that a long list is never held as the server sends it. */
export interface Trimming<T extends KubeObject> {
  /** Name, namespace, uid and resourceVersion must stay. */
  readonly trim?: (object: T) => T;
}

export interface WatchOptions extends ListOptions {
  /** The revision after which events are wanted: that of a list, or of the last event or bookmark seen. */
  readonly resourceVersion: string;
  /** A watch without an event or bookmark for this long is broken; 75,000 ms unless said (bookmarks come every 60 s). */
  readonly silenceMs?: number;
}

export interface List<T extends KubeObject> {
  readonly resourceVersion: string;
  readonly items: readonly T[];
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: Status };

export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

/** The requests Fairlead's daemons make. Every method throws {@link ApiError} or Fault FE008. */
export interface KubeClient {
  list<T extends KubeObject>(resource: Resource, options?: ListOptions & Trimming<T>): Promise<List<T>>;
  get<T extends KubeObject>(resource: Resource, name: string, namespace?: string): Promise<T>;
  create<T extends KubeObject>(resource: Resource, object: T, namespace?: string): Promise<T>;
  /** Replaces; the object's resourceVersion makes it conditional. `subresource` is e.g. `status`. */
  update<T extends KubeObject>(resource: Resource, object: T, subresource?: string): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    type: PatchType,
    body: unknown,
    subresource?: string,
  ): Promise<T>;
  delete(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    options?: DeleteOptions,
  ): Promise<void>;
  /**
   * Ends when the server ends it or the signal aborts. Events come in order; bookmarks included. Throws {@link ApiError}
   * if the server refuses the watch (410 Gone: list again), Fault FE008 if the connection breaks or goes silent.
   */
  watch<T extends KubeObject>(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** A raw request, for subresources such as binding and token. `path` may carry a query. */
  request<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** An answer of the server that is not a success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  /** The machine-readable reason, e.g. NotFound, Conflict, AlreadyExists. */
  readonly reason: string;
  readonly status: Status;

  constructor(status: Status) {
    super(status.message ?? status.reason ?? `HTTP ${status.code}`);
    this.code = status.code ?? 500;
    this.reason = status.reason ?? 'Unknown';
    this.status = status;
  }

  static is(error: unknown, reason: string): error is ApiError {
    return error instanceof ApiError && error.reason === reason;
  }
}

/**
 * What an informer tells its handler, in the order of the revisions; `old` is the object as the cache held it before. The
 * cache already holds the new state when a handler runs. An object that was deleted and made anew under the same name is
 * told as deleted and added, also when both happened in a gap.
 */
export interface InformerHandler<T extends KubeObject> {
  added?(object: T): void;
  updated?(object: T, old: T): void;
  deleted?(last: T): void;
  /** The first list has been delivered, or a relist after a gap. */
  synced?(): void;
}

/** A local cache of one resource, kept by list and watch. */
export interface Informer<T extends KubeObject> {
  /** The first list is in the cache. Rejects when the informer is stopped before that. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** The object with this key ({@link keyOf}: `namespace/name` or `name`). Objects of the cache must not be changed. */
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** The objects that an indexer of the informer's options filed under this value. */
  lookup(index: string, value: string): readonly T[];
  /** Handlers are told of every object already held. Returns what ends the subscription. */
  subscribe(handler: InformerHandler<T>): () => void;
  stop(): void;
}
