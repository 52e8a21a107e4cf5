/**
 * Request bodies: bytes and a content type become a JSON value. JSON and YAML remember names that stand twice in an object,
 * which upstream reports under strict field validation.
 */
import { parseDocument, type Tags } from 'yaml';
import { duplicateNames } from './duplicates.ts';
import { isObject, type Json, parseJson } from './json.ts';
import { RequestProblem } from './problem.ts';
import { decodeProtobuf } from './protobuf.ts';

export interface Body {
  readonly value: Json;
  /** Strict errors of the text itself, e.g. `duplicate field "spec.replicas"`. */
  readonly duplicates: readonly string[];
}

export type BodyFormat = 'json' | 'yaml' | 'protobuf';

const FORMATS: ReadonlyMap<string, BodyFormat> = new Map([
  ['application/json', 'json'],
  ['application/yaml', 'yaml'],
  ['application/vnd.kubernetes.protobuf', 'protobuf'],
]);

/** The format of a Content-Type header; a missing one is JSON. Throws UnsupportedMediaType. */
export function formatOf(contentType: string | undefined): BodyFormat {
  const [media = ''] = (contentType ?? '').split(';');
  const format = media.trim() === '' ? 'json' : FORMATS.get(media.trim().toLowerCase());
  if (format !== undefined) return format;
  throw new RequestProblem(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${[...FORMATS.keys()].join(', ')}`,
  );
}

/** Go's YAML reader knows no dates, sets or binaries where it makes JSON: they stay strings. */
const JSON_TAGS = (tags: Tags): Tags =>
  tags.filter((tag) => typeof tag === 'string' || !/:(timestamp|binary|set|omap|pairs)$/.test(tag.tag));

function readYaml(text: string): Body {
  const document = parseDocument(text, { version: '1.1', customTags: JSON_TAGS, uniqueKeys: true });
  const duplicates: string[] = [];
  for (const error of document.errors) {
    const [{ line } = { line: 0 }] = error.linePos ?? [];
    if (error.code !== 'DUPLICATE_KEY')
      throw new SyntaxError(`yaml: line ${line}: ${error.message.split('\n')[0]}`);
    duplicates.push(`yaml: line ${line}: key already set in map`);
  }
  return { value: document.toJS() as Json, duplicates };
}

function readJson(text: string): Body {
  const value = parseJson(text);
  return { value, duplicates: duplicateNames(text).map((path) => `duplicate field ${JSON.stringify(path)}`) };
}

/** As upstream's summarizeData: the start of a text that looks like JSON, else of its bytes in hexadecimal. */
function summary(bytes: Uint8Array, text: string): string {
  if (bytes.length === 0) return '<empty>';
  if (text.startsWith('{')) return text.length > 30 ? `${text.slice(0, 30)} ...` : text;
  const hex = [...bytes.subarray(0, 30)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return bytes.length > 30 ? `${hex} ...` : hex;
}

/** Reads a body for an object of `kind`. Throws BadRequest where the text cannot be read or is no object. */
export function readBody(bytes: Uint8Array, format: BodyFormat, kind: string): Body {
  if (format === 'protobuf') return { value: decodeProtobuf(bytes), duplicates: [] };
  const text = new TextDecoder().decode(bytes);
  const refuse = (why: string, options?: ErrorOptions) =>
    new RequestProblem(
      'BadRequest',
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why} (${summary(bytes, text)})`,
      [],
      options,
    );
  let body: Body;
  try {
    body = format === 'json' ? readJson(text) : readYaml(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw refuse(error.message, { cause: error });
    throw error;
  }
  if (!isObject(body.value)) throw refuse('the body is not an object');
  return body;
}
