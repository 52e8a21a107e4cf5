import { Fault } from '../../fault/fault.ts';
import { itemLines, lineOfSyntaxError } from '../json-lines.ts';
import { asArray, asNumber, asObject, asText, isObject, type JsonObject } from './json.ts';
import { parseKey, parseStatement, parseVerdict } from './parse-rule.ts';
import { printNftKey } from './print.ts';
import {
  NftChain,
  NftElement,
  type NftFamily,
  NftHook,
  NftRule,
  NftRuleset,
  NftSet,
  type NftSetFlag,
  NftTable,
} from './ruleset.ts';
import { UnmodelledStatement } from './statement.ts';

/**
 * Reads what `nft -j list ruleset` (or `list table`) prints. Throws {@link Fault} FE006 if it is no such document;
 * statements that are not modelled become `Unmodelled…` nodes, and so does a rule or set that cannot be read. Counters,
 * handles and what packets have put into sets are not read.
 * @param file what it was read from, so that each rule bears its place, and a set with a timeout that no rule fills is read
 */
export function parseNftRuleset(text: string, file?: string): NftRuleset {
  const tables: TableParts[] = [];
  const tableOf = (object: JsonObject): TableParts => {
    const found = tables.find((one) => one.family === object.family && one.name === object.table);
    if (found === undefined)
      throw new Fault('FE006', `no table ${object.table} before its parts`, 'list it whole');
    return found;
  };
  const items = itemsOf(text, file);
  const lines = file === undefined ? [] : itemLines(text);
  for (const [at, item] of items.entries()) {
    const where = file === undefined ? {} : { place: `${file}:${lines[at] ?? 1}` };
    const [[kind, body] = ['', undefined]] = Object.entries(item);
    if (!isObject(body)) continue;
    if (kind === 'table') tables.push(new TableParts(asText(body.family) as NftFamily, asText(body.name)));
    else if (kind === 'set' || kind === 'map') tableOf(body).addSet(parseSet(body), heldOf(body, file));
    else if (kind === 'chain') tableOf(body).addChain(asText(body.name), parseHook(body), where);
    else if (kind === 'rule') tableOf(body).addRule(asText(body.chain), { ...parseRule(body), ...where });
  }
  return NftRuleset(tables.map((table) => table.build()));
}

function itemsOf(text: string, file: string | undefined): JsonObject[] {
  try {
    return asArray(asObject(JSON.parse(text)).nftables).map(asObject);
  } catch (error) {
    const where = file === undefined ? 'this' : `${file}:${lineOfSyntaxError(text)}: this`;
    throw new Fault('FE006', `${where} is not what nft -j prints: ${error}`, 'pass nft -j list ruleset', {
      cause: error,
    });
  }
}

interface Place {
  readonly place?: string;
}

/** A table while its parts come in. */
class TableParts {
  readonly family: NftFamily;
  readonly name: string;
  readonly #sets: { readonly set: NftSet; readonly elements: NftSet['elements'] | undefined }[] = [];
  readonly #chains = new Map<string, { base: NftHook | undefined; rules: NftRule[]; where: Place }>();

  constructor(family: NftFamily, name: string) {
    this.family = family;
    this.name = name;
  }

  /** @param elements what it holds now, if packets may have put it there */
  addSet(set: NftSet, elements: NftSet['elements'] | undefined): void {
    this.#sets.push({ set, elements });
  }

  addChain(name: string, base: NftHook | undefined, where: Place): void {
    this.#chains.set(name, { base, rules: [], where });
  }

  addRule(chain: string, rule: NftRule): void {
    this.#chains.get(chain)?.rules.push(rule);
  }

  build(): NftTable {
    const chains = Array.from(this.#chains, ([name, { base, rules, where }]) => ({
      ...NftChain(name, rules, base),
      ...where,
    }));
    const rules = chains.flatMap((chain) => chain.rules);
    const filled = new Set(rules.flatMap(({ statements }) => filledBy(statements)));
    const sets = this.#sets.map(({ set, elements }) =>
      elements === undefined || filled.has(set.name) ? set : { ...set, elements },
    );
    return NftTable(this.family, this.name, chains, sets);
  }
}

/** The sets to which packets add; what others hold, somebody has written there, with a timeout or without. */
const filledBy = (statements: NftRule['statements']): string[] =>
  statements.flatMap((one) => (one.kind === 'SetUpdate' ? [one.set.name] : []));

function parseHook(chain: JsonObject): NftHook | undefined {
  if (chain.hook === undefined) return undefined;
  return NftHook(
    asText(chain.type) as NftHook['type'],
    asText(chain.hook) as NftHook['hook'],
    asNumber(chain.prio),
    chain.policy === 'drop' ? 'drop' : 'accept',
  );
}

/** A rule that cannot be read matters only to packets that come to it, so it keeps its place as it is. */
function parseRule(rule: JsonObject): NftRule {
  const comment = rule.comment === undefined ? undefined : asText(rule.comment);
  try {
    return NftRule(asArray(rule.expr ?? []).map(parseStatement), comment);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return NftRule([UnmodelledStatement(error.message, rule.expr)], comment);
  }
}

/** What a set with a timeout holds, of one that was read from a file; `undefined` of others, and where it cannot be read. */
function heldOf(set: JsonObject, file: string | undefined): NftSet['elements'] | undefined {
  if (file === undefined || set.timeout === undefined) return undefined;
  try {
    return elementsOf(set);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function elementsOf(set: JsonObject): NftSet['elements'] {
  const elements = asArray(set.elem ?? []).map((one) => parseElement(one, set.map !== undefined));
  return new Map(elements.map((one) => [printNftKey(one.key), one]));
}

/** So does a set. */
function parseSet(set: JsonObject): NftSet {
  try {
    return readSet(set);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return NftSet(asText(set.name), typesOf(set.type), { unmodelled: error.message });
  }
}

function readSet(set: JsonObject): NftSet {
  const key = typesOf(set.type);
  // A set with a timeout is filled by packets; nft 1.0 prints `dynamic` in its text alone.
  const dynamic = set.timeout !== undefined || flagsOf(set).includes('dynamic');
  const flags = [...new Set<NftSetFlag>([...(dynamic ? ['dynamic' as const] : []), ...flagsOf(set)])];
  return NftSet(asText(set.name), key, {
    flags,
    elements: dynamic ? new Map() : elementsOf(set),
    ...(set.map === undefined ? {} : { value: set.map === 'verdict' ? 'verdict' : typesOf(set.map) }),
    ...(set.timeout === undefined ? {} : { timeoutSeconds: asNumber(set.timeout) }),
    ...(set.size === undefined ? {} : { size: asNumber(set.size) }),
  });
}

/** nft prints the types of a key as a list, and those of a value as one text. */
const typesOf = (types: unknown): readonly string[] =>
  Array.isArray(types) ? types.map(asText) : asText(types).split(' . ');

const flagsOf = (set: JsonObject): NftSetFlag[] =>
  asArray(set.flags === undefined ? [] : [set.flags].flat()).map((flag) => asText(flag) as NftSetFlag);

function parseElement(json: unknown, map: boolean): NftElement {
  if (!map) return NftElement(parseKey(json));
  const [key, value] = asArray(json);
  return NftElement(parseKey(key), parseVerdict(value) ?? parseKey(value));
}
