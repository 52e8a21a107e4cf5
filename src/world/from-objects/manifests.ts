import { isMap, isNode, LineCounter, type ParsedNode, parseAllDocuments, type Tags } from 'yaml';
import { Fault } from '../../fault/fault.ts';

export type FieldPath = readonly (string | number)[];

/** One Kubernetes object as a file holds it, and where its parts stand there. */
export interface Manifest {
  readonly value: Readonly<Record<string, unknown>>;
  /** `file:line` of the field, or of the nearest thing around it if the field is not there. */
  readonly place: (path?: FieldPath) => string;
}

/** Go's YAML reader, which Kubernetes uses, knows no dates, sets or binaries: they stay text. */
const JSON_TAGS = (tags: Tags): Tags =>
  tags.filter((tag) => typeof tag === 'string' || !/:(timestamp|binary|set|omap|pairs)$/.test(tag.tag));

/**
 * The objects of one YAML or JSON text; the items of a `List` are objects of their own. Throws {@link Fault} FE006 that
 * names file and line.
 */
export function parseManifests(file: string, text: string): Manifest[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { version: '1.1', customTags: JSON_TAGS, lineCounter: lines });
  if ('empty' in documents) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const line = lines.linePos(error.pos[0]).line;
      throw new Fault('FE006', `${file}:${line}: ${firstLine(error.message)}`, 'correct the YAML');
    }
    const { contents } = document;
    if (contents === null) return [];
    const placeOf = (path: FieldPath) => `${file}:${lineOf(contents, path, lines)}`;
    const value: unknown = document.toJS();
    if (value === null) return [];
    if (!isMap(contents)) throw new Fault('FE006', `${placeOf([])}: no Kubernetes object`, 'write a map');
    return itemsOf(value as Record<string, unknown>, placeOf);
  });
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').replace(/ at line.*$/, '');

function itemsOf(value: Record<string, unknown>, placeOf: (path: FieldPath) => string): Manifest[] {
  if (value.kind !== 'List' || !Array.isArray(value.items)) {
    return [{ value, place: (path = []) => placeOf(path) }];
  }
  return value.items.map((item: unknown, at) => ({
    value: item as Record<string, unknown>,
    place: (path: FieldPath = []) => placeOf(['items', at, ...path]),
  }));
}

/** The line of the deepest part of the path that is there; of a field, that of its name. */
function lineOf(contents: ParsedNode, path: FieldPath, lines: LineCounter): number {
  let found: ParsedNode = contents;
  let offset = contents.range[0];
  for (const step of path) {
    if (isMap(found)) {
      const pair = found.items.find(({ key }) => String(key) === String(step));
      if (pair === undefined) break;
      offset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      if (!isNode(pair.value)) break;
      found = pair.value as ParsedNode;
    } else {
      const item: unknown = 'items' in found ? found.items[Number(step)] : undefined;
      if (!isNode(item)) break;
      found = item as ParsedNode;
      offset = found.range[0];
    }
  }
  return lines.linePos(offset).line;
}
