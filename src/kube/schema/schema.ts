/**
 * The structure of the Kubernetes API we serve: what each kind consists of, and everything that follows from that alone.
 *
 * Promises: bodies in JSON, YAML and protobuf become the plain JSON object a Go server would store ({@link decodeBody});
 * patches of every type but server-side apply ({@link applyPatch}); the OpenAPI documents that kubectl reads (openapi.ts).
 * What a client did wrong is a {@link RequestProblem} with upstream's HTTP code, reason and, where it is fixed, message.
 * Refuses: values. That port 0 is no port, and which fields may change, is validation's; defaults are not set here either.
 *
 * @example
 * const { object, warnings } = decodeBody(RESOURCES.services, body, 'application/json', 'Strict');
 * const patched = applyPatch(RESOURCES.services, object, patchBody, 'application/merge-patch+json');
 * const { object: updated } = decodePatched(RESOURCES.services, patched, patchBody, 'Strict');
 */
import { formatOf, readBody } from './body.ts';
import { decodeStruct, TypeMismatch } from './decode.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { type GroupVersionKind, parseApiVersion, schemaOfKind, type TypeSchema } from './model.ts';
import { RequestProblem } from './problem.ts';

export type { Json, JsonObject } from './json.ts';
export {
  definitionName,
  type Field,
  type FieldType,
  type GroupVersionKind,
  schemaOf,
  schemaOfKind,
  type TypeSchema,
} from './model.ts';
export { applyPatch, PATCH_TYPES } from './patch.ts';
export { type Cause, type ProblemReason, RequestProblem } from './problem.ts';
export { decodeProtobuf } from './protobuf.ts';

/** The query parameter fieldValidation; upstream's default is Warn. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  readonly object: JsonObject;
  /** For Warning headers (RFC 7234 section 5.5, code 299); only with fieldValidation=Warn. */
  readonly warnings: readonly string[];
}

/** Reads the query parameter; throws BadRequest for another value. */
export function parseFieldValidation(text: string | undefined): FieldValidation {
  if (text === undefined || text === '') return 'Warn';
  if (text === 'Strict' || text === 'Warn' || text === 'Ignore') return text;
  throw new RequestProblem(
    'BadRequest',
    `fieldValidation: Unsupported value: ${JSON.stringify(text)}: supported values: "Ignore", "Strict", "Warn"`,
  );
}

/**
 * Decodes a request body for `kind` (a Resource, or the group, version and kind of a subresource such as TokenRequest).
 * `contentType` is the header as it came. Throws {@link RequestProblem}: BadRequest or UnsupportedMediaType.
 */
export function decodeBody(
  kind: GroupVersionKind,
  bytes: Uint8Array,
  contentType: string | undefined,
  fieldValidation: FieldValidation,
): Decoded {
  const { value, duplicates } = readBody(bytes, formatOf(contentType), kind.kind);
  return decodeObject(kind, value, fieldValidation, duplicates);
}

/**
 * As {@link decodeBody}, for a value that is parsed already. A missing apiVersion or kind is filled in; another than the
 * request's is refused. `duplicates` are strict errors found in the text.
 */
export function decodeObject(
  kind: GroupVersionKind,
  value: Json,
  fieldValidation: FieldValidation,
  duplicates: readonly string[] = [],
): Decoded {
  const said = checkKind(kind, value);
  return decode(kind, value, fieldValidation, duplicates, (why, cause) => {
    const version = JSON.stringify(said.version);
    const message = `${said.kind} in version ${version} cannot be handled as a ${kind.kind}: ${why}`;
    return new RequestProblem('BadRequest', message, [], { cause });
  });
}

/**
 * Decodes what a patch made of an object. As {@link decodeObject}, but what does not fit is Invalid (422) at the field
 * `patch`, as upstream's PATCH handler says it. `patch` is the patch's text, for the message.
 */
export function decodePatched(
  kind: GroupVersionKind,
  value: Json,
  patch: Uint8Array,
  fieldValidation: FieldValidation,
): Decoded {
  checkKind(kind, value);
  return decode(kind, value, fieldValidation, [], (why, cause) => {
    const message = `Invalid value: ${JSON.stringify(new TextDecoder().decode(patch))}: ${why}`;
    const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
    return new RequestProblem('Invalid', ` "" is invalid: patch: ${message}`, causes, { cause });
  });
}

function decode(
  kind: GroupVersionKind,
  value: Json,
  fieldValidation: FieldValidation,
  duplicates: readonly string[],
  refuse: (why: string, cause?: unknown) => RequestProblem,
): Decoded {
  const { object, unknown } = structOr(refuse, requireSchema(kind), value);
  const strict = [...duplicates, ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`)];
  if (fieldValidation === 'Strict' && strict.length > 0) {
    throw refuse(`strict decoding error: ${strict.join(', ')}`);
  }
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  return {
    object: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...rest },
    warnings: fieldValidation === 'Warn' ? strict : [],
  };
}

function structOr(refuse: (why: string, cause: unknown) => RequestProblem, schema: TypeSchema, value: Json) {
  try {
    return decodeStruct(schema, value);
  } catch (error) {
    if (error instanceof TypeMismatch) throw refuse(error.message, error);
    throw error;
  }
}

function requireSchema(kind: GroupVersionKind): TypeSchema {
  const schema = schemaOfKind(kind);
  if (schema === undefined) throw new TypeError(`no schema for ${kind.kind} in ${apiVersionOf(kind)}`);
  return schema;
}

const apiVersionOf = ({ group, version }: GroupVersionKind): string =>
  group === '' ? version : `${group}/${version}`;

/** The kind a body says it is of; throws BadRequest where that is not the request's. */
function checkKind(expected: GroupVersionKind, value: Json): GroupVersionKind {
  const { apiVersion = '', kind = '' } = isObject(value) ? value : {};
  const wanted = apiVersionOf(expected);
  const said = {
    ...parseApiVersion(typeof apiVersion === 'string' && apiVersion !== '' ? apiVersion : wanted),
    kind: typeof kind === 'string' && kind !== '' ? kind : expected.kind,
  };
  if (said.kind !== expected.kind) {
    const why =
      schemaOfKind(said) === undefined
        ? `no kind ${JSON.stringify(said.kind)} is registered for version ${JSON.stringify(apiVersionOf(said))}`
        : `the kind in the data (${said.kind}) does not match the expected kind (${expected.kind})`;
    throw new RequestProblem(
      'BadRequest',
      `${said.kind} in version ${JSON.stringify(said.version)} cannot be handled as a ${expected.kind}: ${why}`,
    );
  }
  if (apiVersionOf(said) !== wanted && schemaOfKind(said) !== schemaOfKind(expected)) {
    throw new RequestProblem(
      'BadRequest',
      `the API version in the data (${apiVersionOf(said)}) does not match the expected API version (${wanted})`,
    );
  }
  return said;
}
