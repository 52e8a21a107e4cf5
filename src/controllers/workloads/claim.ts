import { ApiError, type Informer, type KubeClient } from '../../client/client.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { Resource } from '../../kube/resources.ts';
import { BY_CONTROLLER, ORPHANS } from '../context.ts';
import { controllerReference, isDeleting, keyPartsOf, namespaceOf, uidOf } from '../metadata.ts';
import type { OwnWrites } from '../own-writes.ts';
import { type LabelSelector, selects } from '../selector.ts';

export interface Claims<T extends KubeObject> {
  readonly client: KubeClient;
  readonly owner: KubeObject & { readonly spec?: { readonly selector: LabelSelector } };
  readonly ownerResource: Resource;
  readonly resource: Resource;
  readonly informer: Informer<T>;
  readonly writes: OwnWrites<T>;
  /** Whether an orphan with fitting labels may be adopted. */
  readonly adopts?: (orphan: T) => boolean;
}

/**
 * The objects an owner controls: takes in orphans its selector matches and lets go what it matches no longer (upstream's
 * ControllerRefManager). `kubectl label pod web-1 app=debug --overwrite` takes a pod out of its ReplicaSet this way.
 */
export async function claim<T extends KubeObject>(claims: Claims<T>): Promise<T[]> {
  const { owner, informer, writes } = claims;
  const matches = (object: T) => selects(owner.spec?.selector, object.metadata?.labels);
  const isOwned = (object: T) =>
    object.metadata?.ownerReferences?.some((one) => one.controller && one.uid === uidOf(owner)) ?? false;
  const owned = writes.correct(informer.lookup(BY_CONTROLLER, uidOf(owner)), isOwned);
  if (isDeleting(owner)) return owned;
  const kept = owned.filter(matches);
  for (const object of owned) if (!matches(object) && !isDeleting(object)) await release(claims, object);
  const orphans = informer
    .lookup(ORPHANS, namespaceOf(owner))
    .filter((one) => matches(one) && !isDeleting(one) && (claims.adopts?.(one) ?? true))
    .filter((one) => !owned.some((mine) => uidOf(mine) === uidOf(one)));
  for (const orphan of orphans) {
    const adopted = await adopt(claims, orphan);
    if (adopted !== undefined) kept.push(adopted);
  }
  return kept;
}

async function adopt<T extends KubeObject>(claims: Claims<T>, orphan: T): Promise<T | undefined> {
  const reference = controllerReference(claims.owner, claims.ownerResource);
  return patchOwners(claims, orphan, [...(orphan.metadata?.ownerReferences ?? []), reference]);
}

async function release<T extends KubeObject>(claims: Claims<T>, object: T): Promise<void> {
  const others = (object.metadata?.ownerReferences ?? []).filter(({ uid }) => uid !== uidOf(claims.owner));
  await patchOwners(claims, object, others);
}

/** The uid makes the patch void when the name has passed to another object. */
async function patchOwners<T extends KubeObject>(
  { client, resource, writes }: Claims<T>,
  object: T,
  ownerReferences: readonly unknown[],
): Promise<T | undefined> {
  try {
    const { resourceVersion } = object.metadata ?? {};
    const body = { metadata: { uid: uidOf(object), resourceVersion, ownerReferences } };
    const patched = await client.patch<T>(resource, keyPartsOf(object), 'merge', body);
    writes.put(patched);
    return patched;
  } catch (error) {
    if (ApiError.is(error, 'NotFound')) return undefined;
    throw error;
  }
}
