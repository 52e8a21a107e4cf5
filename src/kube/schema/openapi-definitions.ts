/** Types as OpenAPI definitions, in the two dialects upstream publishes: version 2 (Swagger) and version 3.0. */
import type { Json, JsonObject } from './json.ts';
import {
  definitionName,
  type Field,
  type FieldType,
  knownSchema,
  type Leaf,
  type TypeSchema,
} from './model.ts';

export type Dialect = 2 | 3;

/** Leaves that upstream publishes as definitions of their own. */
const NAMED: Readonly<Partial<Record<Leaf, string>>> = {
  time: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time',
  microTime: 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime',
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  intOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  raw: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  fieldsV1: 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1',
};

const PLAIN: Readonly<Record<string, JsonObject>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  bytes: { type: 'string', format: 'byte' },
  any: { type: 'object' },
};

/** The body of a PATCH: any patch document. */
export const PATCH_DEFINITION = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';

/** The definitions that no type of the model stands for. */
function leafDefinitions(dialect: Dialect): readonly (readonly [string, JsonObject])[] {
  const time = { type: 'string', format: 'date-time' };
  const oneOf = (...types: string[]) => ({ oneOf: types.map((type) => ({ type })) });
  return [
    [NAMED.time ?? '', { ...time, description: 'A point in time in RFC 3339 form, to the second.' }],
    [
      NAMED.microTime ?? '',
      { ...time, description: 'A point in time in RFC 3339 form, to the microsecond.' },
    ],
    [
      NAMED.quantity ?? '',
      {
        description: 'A fixed-point number with an optional suffix, e.g. 500m, 2Gi or 1e3.',
        ...(dialect === 2 ? { type: 'string' } : oneOf('string', 'number')),
      },
    ],
    [
      NAMED.intOrString ?? '',
      {
        description: 'A 32-bit integer or a string.',
        format: 'int-or-string',
        ...(dialect === 2 ? { type: 'string' } : oneOf('integer', 'string')),
      },
    ],
    [NAMED.raw ?? '', { type: 'object', description: 'An object of any kind.' }],
    [NAMED.fieldsV1 ?? '', { type: 'object', description: 'A set of fields, as a trie in JSON form.' }],
    [PATCH_DEFINITION, { type: 'object', description: 'A patch in the form that its content type names.' }],
  ];
}

/** A reference to a definition by its long name. */
export const reference = (name: string, dialect: Dialect): JsonObject => ({
  $ref: dialect === 2 ? `#/definitions/${name}` : `#/components/schemas/${name}`,
});

/** In 3.0 nothing may stand beside $ref, so a described reference is wrapped. */
function described(ref: JsonObject, dialect: Dialect): JsonObject {
  return dialect === 2 ? ref : { allOf: [ref] };
}

function shape(type: FieldType, dialect: Dialect): JsonObject {
  switch (type.kind) {
    case 'leaf': {
      const named = NAMED[type.leaf];
      return named === undefined ? (PLAIN[type.leaf] ?? {}) : described(reference(named, dialect), dialect);
    }
    case 'object':
      return described(reference(definitionName(type.name), dialect), dialect);
    case 'list':
      return { type: 'array', items: shape(type.of, dialect) };
    case 'map':
      return { type: 'object', additionalProperties: shape(type.of, dialect) };
  }
}

function fieldSchema(field: Field, dialect: Dialect): JsonObject {
  const { list, mergeKey, patchStrategy } = field;
  const out: { [name: string]: Json } = { description: field.doc, ...shape(field.type, dialect) };
  if (field.default !== undefined) out.default = field.default;
  if (list !== undefined) out['x-kubernetes-list-type'] = list.kind;
  if (list !== undefined && list.keys.length > 0) out['x-kubernetes-list-map-keys'] = list.keys;
  if (field.atomicMap) out['x-kubernetes-map-type'] = 'atomic';
  if (mergeKey !== undefined) out['x-kubernetes-patch-merge-key'] = mergeKey;
  if (patchStrategy.length > 0) out['x-kubernetes-patch-strategy'] = patchStrategy.join(',');
  return out;
}

/** The group as apiVersion spells it, of the first word in a type's name. */
const GROUPS: Readonly<Record<string, string>> = {
  core: '',
  meta: '',
  apps: 'apps',
  autoscaling: 'autoscaling',
  policy: 'policy',
  coordination: 'coordination.k8s.io',
  discovery: 'discovery.k8s.io',
  authentication: 'authentication.k8s.io',
  authorization: 'authorization.k8s.io',
};

/** The kind a type is, if it is one: its apiVersion is not sent in protobuf, where runtime.Unknown says it. */
export function kindOf(type: TypeSchema): JsonObject | undefined {
  const own = type.fields.get('apiVersion');
  if (own === undefined || own.numbers.length > 0) return undefined;
  const [label = '', version = '', kind = ''] = type.name.split('.');
  return { group: GROUPS[label] ?? label, kind, version };
}

function definition(type: TypeSchema, dialect: Dialect): JsonObject {
  const fields = [...type.fields.values()];
  const required = fields.filter((field) => field.required).map((field) => field.name);
  const kind = kindOf(type);
  return {
    description: type.doc,
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field, dialect)])),
    ...(type.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(kind === undefined ? {} : { 'x-kubernetes-group-version-kind': [kind] }),
  };
}

function refersTo(type: FieldType): string | undefined {
  if (type.kind === 'object') return type.name;
  return type.kind === 'leaf' ? undefined : refersTo(type.of);
}

/** The types that the given ones reach, themselves included. */
function reached(names: Iterable<string>): TypeSchema[] {
  const found = new Map<string, TypeSchema>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    const type = knownSchema(name);
    found.set(name, type);
    for (const field of type.fields.values()) {
      const next = refersTo(field.type);
      if (next !== undefined) open.push(next);
    }
  }
  return [...found.values()];
}

/** Definitions, sorted by name, of the named types and of all that they reach. */
export function definitions(names: Iterable<string>, dialect: Dialect): JsonObject {
  const types = reached(names).map((type) => [definitionName(type.name), definition(type, dialect)] as const);
  const all = [...leafDefinitions(dialect), ...types];
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}
