import type { Resource } from '../kube/resources.ts';
import {
  type Decoded,
  decodeBody,
  type FieldValidation,
  type GroupVersionKind,
  parseFieldValidation,
} from '../kube/schema/schema.ts';
import { type IncludeObject, tableOf } from '../kube/table/table.ts';
import { toStatus } from '../kube/validation/validation.ts';
import type { User } from './auth/authenticate.ts';
import { type ApiRequest, type ApiResponse, headerOf, readBody } from './http.ts';
import { METADATA, METADATA_LIST, negotiate, TABLE, type Wanted } from './negotiate.ts';
import type { Registry } from './registry/registry.ts';
import type { AnyObject, ObjectKey } from './registry/stored.ts';
import type { ResourceRoute } from './route.ts';
import { methodNotAllowed, StatusError } from './status.ts';

/** One request about a resource, with what handlers need to serve it. */
export interface Call {
  readonly request: ApiRequest;
  readonly response: ApiResponse;
  readonly route: ResourceRoute;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly registry: Registry;
}

/** What a handler answers; `undefined` if it has written the answer itself. */
export interface Answer {
  readonly code: number;
  /** A JSON text, or what becomes one. */
  readonly body: string | object;
  readonly wanted?: Wanted;
  /** The content type, where it is not the plain one of the format. */
  readonly contentType?: string;
  readonly warnings?: readonly string[];
}

export const methodOf = (call: Call): string => call.request.method ?? 'GET';

/** The object the path names. Throws MethodNotAllowed for a collection. */
export function keyOf({ route }: Call): ObjectKey {
  const { resource, namespace, name } = route;
  if (name === undefined) throw methodNotAllowed();
  return { resource, namespace, name };
}

export const wantedOf = (call: Call): Wanted =>
  negotiate(headerOf(call.request, 'accept'), [TABLE, METADATA, METADATA_LIST]);

const META_OPTIONS: Readonly<Record<string, string>> = {
  POST: 'CreateOptions',
  PUT: 'UpdateOptions',
  PATCH: 'PatchOptions',
  DELETE: 'DeleteOptions',
};

/** Whether nothing is to be stored. Throws Invalid for another value than `All`. */
export function dryRunOf(call: Call): boolean {
  const values = call.query.getAll('dryRun');
  const odd = values.find((value) => value !== 'All');
  if (odd === undefined) return values.length > 0;
  const about = { group: 'meta.k8s.io', kind: META_OPTIONS[methodOf(call)] ?? 'DeleteOptions' } as Resource;
  const detail = 'supported values: "All"';
  const error = { type: 'Unsupported value', field: 'dryRun', badValue: odd, detail } as const;
  throw StatusError.from(toStatus(about, '', [error]));
}

export const fieldValidationOf = (call: Call): FieldValidation =>
  parseFieldValidation(call.query.get('fieldValidation') ?? undefined);

export interface DecodedObject {
  readonly object: AnyObject;
  readonly warnings: readonly string[];
}

/** The body as an object of the kind. Throws BadRequest, UnsupportedMediaType, RequestEntityTooLarge. */
export async function decodedBody(call: Call, kind: GroupVersionKind): Promise<DecodedObject> {
  const validation = fieldValidationOf(call);
  const bytes = await readBody(call.request);
  return asObject(decodeBody(kind, bytes, headerOf(call.request, 'content-type'), validation));
}

/** A decoded JSON object is ours alone, so that it may be changed. */
export function asObject({ object, warnings }: Decoded): DecodedObject {
  const own = object as unknown as AnyObject;
  own.metadata ??= {};
  return { object: own, warnings };
}

/** The object in the form the client wants: itself, a Table, or its metadata. */
export function present(call: Call, object: AnyObject, code = 200, warnings: readonly string[] = []): Answer {
  const wanted = wantedOf(call);
  const body = inForm(call, wanted, object);
  return { code, body, wanted, warnings };
}

function inForm(call: Call, wanted: Wanted, object: AnyObject): object {
  if (wanted.as === METADATA.as) {
    return { kind: METADATA.as, apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
  }
  if (wanted.as !== TABLE.as) return object;
  const { resourceVersion } = object.metadata;
  return tableOf(call.route.resource, [object], {
    now: call.registry.now(),
    includeObject: includeObjectOf(call),
    metadata: resourceVersion === undefined ? {} : { resourceVersion },
  });
}

export function includeObjectOf({ query }: Call): IncludeObject {
  const asked = query.get('includeObject');
  return asked === 'None' || asked === 'Object' ? asked : 'Metadata';
}

/** metav1.Status of a success that has no object to show. */
export function success(code: number, details?: object): Answer {
  const body = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    ...(details === undefined ? { code } : {}),
  };
  return { code, body };
}
