import type { ObjectMeta, OwnerReference } from '../objects.ts';
import { checkFormat, checkNotNegative } from './checks.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from './field-error.ts';
import { bytesOf, dns1123Label, type Format, qualifiedName } from './formats.ts';
import { checkLabels } from './labels.ts';
import { checkImmutable } from './same.ts';

const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/** metadata of an object about to be created, its name generated already. */
export function checkObjectMeta(meta: ObjectMeta, namespaced: boolean, nameFormat: Format): FieldError[] {
  return [
    ...checkNames(meta, nameFormat),
    ...checkNamespace(meta.namespace, namespaced),
    ...checkNotNegative('metadata.generation', meta.generation),
    ...checkLabels('metadata.labels', meta.labels),
    ...checkAnnotations('metadata.annotations', meta.annotations),
    ...checkOwners('metadata.ownerReferences', meta.ownerReferences),
    ...checkFinalizers('metadata.finalizers', meta.finalizers),
  ];
}

function checkNames(meta: ObjectMeta, nameFormat: Format): FieldError[] {
  const { name = '', generateName = '' } = meta;
  return [
    ...(generateName === ''
      ? []
      : nameFormat(asPrefix(generateName)).map((message) =>
          invalid('metadata.generateName', generateName, message),
        )),
    ...(name === ''
      ? [required('metadata.name', 'name or generateName is required')]
      : checkFormat('metadata.name', name, nameFormat)),
  ];
}

/** What is appended to generateName is alphanumeric, so a dash at its end is no fault. */
const asPrefix = (name: string): string =>
  name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;

function checkNamespace(namespace: string | undefined, namespaced: boolean): FieldError[] {
  const field = 'metadata.namespace';
  if (!namespaced) {
    return namespace === undefined || namespace === '' ? [] : [forbidden(field, 'not allowed on this type')];
  }
  return namespace === undefined || namespace === ''
    ? [required(field)]
    : checkFormat(field, namespace, dns1123Label);
}

export function checkAnnotations(
  field: string,
  annotations: Readonly<Record<string, string>> = {},
): FieldError[] {
  const entries = Object.entries(annotations);
  const bytes = entries.reduce((sum, [key, value]) => sum + bytesOf(key) + bytesOf(value), 0);
  return [
    ...entries.flatMap(([key]) =>
      qualifiedName(key.toLowerCase()).map((message) => invalid(field, key, message)),
    ),
    ...(bytes > MAX_ANNOTATIONS_BYTES ? [tooLong(field, MAX_ANNOTATIONS_BYTES)] : []),
  ];
}

function checkOwners(field: string, owners: readonly OwnerReference[] = []): FieldError[] {
  const errors = owners.flatMap((owner) => checkOwner(field, owner));
  const [first, ...more] = owners.filter((owner) => owner.controller === true);
  for (const other of first === undefined ? [] : more) {
    errors.push(
      invalid(
        field,
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${first?.kind}/${first?.name} and ${other.kind}/${other.name}`,
      ),
    );
  }
  return errors;
}

function checkOwner(field: string, owner: OwnerReference): FieldError[] {
  const errors: FieldError[] = [];
  const version = owner.apiVersion?.split('/').at(-1) ?? '';
  if (version === '') {
    errors.push(invalid(`${field}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty'));
  }
  for (const key of ['kind', 'name', 'uid'] as const) {
    if ((owner[key] ?? '') === '') errors.push(invalid(`${field}.${key}`, '', `${key} must not be empty`));
  }
  if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
    errors.push(invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return errors;
}

function checkFinalizers(field: string, finalizers: readonly string[] = []): FieldError[] {
  const errors = finalizers.flatMap((finalizer) => checkFormat(field, finalizer, qualifiedName));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(invalid(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return errors;
}

const IMMUTABLE_META = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/** metadata of an object that replaces `old`. */
export function checkObjectMetaUpdate(meta: ObjectMeta, old: ObjectMeta): FieldError[] {
  return [
    ...(old.deletionTimestamp === undefined ? [] : checkNoNewFinalizers(meta.finalizers, old.finalizers)),
    ...((meta.resourceVersion ?? '') === ''
      ? [invalid('metadata.resourceVersion', '', 'must be specified for an update')]
      : []),
    ...((meta.generation ?? 0) < (old.generation ?? 0)
      ? [invalid('metadata.generation', meta.generation ?? 0, 'must not be decremented')]
      : []),
    ...IMMUTABLE_META.flatMap((key) => checkImmutable(`metadata.${key}`, meta[key], old[key])),
    ...checkLabels('metadata.labels', meta.labels),
    ...checkAnnotations('metadata.annotations', meta.annotations),
    ...checkOwners('metadata.ownerReferences', meta.ownerReferences),
    ...checkFinalizers('metadata.finalizers', meta.finalizers),
  ];
}

function checkNoNewFinalizers(finalizers: readonly string[] = [], old: readonly string[] = []): FieldError[] {
  const extra = finalizers.filter((one) => !old.includes(one)).sort();
  if (extra.length === 0) return [];
  const list = `[]string{${extra.map((one) => JSON.stringify(one)).join(', ')}}`;
  return [
    forbidden(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`,
    ),
  ];
}
