import type { Informer } from '../client/client.ts';
import { type KubeObject, keyOf } from '../kube/objects.ts';
import { revisionOf, uidOf } from './metadata.ts';

/** Deletions remembered against answers that arrive after them. */
const REMEMBERED = 1024;

/**
 * An informer's cache as it will be once the writes made through it have come back. A controller that counts its pods
 * right after creating one must count that one, though the watch has not told it yet: client-go waits for the watch
 * ("expectations"), this remembers the server's answers instead and so never waits.
 */
export class OwnWrites<T extends KubeObject> {
  readonly #informer: Informer<T>;
  /** Answers newer than the cache, by key. */
  readonly #put = new Map<string, T>();
  /** What was deleted and the cache still holds, by uid: the revision at which it was. */
  readonly #dropped = new Map<string, number>();
  /** uids the watch has told deleted. */
  readonly #gone = new Set<string>();

  constructor(informer: Informer<T>) {
    this.#informer = informer;
    const seen = (object: T) => this.#seen(object);
    informer.subscribe({ added: seen, updated: seen, deleted: (object) => this.#deleted(object) });
  }

  get(key: string): T | undefined {
    const put = this.#put.get(key);
    const held = put ?? this.#informer.get(key);
    return held === undefined || this.#isDropped(held) ? undefined : held;
  }

  /** `objects` of the informer, corrected by what was written; `belongs` says which new ones are of their kind. */
  correct(objects: readonly T[], belongs: (object: T) => boolean): T[] {
    const corrected = new Map(objects.map((object) => [keyOf(object), object]));
    for (const [key, object] of this.#put) {
      if (belongs(object)) corrected.set(key, object);
      else corrected.delete(key);
    }
    return [...corrected.values()].filter((object) => !this.#isDropped(object));
  }

  /** The server's answer to a create, update or patch. */
  put(object: T): void {
    const key = keyOf(object);
    const held = this.#informer.get(key);
    const isOld =
      held !== undefined && uidOf(held) === uidOf(object) && revisionOf(held) >= revisionOf(object);
    if (isOld || this.#gone.has(uidOf(object))) return;
    this.#put.set(key, object);
  }

  /** The object was deleted, or is about to be: a graceful deletion shows when the watch tells the new state. */
  drop(object: T): void {
    if (this.#gone.has(uidOf(object))) return;
    this.#dropped.set(uidOf(object), revisionOf(object));
  }

  #isDropped(object: T): boolean {
    const at = this.#dropped.get(uidOf(object));
    return at !== undefined && revisionOf(object) <= at;
  }

  #seen(object: T): void {
    const key = keyOf(object);
    const put = this.#put.get(key);
    const isNews =
      put !== undefined && (uidOf(put) !== uidOf(object) || revisionOf(object) >= revisionOf(put));
    if (isNews) this.#put.delete(key);
    const dropped = this.#dropped.get(uidOf(object));
    if (dropped !== undefined && revisionOf(object) > dropped) this.#dropped.delete(uidOf(object));
  }

  #deleted(object: T): void {
    const key = keyOf(object);
    if (uidOf(this.#put.get(key) ?? object) === uidOf(object)) this.#put.delete(key);
    this.#dropped.delete(uidOf(object));
    this.#gone.add(uidOf(object));
    const [oldest] = this.#gone;
    if (this.#gone.size > REMEMBERED && oldest !== undefined) this.#gone.delete(oldest);
  }
}
