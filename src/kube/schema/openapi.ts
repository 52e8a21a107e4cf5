/**
 * The OpenAPI documents kubectl reads: /openapi/v3 (index), /openapi/v3/<group version> (kubectl 1.29 and later) and
 * /openapi/v2 (kubectl 1.28 and before), the latter also as protobuf. Built when first asked for, then kept.
 *
 * @example openApiV3('apps', 'v1') // { openapi: '3.0.0', info, paths, components: { schemas } }
 */
import { ALL_RESOURCES, type Resource } from '../resources.ts';
import { encodeDocument } from './gnostic.ts';
import type { JsonObject } from './json.ts';
import { definitions } from './openapi-definitions.ts';
import { paths, typesIn } from './openapi-paths.ts';

export { subresourceKind } from './openapi-paths.ts';

/** The content type of version 2 as protobuf. */
export const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/**
 * Whether an Accept header asks for version 2 as protobuf. Clients write an @ in the name, which is no media type (RFC 6838
 * section 4.2), so the answer's content type is spelled with a point.
 */
export const acceptsOpenApiV2Protobuf = (accept: string | undefined): boolean =>
  /application\/com\.github\.proto-openapi\.spec\.v2[.@]v1\.0\+protobuf/.test(accept ?? '');

/** The Kubernetes release whose schema is served. */
const INFO = { title: 'Kubernetes', version: 'v1.33.0' };

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function documentOf(resources: readonly Resource[]): JsonObject {
  return {
    openapi: '3.0.0',
    info: INFO,
    paths: paths(resources, 3),
    components: { schemas: definitions(typesIn(resources), 3) },
  };
}

const keyOf = ({ group, version }: Resource): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

const documents: ReadonlyMap<string, () => JsonObject> = new Map(
  [...Map.groupBy(ALL_RESOURCES, keyOf)].map(([key, resources]) => [key, once(() => documentOf(resources))]),
);

/** The document of a group and version, or undefined where nothing is served. */
export const openApiV3 = (group: string, version: string): JsonObject | undefined =>
  documents.get(group === '' ? `api/${version}` : `apis/${group}/${version}`)?.();

/** 32-bit FNV-1a: a client keeps a document for as long as its hash stays. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The index at /openapi/v3: where each document is, with a hash so that clients may keep it. */
export const openApiV3Index: () => JsonObject = once(() => ({
  paths: Object.fromEntries(
    [...documents].map(([key, document]) => [
      key,
      { serverRelativeURL: `/openapi/v3/${key}?hash=${hash(JSON.stringify(document()))}` },
    ]),
  ),
}));

/** The Swagger 2.0 document at /openapi/v2. */
export const openApiV2: () => JsonObject = once(() => ({
  swagger: '2.0',
  info: INFO,
  paths: paths(ALL_RESOURCES, 2),
  definitions: definitions(typesIn(ALL_RESOURCES), 2),
}));

/** The same as gnostic's openapi.v2.Document, for {@link OPENAPI_V2_PROTOBUF}. */
export const openApiV2Protobuf: () => Uint8Array = once(() => encodeDocument(openApiV2()));

/** A document as it goes over the wire. */
export interface OpenApiText {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

const texts = new Map<string, string>();

function textAt(path: string): string | undefined {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const document =
    path === '/openapi/v2'
      ? openApiV2()
      : path === '/openapi/v3'
        ? openApiV3Index()
        : documents.get(path.replace(/^\/openapi\/v3\//, ''))?.();
  if (document === undefined) return undefined;
  const text = JSON.stringify(document);
  texts.set(path, text);
  return text;
}

/** What a GET of `/openapi/…` is answered with, given its Accept header; undefined where no document is (404). */
export function openApiTextAt(path: string, accept: string | undefined): OpenApiText | undefined {
  if (path === '/openapi/v2' && acceptsOpenApiV2Protobuf(accept)) {
    return { contentType: OPENAPI_V2_PROTOBUF, body: openApiV2Protobuf() };
  }
  const body = textAt(path);
  return body === undefined ? undefined : { contentType: 'application/json', body };
}
