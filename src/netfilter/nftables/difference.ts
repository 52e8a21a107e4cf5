import {
  printAddChain,
  printAddRule,
  printAddSet,
  printElements,
  printNftElement,
  printNftRule,
  printNftTable,
  type TableName,
} from './print.ts';
import type { NftChain, NftElement, NftRule, NftSet, NftTable } from './ruleset.ts';

/**
 * One step of a change; the kernel takes the steps of a transaction together or not at all. Of a set whose elements come and
 * go, name and types are meant.
 */
export type NftChange =
  | { readonly kind: 'ReplaceTable'; readonly table: NftTable }
  | { readonly kind: 'AddSet'; readonly set: NftSet }
  | { readonly kind: 'AddChain'; readonly chain: NftChain }
  | { readonly kind: 'FlushChain'; readonly chain: string }
  | { readonly kind: 'AddRule'; readonly chain: string; readonly rule: NftRule }
  | { readonly kind: 'DeleteElements'; readonly set: NftSet; readonly elements: readonly NftElement[] }
  | { readonly kind: 'AddElements'; readonly set: NftSet; readonly elements: readonly NftElement[] }
  | { readonly kind: 'DeleteChain'; readonly chain: string }
  | { readonly kind: 'DeleteSet'; readonly set: string };

/** Changes of one table, in an order the kernel accepts. */
export interface NftTransaction {
  readonly kind: 'NftTransaction';
  readonly table: TableName;
  readonly changes: readonly NftChange[];
}
export const NftTransaction = (table: TableName, changes: readonly NftChange[]): NftTransaction => ({
  kind: 'NftTransaction',
  table: { family: table.family, name: table.name },
  changes,
});

/**
 * The smallest transaction from one table to another of the same name: elements come and go one by one, a chain is rewritten
 * only if its rules differ, and what dynamic sets hold is left alone. Where a set's type or a chain's hook differs, which
 * the kernel cannot change, the table is replaced as a whole, still at once.
 */
export function differenceOfTables(before: NftTable, after: NftTable): NftTransaction {
  if (!compatible(before, after)) return replacementOf(after);
  const newSets = missing(after.sets, before.sets);
  const oldSets = missing(before.sets, after.sets);
  const newChains = missing(after.chains, before.chains);
  const oldChains = missing(before.chains, after.chains);
  const rewritten = [...after.chains.values()].filter((chain) => {
    const old = before.chains.get(chain.name);
    return old !== undefined && old !== chain && !sameRules(old, chain);
  });
  const elements = [...after.sets.values()].map((set) => elementChanges(before.sets.get(set.name), set));
  const leaving = oldSets.filter((set) => set.elements.size > 0 && !set.flags.includes('dynamic'));
  return NftTransaction(after, [
    ...newSets.map((set) => ({ kind: 'AddSet', set }) as const),
    ...newChains.map((chain) => ({ kind: 'AddChain', chain }) as const),
    ...[...rewritten, ...oldChains].map(({ name }) => ({ kind: 'FlushChain', chain: name }) as const),
    ...[...newChains, ...rewritten].flatMap(addRules),
    ...leaving.map((set) => deleteElements(set, [...set.elements.values()])),
    ...elements.flatMap((one) => one.deletions),
    ...elements.flatMap((one) => one.additions),
    ...oldChains.map(({ name }) => ({ kind: 'DeleteChain', chain: name }) as const),
    ...oldSets.map(({ name }) => ({ kind: 'DeleteSet', set: name }) as const),
  ]);
}

/** The transaction that puts a table in the place of whatever the kernel has under its name, in one step. */
export const replacementOf = (table: NftTable): NftTransaction =>
  NftTransaction(table, [{ kind: 'ReplaceTable', table }]);

/** As `nft -f` takes it; empty if nothing changes. */
export function printNftTransaction(transaction: NftTransaction): string {
  const lines = transaction.changes.flatMap((change) => printChange(transaction.table, change));
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function printChange(table: TableName, change: NftChange): string[] {
  const at = `${table.family} ${table.name}`;
  switch (change.kind) {
    case 'ReplaceTable':
      // Deleting a table that is not there is an error, adding one that is there is none.
      return [`add table ${at}`, `delete table ${at}`, ...printNftTable(change.table)];
    case 'AddSet':
      return [printAddSet(table, change.set)];
    case 'AddChain':
      return [printAddChain(table, change.chain)];
    case 'FlushChain':
      return [`flush chain ${at} ${change.chain}`];
    case 'AddRule':
      return [printAddRule(table, change.chain, change.rule)];
    case 'DeleteElements':
      return printElements('delete', table, change.set.name, change.elements);
    case 'AddElements':
      return printElements('add', table, change.set.name, change.elements);
    case 'DeleteChain':
      return [`delete chain ${at} ${change.chain}`];
    case 'DeleteSet':
      return [`delete set ${at} ${change.set}`];
  }
}

const missing = <T>(some: ReadonlyMap<string, T>, from: ReadonlyMap<string, T>): T[] =>
  [...some].filter(([name]) => !from.has(name)).map(([, value]) => value);

function compatible(before: NftTable, after: NftTable): boolean {
  const sets = [...after.sets.values()].every((set) => {
    const old = before.sets.get(set.name);
    return old === undefined || old === set || typeOf(old) === typeOf(set);
  });
  const chains = [...after.chains.values()].every((chain) => {
    const old = before.chains.get(chain.name);
    return old === undefined || old === chain || JSON.stringify(old.base) === JSON.stringify(chain.base);
  });
  return sets && chains;
}

/** What the kernel cannot change of a set. nft's JSON does not tell of `dynamic`, nor of sizes nobody asked for. */
const typeOf = (set: NftSet): string =>
  JSON.stringify([set.key, set.value ?? '', set.flags.includes('interval'), set.timeoutSeconds ?? 0]);

const sameRules = (one: NftChain, other: NftChain): boolean =>
  one.rules.length === other.rules.length &&
  one.rules.map(printNftRule).join('\n') === other.rules.map(printNftRule).join('\n');

const addRules = (chain: NftChain): NftChange[] =>
  chain.rules.map((rule) => ({ kind: 'AddRule', chain: chain.name, rule }));

const deleteElements = (set: NftSet, elements: readonly NftElement[]): NftChange => ({
  kind: 'DeleteElements',
  set,
  elements,
});

/** An element whose value differs is deleted and added: nftables has no other way to change it. */
function elementChanges(
  before: NftSet | undefined,
  after: NftSet,
): { readonly deletions: NftChange[]; readonly additions: NftChange[] } {
  if (after.flags.includes('dynamic')) return { deletions: [], additions: [] };
  const gone: NftElement[] = [];
  const come: NftElement[] = [];
  for (const [key, element] of before?.elements ?? []) {
    const now = after.elements.get(key);
    if (now === undefined || (now !== element && printNftElement(now) !== printNftElement(element))) {
      gone.push(element);
      if (now !== undefined) come.push(now);
    }
  }
  for (const [key, element] of after.elements) if (!before?.elements.has(key)) come.push(element);
  return {
    deletions: gone.length === 0 ? [] : [deleteElements(after, gone)],
    additions: come.length === 0 ? [] : [{ kind: 'AddElements', set: after, elements: come }],
  };
}
