import { type KubeObject, keyOf } from '../kube/objects.ts';

/** One difference between two states of a cache. */
export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly object: T };

/** Files an object under any number of values, e.g. a pod under its node's name. */
export type Indexer<T> = (object: T) => readonly string[];

/**
 * The objects of one resource by key and by indexers. Every change of state goes through {@link replace} or {@link apply},
 * which answer with the differences: replaying all of them, in order, from nothing gives the state.
 */
export class Cache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();

  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}) {
    for (const [name, indexer] of Object.entries(indexers)) this.#indexes.set(name, new Index(indexer));
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Throws RangeError for an index that was not asked for. */
  lookup(index: string, value: string): readonly T[] {
    const found = this.#indexes.get(index);
    if (found === undefined) throw new RangeError(`no index '${index}'`);
    return found.get(value);
  }

  /** The state becomes that of a list. Deletions come first, so that a name that changed hands is free before it is taken. */
  replace(objects: readonly T[]): Change<T>[] {
    const keys = new Set(objects.map(keyOf));
    const gone = [...this.#objects].filter(([key]) => !keys.has(key));
    const deleted = gone.map(([key, object]): Change<T> => {
      this.#remove(key);
      return { type: 'deleted', object };
    });
    return [...deleted, ...objects.flatMap((object) => this.#set(object))];
  }

  /** The state after an event of a watch. What the cache already holds changes nothing. */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): Change<T>[] {
    if (type !== 'DELETED') return this.#set(object);
    const key = keyOf(object);
    if (!this.#objects.has(key)) return [];
    this.#remove(key);
    return [{ type: 'deleted', object }];
  }

  #set(object: T): Change<T>[] {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata?.uid !== object.metadata?.uid) {
      this.#remove(key);
      this.#put(key, object);
      return [
        { type: 'deleted', object: old },
        { type: 'added', object },
      ];
    }
    if (old !== undefined && sameRevision(old, object)) return [];
    if (old !== undefined) this.#remove(key);
    this.#put(key, object);
    return [old === undefined ? { type: 'added', object } : { type: 'updated', object, old }];
  }

  #put(key: string, object: T): void {
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) index.put(key, object);
  }

  #remove(key: string): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) index.remove(key, object);
  }
}

function sameRevision(a: KubeObject, b: KubeObject): boolean {
  const revision = a.metadata?.resourceVersion;
  return revision !== undefined && revision === b.metadata?.resourceVersion;
}

class Index<T> {
  readonly #indexer: Indexer<T>;
  readonly #filed = new Map<string, Map<string, T>>();

  constructor(indexer: Indexer<T>) {
    this.#indexer = indexer;
  }

  get(value: string): readonly T[] {
    return [...(this.#filed.get(value)?.values() ?? [])];
  }

  put(key: string, object: T): void {
    for (const value of this.#indexer(object)) {
      const filed = this.#filed.get(value);
      if (filed === undefined) this.#filed.set(value, new Map([[key, object]]));
      else filed.set(key, object);
    }
  }

  remove(key: string, object: T): void {
    for (const value of this.#indexer(object)) {
      const filed = this.#filed.get(value);
      filed?.delete(key);
      if (filed?.size === 0) this.#filed.delete(value);
    }
  }
}
