/**
 * Patches: a content type, the patch's bytes and the object it is meant for become the patched object, not yet decoded
 * (see decodePatched). Strategic merge, JSON merge patch (RFC 7396) and JSON patch (RFC 6902); server-side apply is refused
 * as an unsupported media type.
 */
import fastJsonPatch, { type Operation } from 'fast-json-patch';
import { isObject, type Json, type JsonObject, parseJson } from './json.ts';
import { type GroupVersionKind, schemaOfKind } from './model.ts';
import { RequestProblem } from './problem.ts';
import { inapplicable, strategicMerge } from './strategic.ts';

/** The content types of PATCH that are served, for error messages and for OpenAPI. */
export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/**
 * Applies a patch to an object of `kind`; the object is left as it is. `contentType` is the header as it came. Throws
 * {@link RequestProblem}: UnsupportedMediaType, BadRequest for a patch that cannot be read, Invalid for one that does not fit.
 *
 * @example applyPatch(RESOURCES.services, service, body, 'application/merge-patch+json')
 */
export function applyPatch(
  kind: GroupVersionKind,
  object: JsonObject,
  patch: Uint8Array,
  contentType: string | undefined,
): JsonObject {
  const media = (contentType ?? '').split(';')[0]?.trim().toLowerCase();
  switch (media) {
    case PATCH_TYPES.json:
      return applyJsonPatch(object, parse(patch));
    case PATCH_TYPES.merge:
      return mergePatch(object, requireObject(parse(patch)));
    case PATCH_TYPES.strategic: {
      const schema = schemaOfKind(kind);
      if (schema === undefined) throw new TypeError(`no schema for ${kind.kind}`);
      return strategicMerge(schema, object, requireObject(parse(patch)));
    }
    default:
      throw new RequestProblem(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: ${Object.values(PATCH_TYPES).join(', ')}`,
      );
  }
}

function parse(patch: Uint8Array): Json {
  try {
    return parseJson(new TextDecoder().decode(patch));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RequestProblem('BadRequest', `error decoding patch: ${error.message}`, [], { cause: error });
  }
}

function requireObject(patch: Json): JsonObject {
  if (isObject(patch)) return patch;
  throw new RequestProblem('BadRequest', 'error decoding patch: invalid JSON document');
}

/** RFC 7396, for a target and a patch that are objects. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const out = new Map(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    const before = out.get(name);
    if (value === null) out.delete(name);
    else out.set(name, isObject(value) ? mergePatch(isObject(before) ? before : {}, value) : value);
  }
  return Object.fromEntries(out);
}

const OPERATIONS = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function isOperation(value: Json): value is JsonObject & Operation {
  if (!isObject(value) || typeof value.path !== 'string') return false;
  return typeof value.op === 'string' && OPERATIONS.has(value.op);
}

function applyJsonPatch(object: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch) || !patch.every(isOperation)) {
    throw new RequestProblem('BadRequest', 'error decoding patch: not a list of JSON patch operations');
  }
  let patched: Json;
  try {
    patched = fastJsonPatch.applyPatch<Json>(object, patch, true, false).newDocument;
  } catch (error) {
    if (!(error instanceof fastJsonPatch.JsonPatchError)) throw error;
    throw inapplicable(`${error.message.split('\n')[0]} (operation ${error.index ?? 0})`, error);
  }
  if (isObject(patched)) return patched;
  throw inapplicable('the patched document is not an object');
}
