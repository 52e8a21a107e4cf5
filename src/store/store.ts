/**
 * Where the API server keeps its objects.
 *
 * Promises:
 * - One revision source. Every commit that changes something gets the next revision; all its changes carry it.
 * - What {@link ObjectStore.commit} acknowledged survives SIGKILL and a power cut; what it did not acknowledge is there wholly
 *   or not at all.
 * - Conditions are checked and applied in one step: of two commits that expect the same revision of a key, one succeeds.
 * - Watchers get every change after their revision once, in order, and only after it is durable.
 * - A list is a consistent picture of one revision, also when it is read in pages.
 * Refuses: to serve history below {@link ObjectStore.oldest}; it says {@link Gone} and the reader lists anew. Knows nothing of
 * Kubernetes: values are opaque text.
 *
 * Keys are paths such as `core/pods/default/nginx`. A driver implements {@link ObjectStore}; store-contract.ts holds the
 * tests that each driver passes.
 *
 * @example
 * const store = openSqliteStore('/var/lib/fairlead/objects.db');
 * await store.commit([{ key: 'core/pods/default/a', value: '{}', expect: 0 }]);
 * (await store.list('core/pods/')).entries; // [{ key: 'core/pods/default/a', … }]
 */

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** The revision that created the key. */
  readonly createRevision: number;
  /** The revision that last changed it. */
  readonly modRevision: number;
}

/**
 * One key's part of a commit. Without `value` the key is deleted. `expect` is the key's modRevision as the writer knows it,
 * 0 for "does not exist"; left out, the change is unconditional (deleting what is not there does nothing).
 */
export interface Change {
  readonly key: string;
  readonly value?: string;
  readonly expect?: number;
}

export type Outcome =
  | {
      readonly ok: true;
      /** The revision of this commit; the current one if nothing had to change. */
      readonly revision: number;
      /** The entries as they now are, in the order of the changes; undefined where the key was deleted. */
      readonly entries: readonly (Entry | undefined)[];
    }
  | { readonly ok: false; readonly key: string; readonly current: Entry | undefined };

export interface ListOptions {
  /** At most so many entries; all unless given. */
  readonly limit?: number;
  /** Only keys after this one: the last key of the page before. */
  readonly after?: string;
  /** The revision whose picture is wanted, for pages after the first; the newest unless given. */
  readonly revision?: number;
}

export interface Page {
  readonly revision: number;
  readonly entries: readonly Entry[];
  /** How many entries follow this page. */
  readonly remaining: number;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly revision: number;
  readonly key: string;
  /** The entry as it now is; for a delete, the last value with the delete's revision. */
  readonly entry: Entry;
  /** The entry before; undefined if the change created the key. */
  readonly previous: Entry | undefined;
}

export interface WatchHandler {
  /** Changes under the prefix, oldest first; all of one commit come in one call. */
  events(events: readonly StoreEvent[]): void;
  /** The watch has ended and no more events come: {@link Gone}, or the driver's failure. Not called after `close`. */
  ended(error: Error): void;
}

export interface Watch {
  /** Every change up to this revision has been handed over. */
  readonly progress: number;
  close(): void;
}

/** The history that was asked for has been compacted away. */
export class Gone extends Error {
  override readonly name = 'Gone';
  readonly oldest: number;

  constructor(asked: number, oldest: number) {
    super(`too old resource version: ${asked} (${oldest})`);
    this.oldest = oldest;
  }
}

export interface ObjectStore {
  /** The newest committed revision; at least 1. */
  readonly revision: number;
  /** Watches and pages at this revision and later can be served. */
  readonly oldest: number;
  get(key: string): Promise<Entry | undefined>;
  /** Entries whose key starts with `prefix`, in key order. Rejects with {@link Gone} if the revision is too old. */
  list(prefix: string, options?: ListOptions): Promise<Page>;
  /** All changes or none. Keys are distinct. */
  commit(changes: readonly Change[]): Promise<Outcome>;
  /** Changes under `prefix` after `from`. The handler is called later, never from within this call. */
  watch(prefix: string, from: number, handler: WatchHandler): Watch;
  /** Forgets the history below the revision. */
  compact(revision: number): Promise<void>;
  /** Ends watches silently, commits what is under way and releases the files. */
  close(): Promise<void>;
}
