/**
 * Talking to a Kubernetes API server: ours over a unix socket, or any other through a kubeconfig.
 *
 * Promises: typed requests, server errors as {@link ApiError} with the Status the server sent; watches that notice silence
 * and start anew; informers whose cache is consistent with one revision.
 * Refuses: to hide an error. What the server refuses, the caller is told with status and reason.
 */
import type { KubeObject, Status } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly signal?: AbortSignal;
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
  list<T extends KubeObject>(resource: Resource, options?: ListOptions): Promise<List<T>>;
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
  /** Ends when the server ends it or the signal aborts. Events come in order; bookmarks included. */
  watch<T extends KubeObject>(
    resource: Resource,
    options: ListOptions & { readonly resourceVersion: string },
  ): AsyncIterable<WatchEvent<T>>;
  /** A raw request, for subresources such as binding and token. */
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

/** What an informer tells its handler; `old` is the object as the cache held it before. */
export interface InformerHandler<T extends KubeObject> {
  added?(object: T): void;
  updated?(object: T, old: T): void;
  deleted?(old: T): void;
  /** The first list has been delivered, or a relist after a gap. */
  synced?(): void;
}

/** A local cache of one resource, kept by list and watch. */
export interface Informer<T extends KubeObject> {
  readonly synced: Promise<void>;
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** Handlers are told of every object already held. */
  subscribe(handler: InformerHandler<T>): () => void;
  stop(): void;
}
