/**
 * Writes src/kube/schema/model.json: the schema of every type that facts.txt lists, with the docs and the required fields of
 * the declarations in the package kubernetes-types. Run by hand after either changes, and commit what it writes:
 *
 *   node scripts/generate-schema.ts
 *
 * It stops where facts and declarations disagree: a field of one that the other lacks is a gap some client falls into.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const facts = new URL('src/kube/schema/facts.txt', root);
const target = new URL('src/kube/schema/model.json', root);

interface Declared {
  readonly doc: string;
  readonly fields: Map<string, { readonly doc: string; readonly required: boolean }>;
}

interface FactField {
  readonly name: string;
  readonly number: string;
  readonly rest: string;
}

interface FactType {
  readonly flags: string;
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
    const [name = '', number = '', ...rest] = line.trim().split(' ');
    if (!line.startsWith(' ')) {
      current = { flags: [number, ...rest].join(' '), fields: [] };
      types.set(name, current);
    } else current?.fields.push({ name, number, rest: rest.join(' ') });
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

/**
 * What kubernetes-types leaves out: types that a server only sends, options that stand in queries, and two fields that it loses
 * because their docs hold the end of a comment.
 */
const UNDECLARED =
  /^meta\.v1\.(Table|PartialObject|List$|\w+Options$)|^core\.v1\.Pod\w+Options$|^authorization\.v1\.ResourceRule\.(resources|verbs)$/;

function render(types: ReadonlyMap<string, FactType>): { text: string; gaps: string[] } {
  const embedded = new Set(
    [...types.values()].flatMap((one) => one.fields.filter((f) => f.name === '+')).map((f) => f.rest),
  );
  const gaps: string[] = [];
  const blocks: string[] = [];
  for (const [name, type] of types) {
    const declaration = declarationOf(name);
    if (declaration === undefined && embedded.has(name)) continue;
    if (declaration === undefined && !UNDECLARED.test(name)) gaps.push(`${name} is not declared`);
    const fields = flatten(type, types).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const field of declaration?.fields.keys() ?? []) {
      if (!fields.some((one) => one.name === field)) gaps.push(`${name}.${field} has no facts`);
    }
    const lines = fields.map((field) => {
      const said = declaration?.fields.get(field.name);
      if (said === undefined && declaration !== undefined && !UNDECLARED.test(`${name}.${field.name}`))
        gaps.push(`${name}.${field.name} is not declared`);
      const required = said?.required === true ? ' required' : '';
      return `  ${JSON.stringify(field.name)}: ${JSON.stringify([`${field.number} ${field.rest}${required}`, said?.doc ?? ''])}`;
    });
    blocks.push(
      `${JSON.stringify(name)}: {"flags": ${JSON.stringify(type.flags)}, "doc": ${JSON.stringify(declaration?.doc ?? '')}, "fields": {\n${lines.join(',\n')}\n}}`,
    );
  }
  return { text: `{\n${blocks.join(',\n')}\n}\n`, gaps };
}

const { text, gaps } = render(readFacts(readFileSync(facts, 'utf8')));
if (gaps.length > 0) {
  console.error(gaps.join('\n'));
  process.exitCode = 1;
} else writeFileSync(target, text);
