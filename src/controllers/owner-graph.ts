import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';
import { isDeleting, uidOf } from './metadata.ts';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

export interface Owned {
  readonly resource: Resource;
  readonly object: KubeObject;
}

/** Who owns whom, by uid; fed by the informers of every resource. */
export class OwnerGraph {
  readonly #nodes = new Map<string, Owned>();
  readonly #dependents = new Map<string, Set<string>>();

  get(uid: string): Owned | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): Owned[] {
    const found = [...(this.#dependents.get(uid) ?? [])].map((one) => this.#nodes.get(one));
    return found.filter((one) => one !== undefined);
  }

  put(resource: Resource, object: KubeObject): void {
    this.remove(object);
    this.#nodes.set(uidOf(object), { resource, object });
    for (const owner of ownersOf(object)) {
      const dependents = this.#dependents.get(owner) ?? new Set();
      this.#dependents.set(owner, dependents.add(uidOf(object)));
    }
  }

  /** The object's dependents stay known: its deletion concerns them. */
  remove(object: KubeObject): void {
    const uid = uidOf(object);
    const before = this.#nodes.get(uid);
    this.#nodes.delete(uid);
    for (const owner of before === undefined ? [] : ownersOf(before.object)) {
      const dependents = this.#dependents.get(owner);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner);
    }
  }
}

export const ownersOf = (object: KubeObject): string[] =>
  (object.metadata?.ownerReferences ?? []).map(({ uid }) => uid);

export const hasFinalizer = (object: KubeObject, finalizer: string): boolean =>
  object.metadata?.finalizers?.includes(finalizer) ?? false;

/** Deleted, and waiting for those that depend on it to go first. */
export const awaitsDependents = (object: KubeObject): boolean =>
  isDeleting(object) && hasFinalizer(object, FOREGROUND);

/** Whether the dependent's reference holds its owner back (blockOwnerDeletion). */
export const blocks = ({ object }: Owned, owner: string): boolean =>
  object.metadata?.ownerReferences?.some((one) => one.uid === owner && one.blockOwnerDeletion === true) ??
  false;
