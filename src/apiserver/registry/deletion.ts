/** Deleting: at once, after a while (pods), or when the last finalizer is removed. */
import { RESOURCES, type Resource } from '../../kube/resources.ts';
import type { Entry } from '../../store/store.ts';
import { conflict, forbidden, modified } from '../status.ts';
import { timestamp, uidMismatch } from './metadata.ts';
import type { Registry, WriteOptions } from './registry.ts';
import { type AnyObject, decode, encode, type ObjectKey } from './stored.ts';
import { strategyOf } from './strategy.ts';

/** meta/v1 DeleteOptions, as far as it is obeyed. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface Deletion {
  /** The object as it last was, or as it now is while something holds it. */
  readonly object: AnyObject;
  readonly removed: boolean;
}

/** registry/core/namespace: these the cluster cannot be without (NamespaceLifecycle admission). */
const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

/** Throws NotFound, Conflict (preconditions), Forbidden (namespaces that may not go). */
export async function deleteObject(
  registry: Registry,
  key: ObjectKey,
  options: DeleteOptions,
  write: WriteOptions,
): Promise<Deletion> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const entry = await registry.get(key);
    const old = decode(entry);
    checkPreconditions(key, old, options);
    checkNamespace(key, old);
    const marked = mark(key.resource, old, options, registry.now());
    const done = await carryOut(registry, key, entry, marked, write);
    if (done !== undefined) return done;
  }
  throw modified(key.resource, key.name);
}

/** Undefined if the entry was not the newest any more. */
async function carryOut(
  registry: Registry,
  key: ObjectKey,
  entry: Entry,
  marked: AnyObject | 'remove' | 'keep',
  { dryRun = false }: WriteOptions,
): Promise<Deletion | undefined> {
  const old = decode(entry);
  if (marked === 'keep') return { object: old, removed: false };
  if (marked === 'remove') {
    return dryRun || (await registry.remove(key, entry)) ? { object: old, removed: true } : undefined;
  }
  if (dryRun) return { object: marked, removed: false };
  const change = { key: entry.key, value: encode(marked), expect: entry.modRevision };
  const outcome = await registry.store.commit([change]);
  const stored = outcome.ok ? outcome.entries[0] : undefined;
  return stored === undefined ? undefined : { object: decode(stored), removed: false };
}

/** What the request makes of the object: gone, marked, or left as it is because its deletion is under way. */
function mark(
  resource: Resource,
  old: AnyObject,
  options: DeleteOptions,
  now: number,
): AnyObject | 'remove' | 'keep' {
  const strategy = strategyOf(resource);
  const finalizers = finalizersAfter(old, options);
  const grace = strategy.graceSeconds(old, options.gracePeriodSeconds);
  const held = finalizers.length > 0 || strategy.heldBySpec(old);
  if (grace === 0 && !held) return 'remove';
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = old.metadata;
  const same = finalizers.length === (old.metadata.finalizers ?? []).length;
  if (deletionTimestamp !== undefined && grace >= deletionGracePeriodSeconds && same) return 'keep';
  return begin(resource, old, finalizers, deletionTimeOf(old, grace, now));
}

/** A deletion that has begun can only be brought forward (upstream: rest.BeforeDelete). */
function deletionTimeOf(old: AnyObject, grace: number, now: number): { at: string; grace: number } {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = old.metadata;
  if (deletionTimestamp === undefined) return { at: timestamp(now + grace * 1000), grace };
  const shorter = Math.min(grace, deletionGracePeriodSeconds);
  const at = Date.parse(deletionTimestamp) - (deletionGracePeriodSeconds - shorter) * 1000;
  return { at: timestamp(at), grace: shorter };
}

function begin(
  resource: Resource,
  old: AnyObject,
  finalizers: readonly string[],
  time: { readonly at: string; readonly grace: number },
): AnyObject {
  const object = structuredClone(old);
  const { finalizers: _finalizers, ...metadata } = object.metadata;
  const { generation } = metadata;
  object.metadata = {
    ...metadata,
    ...(finalizers.length === 0 ? {} : { finalizers: [...finalizers] }),
    ...(generation === undefined || metadata.deletionTimestamp ? {} : { generation: generation + 1 }),
    deletionTimestamp: time.at,
    deletionGracePeriodSeconds: time.grace,
  };
  strategyOf(resource).beginDeletion(object);
  return object;
}

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';

/** The garbage collector reads the policy from the finalizers. Without a policy those that stand stay. */
function finalizersAfter(old: AnyObject, options: DeleteOptions): string[] {
  const standing = old.metadata.finalizers ?? [];
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === undefined ? undefined : options.orphanDependents ? 'Orphan' : 'Background');
  if (policy === undefined) return [...standing];
  const others = standing.filter((one) => one !== ORPHAN && one !== FOREGROUND);
  if (policy === 'Background') return others;
  return [...others, policy === 'Orphan' ? ORPHAN : FOREGROUND];
}

function checkPreconditions(
  { resource, name }: ObjectKey,
  old: AnyObject,
  { preconditions }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== old.metadata.uid)
    throw conflict(resource, name, uidMismatch(uid, old.metadata.uid));
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
    const actual = old.metadata.resourceVersion ?? '';
    throw conflict(
      resource,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${actual}`,
    );
  }
}

function checkNamespace({ resource, name }: ObjectKey, old: AnyObject): void {
  if (resource.plural !== RESOURCES.namespaces.plural) return;
  if (IMMORTAL.has(name)) throw forbidden(resource, name, 'this namespace may not be deleted');
  if (old.metadata.deletionTimestamp === undefined || !strategyOf(resource).heldBySpec(old)) return;
  throw conflict(
    resource,
    name,
    'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.',
  );
}
