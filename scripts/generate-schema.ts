/**
 * Writes src/kube/schema/model.json: the schema of every type that facts.txt lists, with the docs and the required fields of
 * the declarations in the package kubernetes-types. Run by hand after either changes, and commit what it writes:
 *
 *   node scripts/generate-schema.ts [FILE]
 *
 * FILE is written instead, if it is given: a test compares it with what is committed.
 * It stops where facts and declarations disagree: a field of one that the other lacks is a gap some client falls into.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const facts = new URL('src/kube/schema/facts.txt', root);
const target = process.argv[2] ?? new URL('src/kube/schema/model.json', root);

interface Declared {
  readonly doc: string;
  readonly fields: Map<string, { readonly doc: string; readonly required: boolean }>;
}

interface FactField {
  readonly name: string;
  readonly number: string;
  readonly rest: string;
  /** Ours, of what the package lacks. */
  readonly doc: string;
}

interface FactType {
  readonly flags: string;
  readonly doc: string;
  readonly fields: FactField[];
}

/** The text of a doc comment without its stars; blank lines part paragraphs. */
function docText(comment: string): string {
  return comment
    .replace(/^\s*\/\*\*/, '')
    .replace(/\*\/\s*$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .replaceAll('*\\/', '*/')
    .trim();
}

/** The interfaces of one declaration file. The files are printed by a compiler, so their layout is regular. */
function declarations(text: string): Map<string, Declared> {
  const found = new Map<string, Declared>();
  const types = /(\/\*\*(?:(?!\*\/\n)[\s\S])*\*\/\n)?export interface (\w+) \{\n([\s\S]*?)^\}/gm;
  const members = /( {4}\/\*\*(?:(?!\*\/\n)[\s\S])*\*\/\n)? {4}(?:readonly )?"?([$\w]+)"?(\??): /g;
  for (const [, comment = '', name = '', body = ''] of text.matchAll(types)) {
    const fields = new Map<string, { doc: string; required: boolean }>();
    for (const [, doc = '', field = '', optional] of body.matchAll(members)) {
      fields.set(field, { doc: docText(doc), required: optional === '' });
    }
    found.set(name, { doc: docText(comment), fields });
  }
  return found;
}

function readFacts(text: string): Map<string, FactType> {
  const types = new Map<string, FactType>();
  let current: FactType | undefined;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [facts = '', doc = ''] = line.trim().split(' # ');
    const [name = '', number = '', ...rest] = facts.split(' ');
    if (!line.startsWith(' ')) {
      current = { flags: [number, ...rest].join(' '), doc, fields: [] };
      types.set(name, current);
    } else current?.fields.push({ name, number, rest: rest.join(' '), doc });
  }
  return types;
}

const declared = new Map<string, Map<string, Declared>>();

function declarationOf(name: string): Declared | undefined {
  const [group = '', version, type = ''] = name.split('.');
  const file = version === undefined || type === '' ? `${group}.d.ts` : `${group}/${version}.d.ts`;
  let types = declared.get(file);
  if (types === undefined) {
    types = declarations(readFileSync(new URL(`node_modules/kubernetes-types/${file}`, root), 'utf8'));
    declared.set(file, types);
  }
  return types.get(type);
}

/** Fields as JSON has them: those of an embedded block stand beside the others, numbered `message.field`. */
function flatten(type: FactType, types: ReadonlyMap<string, FactType>): FactField[] {
  return type.fields.flatMap((field) => {
    if (field.name !== '+') return [field];
    const embedded = types.get(field.rest);
    if (embedded === undefined) throw new Error(`facts.txt embeds ${field.rest}, which it does not list`);
    return flatten(embedded, types).map((one) => ({ ...one, number: `${field.number}.${one.number}` }));
  });
}

/** Types that upstream's OpenAPI, and so kubernetes-types, leaves out: what a server only sends, and options in queries. */
const UNDECLARED = /^meta\.v1\.(Table|PartialObject|List$|\w+Options$)|^core\.v1\.Pod\w+Options$/;

/** Fields that kubernetes-types has and later releases dropped. */
const DROPPED = new Set(['core.v1.PodResourceClaim.source']);

const text = JSON.stringify;

/** One type as lines of JSON; what is wrong with it goes to `gaps`. */
function renderType(name: string, type: FactType, fields: readonly FactField[], gaps: string[]): string {
  const declaration = declarationOf(name);
  if (declaration === undefined && type.doc === '' && !UNDECLARED.test(name))
    gaps.push(`${name} is not declared`);
  for (const field of declaration?.fields.keys() ?? []) {
    const path = `${name}.${field}`;
    if (!DROPPED.has(path) && !fields.some((one) => one.name === field)) gaps.push(`${path} has no facts`);
  }
  const lines = fields.map((field) => {
    const said = declaration?.fields.get(field.name);
    const missing = declaration !== undefined && said === undefined && field.doc === '';
    if (missing) gaps.push(`${name}.${field.name} is not declared`);
    const required = said?.required === true ? ' required' : '';
    return `  ${text(field.name)}: ${text([`${field.number} ${field.rest}${required}`, said?.doc ?? field.doc])}`;
  });
  const doc = declaration?.doc ?? type.doc;
  return `${text(name)}: {"flags": ${text(type.flags)}, "doc": ${text(doc)}, "fields": {\n${lines.join(',\n')}\n}}`;
}

function render(types: ReadonlyMap<string, FactType>): {
  readonly model: string;
  readonly gaps: readonly string[];
} {
  const embeddings = [...types.values()].flatMap((type) => type.fields.filter(({ name }) => name === '+'));
  const embedded = new Set(embeddings.map(({ rest }) => rest));
  const gaps: string[] = [];
  const blocks = [...types]
    .filter(([name]) => !embedded.has(name) || declarationOf(name) !== undefined)
    .map(([name, type]) => {
      const fields = flatten(type, types).sort((a, b) => (a.name < b.name ? -1 : 1));
      return renderType(name, type, fields, gaps);
    });
  return { model: `{\n${blocks.join(',\n')}\n}\n`, gaps };
}

const { model, gaps } = render(readFacts(readFileSync(facts, 'utf8')));
if (gaps.length > 0) {
  console.error(gaps.join('\n'));
  process.exitCode = 1;
} else writeFileSync(target, model);
