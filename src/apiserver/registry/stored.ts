import type { KubeObject, ObjectMeta } from '../../kube/objects.ts';
import type { Resource } from '../../kube/resources.ts';
import type { Entry } from '../../store/store.ts';

/** An object of any kind as the server handles it. What comes from {@link decode} is shared: clone before changing. */
export interface AnyObject extends KubeObject {
  metadata: Meta;
  spec?: Fields;
  status?: Fields;
  [field: string]: unknown;
}

export type Fields = Record<string, unknown>;

/** ObjectMeta as the server may write it. */
export type Meta = { -readonly [Field in keyof ObjectMeta]: ObjectMeta[Field] };

/** Where an object is: `namespace` is undefined for resources of the cluster. */
export interface ObjectKey {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** The prefix of a collection's keys, of one namespace or of all. */
export function prefixOf(resource: Resource, namespace?: string): string {
  const root = `${resource.group === '' ? 'core' : resource.group}/${resource.plural}/`;
  return resource.namespaced && namespace !== undefined ? `${root}${namespace}/` : root;
}

export const storeKeyOf = ({ resource, namespace, name }: ObjectKey): string =>
  `${prefixOf(resource, namespace)}${name}`;

const decoded = new WeakMap<Entry, AnyObject>();

/** The object with its resourceVersion, which is the entry's revision. Parsed once an entry. */
export function decode(entry: Entry): AnyObject {
  const known = decoded.get(entry);
  if (known !== undefined) return known;
  const object = JSON.parse(entry.value) as AnyObject;
  object.metadata.resourceVersion = String(entry.modRevision);
  decoded.set(entry, object);
  return object;
}

const METADATA = '"metadata":{';

/** The JSON of {@link decode}, without parsing: the revision is put into the text that {@link encode} wrote. */
export function textOf({ value, modRevision }: Entry): string {
  // Before it stand apiVersion and kind alone, so the first one is the object's own; it is never empty.
  const at = value.indexOf(METADATA) + METADATA.length;
  return `${value.slice(0, at)}"resourceVersion":"${modRevision}",${value.slice(at)}`;
}

/** What the store keeps of an object: all but its resourceVersion; apiVersion, kind and metadata come first. */
export function encode(object: AnyObject): string {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { resourceVersion: _, ...kept } = metadata;
  return JSON.stringify({ apiVersion, kind, metadata: kept, ...rest });
}
