/**
 * The schema model: every type of the kinds we serve, its fields, their docs and their wire facts, read from model.json
 * (written by scripts/generate-schema.ts). One type is parsed when it is first asked for; loading costs about 3 ms.
 */
import data from './model.json' with { type: 'json' };

/** Leaf types; the strings are those of facts.txt. `raw` is any object, `any` any JSON value. */
export type Leaf =
  | 'string'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'bytes'
  | 'time'
  | 'microTime'
  | 'quantity'
  | 'intOrString'
  | 'raw'
  | 'fieldsV1'
  | 'any';

/** A field's type. `go` is how Go's error messages spell it, e.g. `v1.Protocol`, `[]v1.ServicePort`, `map[string]string`. */
export type FieldType =
  | { readonly kind: 'leaf'; readonly leaf: Leaf; readonly go: string }
  | { readonly kind: 'object'; readonly name: string; readonly go: string }
  | { readonly kind: 'list' | 'map'; readonly of: FieldType; readonly go: string };

/** How a list is merged by server-side apply: as one value, as a set of scalars, or by the keys of its items. */
export interface ListType {
  readonly kind: 'atomic' | 'set' | 'map';
  readonly keys: readonly string[];
}

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly doc: string;
  readonly required: boolean;
  /** Absent differs from the zero value (a pointer in Go). */
  readonly pointer: boolean;
  /** The zero value of a field that is no pointer is left out of JSON. */
  readonly omitEmpty: boolean;
  /** Protobuf field numbers from this type's message inwards: two if the field stands in an embedded message, none if unsent. */
  readonly numbers: readonly number[];
  /** Strategic merge: `merge` merges items by {@link mergeKey} (or as a set), `retainKeys` drops what the patch leaves out. */
  readonly patchStrategy: readonly ('merge' | 'retainKeys' | 'replace')[];
  readonly mergeKey?: string;
  readonly list?: ListType;
  readonly atomicMap: boolean;
  readonly default?: string | number | boolean;
}

export interface TypeSchema {
  /** `core.v1.Pod`; see {@link definitionName} for upstream's long form. */
  readonly name: string;
  readonly doc: string;
  /** Server-side apply treats the object as one value. */
  readonly atomic: boolean;
  readonly fields: ReadonlyMap<string, Field>;
}

interface RawType {
  readonly flags: string;
  readonly doc: string;
  readonly fields: Readonly<Record<string, readonly string[]>>;
}

const raw: ReadonlyMap<string, RawType> = new Map(Object.entries(data as Readonly<Record<string, RawType>>));
const parsed = new Map<string, TypeSchema>();

const LEAVES: ReadonlyMap<string, string> = new Map([
  ['string', 'string'],
  ['bool', 'bool'],
  ['int32', 'int32'],
  ['int64', 'int64'],
  ['bytes', '[]uint8'],
  ['time', 'v1.Time'],
  ['microTime', 'v1.MicroTime'],
  ['quantity', 'resource.Quantity'],
  ['intOrString', 'intstr.IntOrString'],
  ['raw', 'runtime.RawExtension'],
  ['fieldsV1', 'v1.FieldsV1'],
  ['any', 'interface {}'],
]);

const isLeaf = (name: string): name is Leaf => LEAVES.has(name);

/** Reads the type notation of facts.txt. */
export function parseType(text: string): FieldType {
  const [notation = '', named] = text.split('=');
  if (notation.startsWith('*')) return parseType(notation.slice(1));
  if (notation.startsWith('[]')) {
    const of = parseType(notation.slice(2));
    return { kind: 'list', of, go: named ?? `[]${of.go}` };
  }
  if (notation.startsWith('map[string]')) {
    const of = parseType(notation.slice('map[string]'.length));
    return { kind: 'map', of, go: named ?? `map[string]${of.go}` };
  }
  const [leaf = '', scalar] = notation.split('/');
  if (isLeaf(leaf)) return { kind: 'leaf', leaf, go: scalar ?? LEAVES.get(leaf) ?? leaf };
  return { kind: 'object', name: notation, go: notation.split('.').slice(-2).join('.') };
}

function parseList(text: string): ListType {
  const [kind = '', keys = ''] = text.split(':');
  return {
    kind: kind === 'map' || kind === 'set' ? kind : 'atomic',
    keys: keys === '' ? [] : keys.split(','),
  };
}

const isStrategy = (text: string): text is Field['patchStrategy'][number] =>
  text === 'merge' || text === 'retainKeys' || text === 'replace';

function parseField(name: string, [facts = '', doc = '']: readonly string[]): Field {
  const [numbers = '', type = '', ...flags] = facts.split(' ');
  const flag = (key: string) => flags.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
  const list = flag('list');
  const mergeKey = flag('mergeKey');
  const fallback = flag('default');
  return {
    name,
    type: parseType(type),
    doc,
    required: flags.includes('required'),
    pointer: type.startsWith('*'),
    omitEmpty: flags.includes('omitempty'),
    numbers: numbers === '-' ? [] : numbers.split('.').map(Number),
    patchStrategy: (flag('patch') ?? '').split(',').filter(isStrategy),
    atomicMap: flag('map') === 'atomic',
    ...(mergeKey === undefined ? {} : { mergeKey }),
    ...(list === undefined ? {} : { list: parseList(list) }),
    ...(fallback === undefined ? {} : { default: JSON.parse(fallback) as string | number | boolean }),
  };
}

/** The schema of `core.v1.Pod` and the like, or undefined if no such type is known. */
export function schemaOf(name: string): TypeSchema | undefined {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const found = raw.get(name);
  if (found === undefined) return undefined;
  const fields = new Map(Object.entries(found.fields).map(([key, value]) => [key, parseField(key, value)]));
  const type = { name, doc: found.doc, atomic: found.flags.includes('struct=atomic'), fields };
  parsed.set(name, type);
  return type;
}

/** As {@link schemaOf}, for a name that the model itself gave. */
export function knownSchema(name: string): TypeSchema {
  const found = schemaOf(name);
  if (found === undefined) throw new TypeError(`model.json refers to ${name}, which it does not hold`);
  return found;
}

/** What names a type from outside: the parts of apiVersion and the kind. A Resource is one. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Kinds of meta/v1 that every group serves. */
const IN_EVERY_GROUP = new Set(['DeleteOptions', 'Status', 'List', 'ListOptions', 'Table']);

/** The schema of a kind, or undefined. The group is spelled as in apiVersion: `''`, `apps`, `discovery.k8s.io`. */
export function schemaOfKind({ group, version, kind }: GroupVersionKind): TypeSchema | undefined {
  if (group === 'meta.k8s.io' || (version === 'v1' && IN_EVERY_GROUP.has(kind)))
    return schemaOf(`meta.v1.${kind}`);
  const [label = ''] = group === '' ? ['core'] : group.split('.');
  return schemaOf(`${label}.${version}.${kind}`);
}

/** Upstream's OpenAPI definition name: `core.v1.Pod` -> `io.k8s.api.core.v1.Pod`. */
export function definitionName(name: string): string {
  if (name.startsWith('meta.')) return `io.k8s.apimachinery.pkg.apis.${name}`;
  return `io.k8s.api.${name}`;
}

/** `apps/v1` -> group and version; `v1` -> the core group. */
export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}
