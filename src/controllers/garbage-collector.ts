/**
 * Garbage collection by owner references. An object whose owners are all gone is deleted (background); an owner deleted
 * in the foreground waits for the dependents that block it; with the policy Orphan dependents lose the reference and live on.
 */
import { ApiError } from '../client/client.ts';
import type { KubeObject, OwnerReference } from '../kube/objects.ts';
import { type Resource, resourceOf } from '../kube/resources.ts';
import { type Context, queueOf } from './context.ts';
import { isDeleting, keyPartsOf, namespaceOf, uidOf } from './metadata.ts';
import {
  awaitsDependents,
  blocks,
  FOREGROUND,
  hasFinalizer,
  ORPHAN,
  type Owned,
  OwnerGraph,
  ownersOf,
} from './owner-graph.ts';
import { sameJson } from './same-json.ts';

/** uids known to be gone; each answer is one request saved. */
const REMEMBERED = 10_000;

export function startGarbageCollector(context: Context): void {
  const { client, informers } = context;
  const graph = new OwnerGraph();
  const queue = queueOf(context, 'garbage', sync, 16);
  const gone = new Set<string>();
  const synced = Promise.all([...informers.all.values()].map((informer) => informer.synced));
  // The syncs wait for it and report its failure.
  synced.catch(() => undefined);

  for (const [resource, informer] of informers.all) {
    informer.subscribe({
      added: (object) => {
        graph.put(resource, object);
        if (ownersOf(object).length > 0 || isDeleting(object)) queue.add(uidOf(object));
      },
      updated: (object, old) => {
        graph.put(resource, object);
        if (!sameJson(factsOf(object), factsOf(old))) queue.add(uidOf(object));
        for (const owner of ownersOf(old)) wakeWaiting(owner);
      },
      deleted: forget,
    });
  }

  function forget(object: KubeObject): void {
    graph.remove(object);
    gone.add(uidOf(object));
    const [oldest] = gone;
    if (gone.size > REMEMBERED && oldest !== undefined) gone.delete(oldest);
    for (const dependent of graph.dependentsOf(uidOf(object))) queue.add(uidOf(dependent.object));
    for (const owner of ownersOf(object)) wakeWaiting(owner);
  }

  function wakeWaiting(uid: string): void {
    const owner = graph.get(uid);
    if (owner !== undefined && awaitsDependents(owner.object)) queue.add(uid);
  }

  async function sync(uid: string): Promise<void> {
    await synced;
    const node = graph.get(uid);
    if (node === undefined) return;
    if (!isDeleting(node.object)) await collect(node);
    else if (hasFinalizer(node.object, ORPHAN)) await orphan(node);
    else if (hasFinalizer(node.object, FOREGROUND)) await deleteDependents(node);
  }

  /** Deletes the object if nobody keeps it, or takes out the references to those that are gone. */
  async function collect(node: Owned): Promise<void> {
    const references = node.object.metadata?.ownerReferences ?? [];
    const states = await Promise.all(references.map((reference) => stateOf(node, reference)));
    const kept = references.filter((_reference, at) => states[at] === 'there');
    if (kept.length === references.length) return;
    if (kept.length > 0) await patch(node, { ownerReferences: kept });
    else await remove(node, states.includes('waiting') && graph.dependentsOf(uidOf(node.object)).length > 0);
  }

  async function stateOf(node: Owned, reference: OwnerReference): Promise<'there' | 'gone' | 'waiting'> {
    const owner = graph.get(reference.uid);
    if (owner !== undefined) return awaitsDependents(owner.object) ? 'waiting' : 'there';
    if (gone.has(reference.uid)) return 'gone';
    const resource = resourceOf(reference.apiVersion, reference.kind);
    // Of a kind that is not served nothing can be said, and nothing is deleted on a guess.
    if (resource === undefined) return 'there';
    return (await exists(resource, node.object, reference)) ? 'there' : 'gone';
  }

  async function exists(resource: Resource, object: KubeObject, reference: OwnerReference): Promise<boolean> {
    try {
      const namespace = resource.namespaced ? namespaceOf(object) : undefined;
      const found = await client.get(resource, reference.name, namespace);
      return uidOf(found) === reference.uid;
    } catch (error) {
      if (ApiError.is(error, 'NotFound')) return false;
      throw error;
    }
  }

  async function deleteDependents(owner: Owned): Promise<void> {
    const uid = uidOf(owner.object);
    const dependents = graph.dependentsOf(uid);
    for (const { object } of dependents) if (!isDeleting(object)) queue.add(uidOf(object));
    if (!dependents.some((dependent) => blocks(dependent, uid))) await dropFinalizer(owner, FOREGROUND);
  }

  async function orphan(owner: Owned): Promise<void> {
    const uid = uidOf(owner.object);
    const release = (dependent: Owned) => {
      const others = dependent.object.metadata?.ownerReferences?.filter((one) => one.uid !== uid) ?? [];
      return patch(dependent, { ownerReferences: others });
    };
    await Promise.all(graph.dependentsOf(uid).map(release));
    await dropFinalizer(owner, ORPHAN);
  }

  const dropFinalizer = (node: Owned, finalizer: string): Promise<void> =>
    patch(node, { finalizers: node.object.metadata?.finalizers?.filter((one) => one !== finalizer) ?? [] });

  /** The revision makes it void when the object has changed: then the watch brings it here again. */
  async function patch({ resource, object }: Owned, change: object): Promise<void> {
    const { uid, resourceVersion } = object.metadata ?? {};
    await ifThere(
      client.patch(resource, keyPartsOf(object), 'merge', { metadata: { uid, resourceVersion, ...change } }),
    );
  }

  async function remove({ resource, object }: Owned, foreground: boolean): Promise<void> {
    const keepsDependents = hasFinalizer(object, ORPHAN);
    const propagationPolicy = keepsDependents ? 'Orphan' : foreground ? 'Foreground' : 'Background';
    // As upstream: an owner that took the object in meanwhile changed its revision, and the deletion is refused.
    const { resourceVersion } = object.metadata ?? {};
    const preconditions = {
      uid: uidOf(object),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    await ifThere(client.delete(resource, keyPartsOf(object), { propagationPolicy, preconditions }));
  }
}

const factsOf = ({ metadata }: KubeObject) => [
  metadata?.ownerReferences,
  metadata?.finalizers,
  metadata?.deletionTimestamp,
];

async function ifThere(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!ApiError.is(error, 'NotFound')) throw error;
  }
}
