/**
 * Label and field selectors: parsed once, then asked about each object.
 *
 * Promises: the grammar of apimachinery pkg/labels (`a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`,
 * joined by commas) and of pkg/fields (`path=value`, `path!=value`), LabelSelector objects, and their meaning: `!=` and
 * `notin` also match objects that lack the label.
 * Refuses: names and values that no label can have, and field paths the kind does not offer (the caller lists those).
 *
 * @example parseLabelSelector('app=nginx,tier notin (a,b)').matches({ app: 'nginx' }) // true
 */
import type { LabelSelector } from 'kubernetes-types/meta/v1.js';

export type Labels = Readonly<Record<string, string>>;

export interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  readonly values: readonly string[];
}

/** A selector that cannot be parsed; upstream answers 400 BadRequest with this message. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

export class Selector {
  readonly requirements: readonly Requirement[];

  constructor(requirements: readonly Requirement[]) {
    this.requirements = requirements;
  }

  /** No requirement: matches everything. */
  get empty(): boolean {
    return this.requirements.length === 0;
  }

  matches(labels: Labels | undefined): boolean {
    return this.requirements.every((one) => holds(one, labels ?? {}));
  }

  /** As a query or Scale.status.selector has it: `app=web,tier notin (a,b),!zone`. */
  toString(): string {
    return this.requirements.map(written).join(',');
  }
}

function written({ key, operator, values }: Requirement): string {
  const [value = ''] = values;
  switch (operator) {
    case 'in':
    case 'notin':
      if (values.length === 1) return `${key}${operator === 'in' ? '=' : '!='}${value}`;
      return `${key} ${operator} (${values.join(',')})`;
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'gt':
    case 'lt':
      return `${key}${operator === 'gt' ? '>' : '<'}${value}`;
  }
}

/** Matches nothing: what a null LabelSelector means. */
export const NOTHING = new Selector([{ key: '', operator: 'in', values: [] }]);

const INTEGER = /^[+-]?\d+$/;

function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'in':
      return value !== undefined && values.includes(value);
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt': {
      if (value === undefined || !INTEGER.test(value)) return false;
      const [limit = '0'] = values;
      return operator === 'gt' ? BigInt(value) > BigInt(limit) : BigInt(value) < BigInt(limit);
    }
  }
}

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether the text may be a label's key: a name of up to 63 characters, with an optional DNS prefix. */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  return slash < 0 ? NAME.test(text) : PREFIX.test(text.slice(0, slash)) && NAME.test(text.slice(slash + 1));
}

/** Whether the text may be a label's value: empty, or up to 63 characters. */
export const isLabelValue = (text: string): boolean => text === '' || NAME.test(text);

type Token = string;
const TOKENS = /==|!=|[=!(),<>]|[^\s=!(),<>]+/g;
const SYMBOLS = new Set(['=', '==', '!=', '!', '(', ')', ',', '<', '>']);

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = text.match(TOKENS) ?? [];
  }

  parse(): Requirement[] {
    const all: Requirement[] = [];
    if (this.#tokens.length === 0) return all;
    do all.push(this.#requirement());
    while (this.#take(','));
    if (this.#peek() !== undefined) throw this.#unexpected("',' or 'end of string'");
    return all;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #take(token: Token): boolean {
    if (this.#peek() !== token) return false;
    this.#at += 1;
    return true;
  }

  #unexpected(expected: string): SelectorError {
    const found = this.#peek() ?? '';
    return new SelectorError(
      `unable to parse requirement: found '${found}', expected: ${expected} (in ${JSON.stringify(this.#text)})`,
    );
  }

  #key(): string {
    const key = this.#peek();
    if (key === undefined || SYMBOLS.has(key)) throw this.#unexpected('identifier');
    this.#at += 1;
    if (!isLabelKey(key))
      throw new SelectorError(`unable to parse requirement: key: Invalid value: ${JSON.stringify(key)}`);
    return key;
  }

  #requirement(): Requirement {
    if (this.#take('!')) return { key: this.#key(), operator: '!', values: [] };
    const key = this.#key();
    const operator = this.#peek();
    if (operator === undefined || operator === ',') return { key, operator: 'exists', values: [] };
    this.#at += 1;
    switch (operator) {
      case '=':
      case '==':
        return { key, operator: 'in', values: [this.#value(key)] };
      case '!=':
        return { key, operator: 'notin', values: [this.#value(key)] };
      case 'in':
      case 'notin':
        return { key, operator, values: this.#values(key) };
      case '>':
      case '<':
        return { key, operator: operator === '>' ? 'gt' : 'lt', values: [this.#integer(key)] };
      default:
        this.#at -= 1;
        throw this.#unexpected('in, notin, =, ==, !=, gt, lt');
    }
  }

  /** The value after `=` may be missing: `a=` asks for the empty value. */
  #value(key: string): string {
    const value = this.#peek();
    if (value === undefined || value === ',') return '';
    if (SYMBOLS.has(value)) throw this.#unexpected('identifier');
    this.#at += 1;
    return checkedValue(key, value);
  }

  #integer(key: string): string {
    const value = this.#value(key);
    if (!INTEGER.test(value)) {
      throw new SelectorError(
        `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    return value;
  }

  #values(key: string): string[] {
    if (!this.#take('(')) throw this.#unexpected("'('");
    const values: string[] = [];
    do {
      const value = this.#peek();
      if (value === ',' || value === ')') values.push('');
      else values.push(this.#value(key));
    } while (this.#take(','));
    if (!this.#take(')')) throw this.#unexpected("',' or ')'");
    return values;
  }
}

function checkedValue(key: string, value: string): string {
  if (isLabelValue(value)) return value;
  throw new SelectorError(
    `unable to parse requirement: values[0][${key}]: Invalid value: ${JSON.stringify(value)}`,
  );
}

/** Parses the query parameter labelSelector; the empty text matches everything. Throws {@link SelectorError}. */
export const parseLabelSelector = (text: string): Selector => new Selector(new Parser(text).parse());

const OPERATORS: ReadonlyMap<string, Requirement['operator']> = new Map([
  ['In', 'in'],
  ['NotIn', 'notin'],
  ['Exists', 'exists'],
  ['DoesNotExist', '!'],
]);

/** A LabelSelector object: null selects nothing, an empty one everything. Throws {@link SelectorError}. */
export function labelSelector(selector: LabelSelector | null | undefined): Selector {
  if (selector === null || selector === undefined) return NOTHING;
  const equal = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: 'in', values: [value] }),
  );
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }): Requirement => {
    const known = OPERATORS.get(operator);
    if (known === undefined)
      throw new SelectorError(`${JSON.stringify(operator)} is not a valid label selector operator`);
    if ((known === 'in' || known === 'notin') !== values.length > 0) {
      throw new SelectorError(
        `values: Invalid value: for 'In', 'NotIn' operators, values set can't be empty; for 'Exists', 'DoesNotExist' it must be`,
      );
    }
    return { key, operator: known, values };
  });
  return new Selector([...equal, ...expressions]);
}

/** A Service's selector: the labels an object must have. An empty one matches everything. */
export const selectorOfLabels = (labels: Labels): Selector =>
  new Selector(Object.entries(labels).map(([key, value]) => ({ key, operator: 'in', values: [value] })));

export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

export class FieldSelector {
  readonly requirements: readonly FieldRequirement[];

  constructor(requirements: readonly FieldRequirement[]) {
    this.requirements = requirements;
  }

  get empty(): boolean {
    return this.requirements.length === 0;
  }

  /** The only value the field may have, e.g. `metadata.name`, so that one object can be looked up; else undefined. */
  exact(field: string): string | undefined {
    return this.requirements.find((one) => one.field === field && one.equal)?.value;
  }

  /** Compares the fields of an object, found by their path; what is absent is the empty text, or `false` for booleans. */
  matches(object: unknown): boolean {
    return this.requirements.every(({ field, equal, value }) => {
      const found = fieldValue(object, field);
      const same = found === value || (found === '' && value === 'false');
      return same === equal;
    });
  }
}

function fieldValue(object: unknown, path: string): string {
  let value: unknown = object;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return '';
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value === undefined || value === null ? '' : String(value);
}

/** Splits at commas that no backslash escapes (fields.EscapeValue: `\\`, `\,` and `\=`). */
const TERM = /(?:[^\\,]|\\.)+/g;

function fieldRequirement(term: string, text: string): FieldRequirement {
  const [, field = '', operator, value = ''] = /^([^=!]+)(!=|==|=)((?:[^\\=,]|\\[\\,=])*)$/.exec(term) ?? [];
  if (operator === undefined)
    throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
  return { field, equal: operator !== '!=', value: value.replace(/\\(.)/g, '$1') };
}

/**
 * Parses the query parameter fieldSelector. `offered` are the paths the kind offers beside metadata.name and
 * metadata.namespace; another one is refused in upstream's words. Throws {@link SelectorError}.
 */
export function parseFieldSelector(text: string, offered: readonly string[] = []): FieldSelector {
  const requirements = (text.match(TERM) ?? []).map((term) => fieldRequirement(term, text));
  const known = ['metadata.name', 'metadata.namespace', ...offered];
  for (const { field } of requirements) {
    if (!known.includes(field)) throw new SelectorError(`field label not supported: ${field}`);
  }
  return new FieldSelector(requirements);
}

/** The field paths that upstream offers per plural, beside metadata.name and metadata.namespace. */
export const FIELD_PATHS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  services: ['spec.clusterIP', 'spec.type'],
  secrets: ['type'],
  replicasets: ['status.replicas'],
};
