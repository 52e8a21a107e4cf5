/** What controllers read from and write into an object's metadata. */
import { type KubeObject, keyOf, nameOf, namespaceOf, type OwnerReference } from '../kube/objects.ts';
import { apiVersionOf, type Resource } from '../kube/resources.ts';

export { isDeleting, nameOf, namespaceOf } from '../kube/objects.ts';

export const uidOf = (object: KubeObject): string => object.metadata?.uid ?? '';

/** The object's name and, if it has one, namespace, as requests want them. */
export function keyPartsOf(object: KubeObject): { readonly name: string; readonly namespace?: string } {
  const namespace = object.metadata?.namespace;
  return namespace === undefined ? { name: nameOf(object) } : { name: nameOf(object), namespace };
}

/** Splits {@link keyOf}. */
export function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: slash < 0 ? '' : key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The one owner that manages the object (meta/v1: at most one reference has controller: true). */
export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata?.ownerReferences?.find((reference) => reference.controller === true);

/** The reference that makes `owner` the controller of an object. */
export const controllerReference = (owner: KubeObject, resource: Resource): OwnerReference => ({
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
  name: nameOf(owner),
  uid: uidOf(owner),
  controller: true,
  blockOwnerDeletion: true,
});

/** `namespace/key=value` for each label. */
export const labelPairs = (object: KubeObject): string[] =>
  Object.entries(object.metadata?.labels ?? {}).map((pair) => labelPair(namespaceOf(object), pair));

export const labelPair = (namespace: string, [key, value]: readonly [string, string]): string =>
  `${namespace}/${key}=${value}`;

/** Newer resourceVersions are larger numbers: so it is with our stores and with etcd, and since 1.35 by contract. */
export const revisionOf = (object: KubeObject): number => Number(object.metadata?.resourceVersion ?? 0);

export const createdAt = (object: KubeObject): number =>
  Date.parse(object.metadata?.creationTimestamp ?? '') || 0;

/** Oldest first; objects made in the same second go by name. */
export const byAge = (a: KubeObject, b: KubeObject): number =>
  createdAt(a) - createdAt(b) || (keyOf(a) < keyOf(b) ? -1 : 1);
