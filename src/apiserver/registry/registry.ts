/**
 * Creating, replacing and deleting objects of every resource, with the rules all of them share.
 *
 * Promises: what is stored has defaults, is valid, and has the metadata the server alone decides; status and content are
 * written through their own doors; an object with finalizers is only marked, and goes when the last one is removed.
 * Refuses: to read requests or write answers; what cannot be done is thrown as a {@link StatusError}.
 *
 * @example
 * const registry = new Registry({ store, services, now: Date.now });
 * const pod = await registry.create(RESOURCES.pods, 'default', manifest, {});
 */
import { isDeepStrictEqual } from 'node:util';
import { applyDefaults } from '../../kube/defaults.ts';
import { RESOURCES, type Resource } from '../../kube/resources.ts';
import {
  type FieldError,
  toStatus,
  validateCreate,
  validateUpdate,
} from '../../kube/validation/validation.ts';
import type { Entry, ObjectStore } from '../../store/store.ts';
import type { ServiceAllocator } from '../services/service-allocator.ts';
import { alreadyExists, forbidden, internal, modified, notFound, StatusError } from '../status.ts';
import { contentOf, keptMetadata, newMetadata, settleNamespace } from './metadata.ts';
import { type AnyObject, decode, encode, type ObjectKey, storeKeyOf } from './stored.ts';
import { strategyOf } from './strategy.ts';

export interface RegistryOptions {
  readonly store: ObjectStore;
  readonly services: ServiceAllocator;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface WriteOptions {
  readonly dryRun?: boolean;
}

export interface UpdateOptions extends WriteOptions {
  /** The door: `status`, `finalize`, `binding`; the object itself unless given. */
  readonly subresource?: string;
  /** PUT: the object replaces whatever is there, and may be made where the resource allows that. */
  readonly replace?: boolean;
}

/** How often a change without a resourceVersion is tried again on what others made of the object meanwhile. */
const ATTEMPTS = 20;

export class Registry {
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly services: ServiceAllocator;

  constructor(options: RegistryOptions) {
    this.store = options.store;
    this.now = options.now;
    this.services = options.services;
  }

  /** Throws NotFound. */
  async get(key: ObjectKey): Promise<Entry> {
    const entry = await this.store.get(storeKeyOf(key));
    if (entry === undefined) throw notFound(key.resource, key.name);
    return entry;
  }

  /** `input` is decoded and of the resource's kind. Throws AlreadyExists, Invalid, Forbidden, NotFound (namespace). */
  async create(
    resource: Resource,
    namespace: string | undefined,
    input: AnyObject,
    options: WriteOptions,
  ): Promise<AnyObject> {
    const object = structuredClone(input);
    object.metadata ??= {};
    settleNamespace(resource, object.metadata, namespace);
    const strategy = strategyOf(resource);
    object.metadata = newMetadata(object.metadata, strategy.generation, this.now());
    await this.#admitToNamespace(resource, object);
    strategy.prepareForCreate(object);
    const ready = applyDefaults(resource, object, { serviceFamilies: this.services.families });
    const name = ready.metadata.name ?? '';
    refuse(resource, name, validateCreate(resource, ready));
    const reservation = this.services.reserve(resource, ready, undefined);
    try {
      const key = storeKeyOf({ resource, namespace, name });
      if (options.dryRun) {
        if ((await this.store.get(key)) !== undefined) throw alreadyExists(resource, name);
        reservation.cancel();
        return ready;
      }
      const outcome = await this.store.commit([{ key, value: encode(ready), expect: 0 }]);
      if (!outcome.ok) throw alreadyExists(resource, name);
      reservation.confirm();
      return decodeFirst(outcome.entries);
    } catch (error) {
      reservation.cancel();
      throw error;
    }
  }

  /**
   * Replaces an object by what `change` makes of it. `change` must not alter what it is given; it runs again when somebody
   * else was faster, unless its result names a resourceVersion: then that is a Conflict.
   */
  async update(
    key: ObjectKey,
    change: (current: AnyObject | undefined) => AnyObject | Promise<AnyObject>,
    options: UpdateOptions,
  ): Promise<{ readonly object: AnyObject; readonly created: boolean }> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const entry = await this.store.get(storeKeyOf(key));
      if (entry === undefined)
        return { object: await this.#createInstead(key, change, options), created: true };
      const old = decode(entry);
      const asked = await change(old);
      const version = versionOf(asked);
      if (version !== '' && version !== old.metadata.resourceVersion) throw modified(key.resource, key.name);
      if (version === '' && options.replace && !strategyOf(key.resource).unconditionalUpdate) {
        throw versionRequired(key);
      }
      const object = await this.#replace(key, entry, asked, options);
      if (object !== undefined) return { object, created: false };
      if (version !== '') throw modified(key.resource, key.name);
    }
    throw modified(key.resource, key.name);
  }

  /** Removes an entry for good; false if it has changed meanwhile. */
  async remove(key: ObjectKey, entry: Entry): Promise<boolean> {
    const outcome = await this.store.commit([{ key: entry.key, expect: entry.modRevision }]);
    if (outcome.ok) this.services.release(key.resource, decode(entry));
    return outcome.ok;
  }

  async #createInstead(
    key: ObjectKey,
    change: (current: undefined) => AnyObject | Promise<AnyObject>,
    options: UpdateOptions,
  ): Promise<AnyObject> {
    const allowed = options.replace && options.subresource === undefined;
    if (!allowed || !strategyOf(key.resource).createOnUpdate) throw notFound(key.resource, key.name);
    const { metadata, ...rest } = await change(undefined);
    // A client that names the version it read wants a replacement, and there is nothing to replace.
    if (versionOf({ metadata }) !== '') throw notFound(key.resource, key.name);
    const object = { ...rest, metadata: { ...metadata, name: key.name } };
    return this.create(key.resource, key.namespace, object, options);
  }

  /** The object as it now is; undefined if the entry was not the newest any more. */
  async #replace(
    key: ObjectKey,
    entry: Entry,
    asked: AnyObject,
    options: UpdateOptions,
  ): Promise<AnyObject | undefined> {
    const { resource } = key;
    const old = decode(entry);
    const context = options.subresource === undefined ? {} : { subresource: options.subresource };
    const merged = throughDoor(resource, options.subresource, structuredClone(asked), old);
    merged.metadata = keptMetadata(key, merged.metadata, old.metadata);
    this.services.adoptAddresses(resource, merged, old);
    const ready = applyDefaults(resource, merged, { serviceFamilies: this.services.families });
    countGeneration(resource, ready, old);
    ready.metadata.resourceVersion = String(entry.modRevision);
    if (isDeepStrictEqual(ready, old)) return old;
    const judged = options.subresource !== 'binding';
    if (judged) refuse(resource, key.name, validateUpdate(resource, ready, old, context));
    if (isReadyToGo(resource, ready)) return this.#finish(key, entry, ready, options);
    const reservation = this.services.reserve(resource, ready, old);
    try {
      if (options.dryRun) {
        reservation.cancel();
        return ready;
      }
      const value = encode(ready);
      const outcome = await this.store.commit([{ key: entry.key, value, expect: entry.modRevision }]);
      if (outcome.ok) reservation.confirm();
      else reservation.cancel();
      return outcome.ok ? decodeFirst(outcome.entries) : undefined;
    } catch (error) {
      reservation.cancel();
      throw error;
    }
  }

  /** The last finalizer is gone: so is the object. */
  async #finish(
    key: ObjectKey,
    entry: Entry,
    last: AnyObject,
    options: UpdateOptions,
  ): Promise<AnyObject | undefined> {
    if (options.dryRun) return last;
    return (await this.remove(key, entry)) ? last : undefined;
  }

  /** Upstream's NamespaceLifecycle admission. */
  async #admitToNamespace(resource: Resource, object: AnyObject): Promise<void> {
    const { namespace, name = '' } = object.metadata;
    if (!resource.namespaced || namespace === undefined) return;
    const key = storeKeyOf({ resource: RESOURCES.namespaces, namespace: undefined, name: namespace });
    const entry = await this.store.get(key);
    if (entry === undefined) throw notFound(RESOURCES.namespaces, namespace);
    if (decode(entry).metadata.deletionTimestamp === undefined) return;
    throw forbidden(
      resource,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    );
  }
}

/** Nothing holds an object whose deletion has begun: no finalizer, and no time it was given. */
export function isReadyToGo(resource: Resource, object: AnyObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0) return false;
  return deletionGracePeriodSeconds === 0 && !strategyOf(resource).heldBySpec(object);
}

/** What may change through this door; the rest stays as it was. */
function throughDoor(
  resource: Resource,
  door: string | undefined,
  asked: AnyObject,
  old: AnyObject,
): AnyObject {
  const { status: _status, ...content } = asked;
  const oldStatus = old.status === undefined ? {} : { status: old.status };
  if (door === undefined) {
    const merged = resource.subresources.includes('status') ? { ...content, ...oldStatus } : asked;
    // A Namespace's own finalizers are written through /finalize alone.
    return resource.plural === 'namespaces' && old.spec !== undefined
      ? { ...merged, spec: old.spec }
      : merged;
  }
  // What the server itself made of the pod.
  if (door === 'binding') return asked;
  if (door === 'finalize') return { ...old, metadata: asked.metadata, spec: asked.spec ?? {} };
  const { ownerReferences: _owners, ...metadata } = asked.metadata;
  const { ownerReferences } = old.metadata;
  return {
    ...old,
    metadata: ownerReferences === undefined ? metadata : { ...metadata, ownerReferences },
    status: asked.status ?? {},
  };
}

/** The version a write is made on; the empty string and 0 both mean any. */
function versionOf({ metadata }: AnyObject): string {
  const { resourceVersion = '' } = metadata;
  return resourceVersion === '0' ? '' : resourceVersion;
}

function countGeneration(resource: Resource, object: AnyObject, old: AnyObject): void {
  if (!strategyOf(resource).generation) return;
  const changed = !isDeepStrictEqual(contentOf(object), contentOf(old));
  object.metadata.generation = (old.metadata.generation ?? 0) + (changed ? 1 : 0);
}

function decodeFirst(entries: readonly (Entry | undefined)[]): AnyObject {
  const [entry] = entries;
  if (entry === undefined) throw internal('the store acknowledged a write without its entry');
  return decode(entry);
}

function refuse(resource: Resource, name: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw StatusError.from(toStatus(resource, name, errors));
}

const versionRequired = (key: ObjectKey): StatusError =>
  StatusError.from(
    toStatus(key.resource, key.name, [
      {
        type: 'Invalid value',
        field: 'metadata.resourceVersion',
        badValue: 0,
        detail: 'must be specified for an update',
      },
    ]),
  );
