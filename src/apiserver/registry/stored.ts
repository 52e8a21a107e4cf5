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
const texts = new WeakMap<Entry, string>();

/** The object with its resourceVersion, which is the entry's revision. Parsed once an entry. */
export function decode(entry: Entry): AnyObject {
  const known = decoded.get(entry);
  if (known !== undefined) return known;
  const object = JSON.parse(entry.value) as AnyObject;
  object.metadata.resourceVersion = String(entry.modRevision);
  decoded.set(entry, object);
  return object;
}

/** The JSON of {@link decode}, made once an entry: lists and watchers share it. */
export function textOf(entry: Entry): string {
  const known = texts.get(entry);
  if (known !== undefined) return known;
  const text = JSON.stringify(decode(entry));
  texts.set(entry, text);
  return text;
}

/** What the store keeps of an object: all but its resourceVersion. */
export function encode(object: AnyObject): string {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { resourceVersion: _, ...kept } = metadata;
  return JSON.stringify({ apiVersion, kind, metadata: kept, ...rest });
}
