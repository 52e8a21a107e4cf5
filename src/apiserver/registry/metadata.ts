import { randomInt, randomUUID } from 'node:crypto';
import type { Resource } from '../../kube/resources.ts';
import { badRequest, conflict, StatusError } from '../status.ts';
import type { AnyObject, Meta, ObjectKey } from './stored.ts';

/** Without vowels and look-alikes, so that no word appears (k8s.io/apimachinery/pkg/util/rand). */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** As upstream's names.SimpleNameGenerator: the base, cut so that five characters fit in a DNS label. */
function generatedName(base: string): string {
  const suffix = Array.from({ length: 5 }, () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]).join('');
  return `${base.slice(0, 58)}${suffix}`;
}

/** RFC 3339 in seconds, as metav1.Time. */
export const timestamp = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');

/** The object's own namespace must be the request's, or is taken from it. Throws BadRequest. */
export function settleNamespace(resource: Resource, metadata: Meta, namespace: string | undefined): void {
  const said = metadata.namespace ?? '';
  const wanted = resource.namespaced ? (namespace ?? '') : '';
  if (said !== '' && said !== wanted) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (wanted === '') delete metadata.namespace;
  else metadata.namespace = wanted;
}

/** What the server alone decides about a new object (upstream: rest.BeforeCreate). */
export function newMetadata(metadata: Meta, generation: boolean, now: number): Meta {
  if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '') {
    throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
  }
  const {
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    selfLink: _link,
    managedFields: _managed,
    resourceVersion: _version,
    generation: _generation,
    ...kept
  } = metadata;
  const { name = '', generateName = '' } = kept;
  return {
    ...kept,
    ...(name === '' && generateName !== '' ? { name: generatedName(generateName) } : {}),
    uid: randomUUID(),
    creationTimestamp: timestamp(now),
    ...(generation ? { generation: 1 } : {}),
  };
}

/** What stays as it was when an object is replaced (upstream: rest.BeforeUpdate). Throws BadRequest, Conflict. */
export function keptMetadata(key: ObjectKey, asked: Meta, old: Meta): Meta {
  const { managedFields: _managed, selfLink: _link, generation: _generation, ...rest } = asked;
  if (rest.name !== undefined && rest.name !== '' && rest.name !== key.name) {
    throw badRequest(
      `the name of the object (${rest.name}) does not match the name on the URL (${key.name})`,
    );
  }
  settleNamespace(key.resource, rest, key.namespace);
  if (rest.uid !== undefined && rest.uid !== '' && rest.uid !== old.uid) {
    throw conflict(key.resource, key.name, uidMismatch(rest.uid, old.uid));
  }
  const { deletionTimestamp: _deletion, deletionGracePeriodSeconds: _grace, ...kept } = rest;
  return {
    ...kept,
    name: key.name,
    ...pick(old, [
      'uid',
      'creationTimestamp',
      'generation',
      'deletionTimestamp',
      'deletionGracePeriodSeconds',
    ]),
  };
}

export const uidMismatch = (asked: string, actual: string | undefined): string =>
  `Precondition failed: UID in precondition: ${asked}, UID in object meta: ${actual ?? ''}`;

export function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked;
}

/** The object without what is not its content: its metadata and status. */
export function contentOf(object: AnyObject): unknown {
  const { metadata: _metadata, status: _status, apiVersion: _version, kind: _kind, ...content } = object;
  return content;
}
