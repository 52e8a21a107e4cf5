/** Create, read, replace, patch and delete, for every resource alike. */

import { apiVersionOf } from '../kube/resources.ts';
import type { Json, JsonObject } from '../kube/schema/schema.ts';
import { applyPatch, decodeBody, decodePatched, PATCH_TYPES } from '../kube/schema/schema.ts';
import {
  type Answer,
  asObject,
  type Call,
  decodedBody,
  dryRunOf,
  fieldValidationOf,
  keyOf,
  methodOf,
  present,
  success,
} from './call.ts';
import { headerOf, readBody } from './http.ts';
import { handleList } from './list.ts';
import { type DeleteOptions, type Deletion, deleteObject } from './registry/deletion.ts';
import type { UpdateOptions } from './registry/registry.ts';
import { selectionOf } from './registry/selection.ts';
import { type AnyObject, decode, type ObjectKey, prefixOf } from './registry/stored.ts';
import { strategyOf } from './registry/strategy.ts';
import { methodNotAllowed, notFound, StatusError, unsupportedMediaType } from './status.ts';
import { handleWatch, isTrue } from './watch.ts';

/** `/api/v1/pods`, `/api/v1/namespaces/NS/pods`. */
export async function handleCollection(call: Call): Promise<Answer | undefined> {
  switch (methodOf(call)) {
    case 'GET':
      return isTrue(call.query.get('watch')) ? handleWatch(call) : handleList(call);
    case 'POST':
      return handleCreate(call);
    case 'DELETE':
      return handleDeleteCollection(call);
    default:
      throw methodNotAllowed();
  }
}

/** `/api/v1/namespaces/NS/pods/NAME`. */
export async function handleObject(call: Call): Promise<Answer | undefined> {
  switch (methodOf(call)) {
    case 'GET':
      if (isTrue(call.query.get('watch'))) return handleWatch(call);
      return present(call, decode(await call.registry.get(keyOf(call))));
    case 'PUT':
      return handleReplace(call, {});
    case 'PATCH':
      return handlePatch(call, {});
    case 'DELETE':
      return handleDelete(call);
    default:
      throw methodNotAllowed();
  }
}

/** `…/NAME/status`: the same object, of which only the status is written. */
export async function handleStatus(call: Call): Promise<Answer | undefined> {
  switch (methodOf(call)) {
    case 'GET':
      return present(call, decode(await call.registry.get(keyOf(call))));
    case 'PUT':
      return handleReplace(call, { subresource: 'status' });
    case 'PATCH':
      return handlePatch(call, { subresource: 'status' });
    default:
      throw methodNotAllowed();
  }
}

async function handleCreate(call: Call): Promise<Answer> {
  const { resource, namespace } = call.route;
  if (resource.namespaced && namespace === undefined) throw methodNotAllowed();
  const dryRun = dryRunOf(call);
  const { object, warnings } = await decodedBody(call, resource);
  return present(call, await call.registry.create(resource, namespace, object, { dryRun }), 201, warnings);
}

/** PUT. Through `finalize` too. */
export async function handleReplace(
  call: Call,
  options: Pick<UpdateOptions, 'subresource'>,
): Promise<Answer> {
  const key = keyOf(call);
  const dryRun = dryRunOf(call);
  const { object, warnings } = await decodedBody(call, key.resource);
  const update = { ...options, dryRun, replace: true };
  const done = await call.registry.update(key, () => object, update);
  return present(call, done.object, done.created ? 201 : 200, warnings);
}

async function handlePatch(call: Call, options: Pick<UpdateOptions, 'subresource'>): Promise<Answer> {
  const key = keyOf(call);
  const dryRun = dryRunOf(call);
  const validation = fieldValidationOf(call);
  const contentType = patchTypeOf(call);
  const body = await readBody(call.request);
  let warnings: readonly string[] = [];
  const change = (current: AnyObject | undefined): AnyObject => {
    if (current === undefined) throw notFound(key.resource, key.name);
    const patched = applyPatch(key.resource, asJson(current), body, contentType);
    const decoded = asObject(decodePatched(key.resource, patched, body, validation));
    warnings = decoded.warnings;
    return unpinned(decoded.object, current);
  };
  const done = await call.registry.update(key, change, { ...options, dryRun });
  return present(call, done.object, 200, warnings);
}

/** The content type of a patch. Throws UnsupportedMediaType, for server-side apply too. */
export function patchTypeOf(call: Call): string {
  const contentType = headerOf(call.request, 'content-type') ?? '';
  const [media = ''] = contentType.split(';');
  const types: readonly string[] = Object.values(PATCH_TYPES);
  if (media.trim() === 'application/apply-patch+yaml') throw noServerSideApply();
  if (!types.includes(media.trim())) throw unsupportedMediaType(types);
  return media.trim();
}

/** Fields would have to have owners (KEP-555), and we keep none. */
const noServerSideApply = (): StatusError =>
  new StatusError(
    415,
    'UnsupportedMediaType',
    'this server does not keep field ownership, which server-side apply needs: apply without --server-side',
  );

export const asJson = (object: AnyObject): JsonObject => object as unknown as JsonObject;

/**
 * A patch that does not speak of resourceVersion left the one it was applied to. Without it the patch is tried again when
 * somebody else was faster, as upstream does.
 */
export function unpinned(patched: AnyObject, current: AnyObject): AnyObject {
  if (patched.metadata.resourceVersion !== current.metadata.resourceVersion) return patched;
  const { resourceVersion: _, ...metadata } = patched.metadata;
  return { ...patched, metadata };
}

async function handleDelete(call: Call): Promise<Answer> {
  const key = keyOf(call);
  const { options, dryRun } = await deleteOptionsOf(call);
  const deletion = await deleteObject(call.registry, key, options, { dryRun });
  return deletionAnswer(call, key, deletion);
}

export function deletionAnswer(
  call: Call,
  { resource, name }: ObjectKey,
  { object, removed }: Deletion,
): Answer {
  if (!removed || strategyOf(resource).returnsDeleted) return present(call, object);
  return success(200, {
    name,
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.plural,
    uid: object.metadata.uid ?? '',
  });
}

/** DeleteOptions of the body, else of the query, which upstream reads when there is no body. */
export async function deleteOptionsOf(call: Call): Promise<{ options: DeleteOptions; dryRun: boolean }> {
  const body = await readBody(call.request);
  const dryRun = dryRunOf(call);
  if (body.length > 0) {
    const kind = { group: '', version: 'v1', kind: 'DeleteOptions' };
    const contentType = headerOf(call.request, 'content-type');
    const { object } = decodeBody(kind, body, contentType, 'Ignore');
    return { options: object as DeleteOptions, dryRun: dryRun || includesAll(object.dryRun) };
  }
  const grace = call.query.get('gracePeriodSeconds');
  const policy = call.query.get('propagationPolicy');
  const options = {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
  } as DeleteOptions;
  return { options, dryRun };
}

const includesAll = (dryRun: Json | undefined): boolean => Array.isArray(dryRun) && dryRun.includes('All');

async function handleDeleteCollection(call: Call): Promise<Answer> {
  const { resource, namespace } = call.route;
  if (resource.namespaced && namespace === undefined) throw methodNotAllowed();
  const { options, dryRun } = await deleteOptionsOf(call);
  const selection = selectionOf(resource, call.query);
  const { entries, revision } = await call.registry.store.list(prefixOf(resource, namespace));
  const chosen = entries.map(decode).filter((object) => selection === undefined || selection(object));
  const deleted = await Promise.all(
    chosen.map(async ({ metadata }) => {
      const key = { resource, namespace: metadata.namespace, name: metadata.name ?? '' };
      try {
        return [(await deleteObject(call.registry, key, options, { dryRun })).object];
      } catch (error) {
        // Somebody else has deleted it meanwhile, which is what was asked for.
        if (error instanceof StatusError && error.code === 404) return [];
        throw error;
      }
    }),
  );
  const items = deleted.flat();
  const metadata = { resourceVersion: String(revision) };
  return {
    code: 200,
    body: { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items },
  };
}
