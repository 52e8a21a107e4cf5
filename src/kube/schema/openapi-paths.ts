/**
 * The paths of the OpenAPI documents: which verb each resource and subresource has, on which path, with which body. kubectl
 * reads from them the kind behind a path (explain) and whether a write takes fieldValidation (create, apply).
 */
import { apiVersionOf, pathOf, type Resource } from '../resources.ts';
import type { Json, JsonObject } from './json.ts';
import { definitionName, type GroupVersionKind, schemaOfKind } from './model.ts';
import { type Dialect, PATCH_DEFINITION, reference } from './openapi-definitions.ts';
import { PATCH_TYPES } from './patch.ts';

type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'connect';
type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

const METHODS: Readonly<Record<Exclude<Verb, 'connect'>, Method>> = {
  get: 'get',
  list: 'get',
  create: 'post',
  update: 'put',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'delete',
};

/** x-kubernetes-action, which is the method's name but for reads of collections and deletions of them. */
const ACTIONS: Readonly<Record<Verb, string>> = {
  get: 'get',
  list: 'list',
  create: 'post',
  update: 'put',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'deletecollection',
  connect: 'connect',
};

const QUERY: Readonly<
  Record<string, readonly [type: 'string' | 'integer' | 'boolean', description: string]>
> = {
  pretty: ['string', "If 'true', then the output is pretty printed."],
  allowWatchBookmarks: ['boolean', 'Whether the watch may send events of type BOOKMARK.'],
  continue: ['string', 'Where an earlier, limited list left off.'],
  fieldSelector: ['string', 'Restricts the list by fields.'],
  labelSelector: ['string', 'Restricts the list by labels.'],
  limit: ['integer', 'The most objects one answer may hold.'],
  resourceVersion: ['string', 'The revision that the answer may be served from.'],
  resourceVersionMatch: ['string', 'How resourceVersion is applied.'],
  sendInitialEvents: ['boolean', 'Whether the watch begins with the objects that exist.'],
  timeoutSeconds: ['integer', 'The bound on the call, in seconds.'],
  watch: ['boolean', 'Whether changes are streamed.'],
  dryRun: ['string', 'All: every step but the last, which stores, is done.'],
  fieldManager: ['string', 'A name for who makes the change.'],
  fieldValidation: ['string', 'Ignore, Warn or Strict: what unknown and duplicate fields lead to.'],
  force: ['boolean', 'Whether an apply takes fields over from other managers.'],
  gracePeriodSeconds: ['integer', 'How long the object may take to end.'],
  orphanDependents: ['boolean', 'Deprecated: use propagationPolicy.'],
  propagationPolicy: ['string', 'Orphan, Background or Foreground: what becomes of dependents.'],
};

const LISTING = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
const WRITING = ['dryRun', 'fieldManager', 'fieldValidation'];
const DELETING = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'];

const PARAMETERS: Readonly<Record<Verb, readonly string[]>> = {
  get: [],
  list: LISTING,
  create: WRITING,
  update: WRITING,
  patch: [...WRITING, 'force'],
  delete: DELETING,
  deletecollection: [
    ...LISTING.filter((name) => name !== 'watch' && name !== 'allowWatchBookmarks'),
    ...DELETING,
  ],
  connect: [],
};

const parameter = (
  name: string,
  where: 'query' | 'path',
  type: string,
  description: string,
  dialect: Dialect,
): JsonObject => ({
  name,
  in: where,
  description,
  ...(where === 'path' ? { required: true } : {}),
  ...(dialect === 2 ? { type, uniqueItems: true } : { schema: { type, uniqueItems: true } }),
});

const queryParameters = (names: readonly string[], dialect: Dialect): JsonObject[] =>
  names.map((name) => {
    const [type, description] = QUERY[name] ?? ['string', ''];
    return parameter(name, 'query', type, description, dialect);
  });

const pathParameters = (path: string, dialect: Dialect): JsonObject[] => [
  ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) =>
    parameter(
      name,
      'path',
      'string',
      name === 'name' ? 'name of the object' : 'the namespace of the object',
      dialect,
    ),
  ),
  ...queryParameters(['pretty'], dialect),
];

/** One place of the API: a collection, an object, or a subresource of it. */
interface Place {
  readonly path: string;
  readonly resource: Resource;
  readonly subresource: string;
  /** What stands in bodies: the resource's kind, or the subresource's own. */
  readonly kind: GroupVersionKind;
  readonly verbs: readonly Verb[];
}

const definitionOf = (kind: GroupVersionKind): string => {
  const schema = schemaOfKind(kind);
  if (schema === undefined) throw new TypeError(`no schema for ${kind.kind}`);
  return definitionName(schema.name);
};

const listKind = (kind: GroupVersionKind): GroupVersionKind => ({ ...kind, kind: `${kind.kind}List` });
const META = { group: '', version: 'v1' };

function bodyOf(verb: Verb, kind: GroupVersionKind): string | undefined {
  if (verb === 'create' || verb === 'update') return definitionOf(kind);
  if (verb === 'patch') return PATCH_DEFINITION;
  return verb === 'delete' || verb === 'deletecollection'
    ? definitionOf({ ...META, kind: 'DeleteOptions' })
    : undefined;
}

function answerOf(verb: Verb, kind: GroupVersionKind): string | undefined {
  if (verb === 'connect') return undefined;
  if (verb === 'list') return definitionOf(listKind(kind));
  return definitionOf(verb === 'delete' || verb === 'deletecollection' ? { ...META, kind: 'Status' } : kind);
}

const JSON_TYPES = ['application/json', 'application/yaml'];

const consumes = (verb: Verb): string[] =>
  verb === 'patch' ? Object.values(PATCH_TYPES) : [...JSON_TYPES, 'application/vnd.kubernetes.protobuf'];

const content = (types: readonly string[], definition: string): JsonObject =>
  Object.fromEntries(types.map((type) => [type, { schema: reference(definition, 3) }]));

/** The parts of an operation that the dialects write differently: its body and its answers. */
function bodyAndAnswers(verb: Verb, kind: GroupVersionKind, dialect: Dialect): { [name: string]: Json } {
  const body = bodyOf(verb, kind);
  const answer = answerOf(verb, kind);
  const status = verb === 'create' ? '201' : '200';
  const required = verb !== 'delete' && verb !== 'deletecollection';
  if (dialect === 2) {
    const schema = answer === undefined ? { type: 'string' } : reference(answer, 2);
    const bodies =
      body === undefined ? [] : [{ name: 'body', in: 'body', required, schema: reference(body, 2) }];
    return {
      ...(body === undefined ? {} : { consumes: consumes(verb) }),
      produces: JSON_TYPES,
      parameters: [...bodies, ...queryParameters(PARAMETERS[verb], 2)],
      responses: { [status]: { description: 'OK', schema } },
    };
  }
  return {
    parameters: queryParameters(PARAMETERS[verb], 3),
    ...(body === undefined ? {} : { requestBody: { content: content(consumes(verb), body), required } }),
    responses: {
      [status]: {
        description: 'OK',
        ...(answer === undefined ? {} : { content: content(JSON_TYPES, answer) }),
      },
    },
  };
}

function operation(place: Place, verb: Verb, dialect: Dialect): JsonObject {
  const { group, version, kind } = place.kind;
  const scope = place.path.includes('{namespace}') ? 'Namespaced' : '';
  return {
    description: `${verb} ${place.resource.kind}${place.subresource === '' ? '' : `, ${place.subresource}`}`,
    operationId: `${verb}${apiVersionOf(place.resource).replace(/\W/g, '')}${scope}${place.resource.kind}${place.subresource}`,
    ...bodyAndAnswers(verb, place.kind, dialect),
    'x-kubernetes-action': ACTIONS[verb],
    'x-kubernetes-group-version-kind': { group, kind, version },
  };
}

const SUBRESOURCE_KINDS: Readonly<Record<string, GroupVersionKind>> = {
  scale: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  binding: { group: '', version: 'v1', kind: 'Binding' },
  eviction: { group: 'policy', version: 'v1', kind: 'Eviction' },
  token: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
};

/** The kind in the body of a subresource: its own, or the resource's. */
export function subresourceKind(resource: Resource, subresource: string): GroupVersionKind {
  return SUBRESOURCE_KINDS[subresource] ?? resource;
}

const SUBRESOURCE_VERBS: Readonly<Record<string, readonly Verb[]>> = {
  finalize: ['update'],
  binding: ['create'],
  eviction: ['create'],
  token: ['create'],
  log: ['get'],
  exec: ['connect'],
  attach: ['connect'],
  portforward: ['connect'],
};

function placesOf(resource: Resource): Place[] {
  const common = { resource, subresource: '', kind: resource };
  const of = (name?: string, subresource?: string) =>
    decodeURIComponent(pathOf(resource, resource.namespaced ? '{namespace}' : undefined, name, subresource));
  const everywhere = resource.namespaced
    ? [{ ...common, path: pathOf(resource), verbs: ['list'] as const }]
    : [];
  return [
    ...everywhere,
    { ...common, path: of(), verbs: ['list', 'create', 'deletecollection'] },
    { ...common, path: of('{name}'), verbs: ['get', 'update', 'patch', 'delete'] },
    ...resource.subresources.map((subresource) => ({
      ...common,
      path: of('{name}', subresource),
      subresource,
      kind: subresourceKind(resource, subresource),
      verbs: SUBRESOURCE_VERBS[subresource] ?? (['get', 'update', 'patch'] as const),
    })),
  ];
}

function pathItem(place: Place, dialect: Dialect): JsonObject {
  const item: { [name: string]: Json } = {};
  for (const verb of place.verbs) {
    const methods: readonly Method[] = verb === 'connect' ? ['get', 'post'] : [METHODS[verb]];
    for (const method of methods) item[method] = operation(place, verb, dialect);
  }
  return { ...item, parameters: pathParameters(place.path, dialect) };
}

/** The paths of the given resources. */
export const paths = (resources: readonly Resource[], dialect: Dialect): JsonObject =>
  Object.fromEntries(resources.flatMap(placesOf).map((place) => [place.path, pathItem(place, dialect)]));

/** Names of the types in the bodies and answers of those paths. */
export function typesIn(resources: readonly Resource[]): string[] {
  const kinds = resources.flatMap((resource) => [
    resource,
    listKind(resource),
    ...resource.subresources.map((one) => subresourceKind(resource, one)),
    { ...META, kind: 'DeleteOptions' },
    { ...META, kind: 'Status' },
  ]);
  return kinds.flatMap((kind) => schemaOfKind(kind)?.name ?? []);
}
