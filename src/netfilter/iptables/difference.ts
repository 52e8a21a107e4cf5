import { printChainLine, printIptablesRule } from './print.ts';
import type { IptablesRule } from './rule.ts';
import type { IptablesChain, IptablesTable, IptablesTableName } from './ruleset.ts';

/** One step of a change of a table. */
export type IptablesChange =
  /** Makes the chain, or empties it. */
  | { readonly kind: 'DeclareChain'; readonly chain: string }
  | { readonly kind: 'AppendRule'; readonly chain: string; readonly rule: IptablesRule }
  /** `at` counts from 1. */
  | { readonly kind: 'InsertRule'; readonly chain: string; readonly at: number; readonly rule: IptablesRule }
  | { readonly kind: 'DeleteRule'; readonly chain: string; readonly rule: IptablesRule }
  | { readonly kind: 'DeleteChain'; readonly chain: string };

/** Changes of one table, which iptables-restore commits at once. */
export interface IptablesTransaction {
  readonly kind: 'IptablesTransaction';
  readonly table: IptablesTableName;
  readonly changes: readonly IptablesChange[];
}
export const IptablesTransaction = (
  table: IptablesTableName,
  changes: readonly IptablesChange[],
): IptablesTransaction => ({ kind: 'IptablesTransaction', table, changes });

/**
 * What leads from a table to another of the same name, for `iptables-restore --noflush`. A chain of which little differs has
 * single rules deleted and inserted, any other changed chain is written anew. The kernel's own chains belong to everybody:
 * there the rules that `after` has and `before` lacks are inserted at the top, and those only `before` has are deleted.
 */
export function differenceOfIptables(before: IptablesTable, after: IptablesTable): IptablesTransaction {
  const making: IptablesChange[] = [];
  const filling: IptablesChange[] = [];
  for (const chain of after.chains.values()) {
    const old = before.chains.get(chain.name);
    if (old === chain) continue;
    if (chain.policy !== undefined) filling.push(...sharedChanges(old, chain));
    else {
      const edits = old && editsOf(old, chain);
      if (edits === undefined) {
        making.push({ kind: 'DeclareChain', chain: chain.name });
        for (const rule of chain.rules) filling.push({ kind: 'AppendRule', chain: chain.name, rule });
      } else filling.push(...edits);
    }
  }
  const gone = [...before.chains.values()].filter(
    ({ name, policy }) => policy === undefined && !after.chains.has(name),
  );
  return IptablesTransaction(after.name, [
    ...making,
    // Emptied first: a chain can be deleted when nothing leads to it and it holds nothing.
    ...gone.map(({ name }) => ({ kind: 'DeclareChain', chain: name }) as const),
    ...filling,
    ...gone.map(({ name }) => ({ kind: 'DeleteChain', chain: name }) as const),
  ]);
}

/** As `iptables-restore --noflush` takes it; empty if nothing changes. */
export function printIptablesTransaction({ table, changes }: IptablesTransaction): string {
  if (changes.length === 0) return '';
  return `*${table}\n${changes.map(printChange).join('\n')}\nCOMMIT\n`;
}

function printChange(change: IptablesChange): string {
  switch (change.kind) {
    case 'DeclareChain':
      return printChainLine({ name: change.chain });
    case 'AppendRule':
      return `-A ${change.chain} ${textOf(change.rule)}`;
    case 'InsertRule':
      return `-I ${change.chain} ${change.at} ${textOf(change.rule)}`;
    case 'DeleteRule':
      return `-D ${change.chain} ${textOf(change.rule)}`;
    case 'DeleteChain':
      return `-X ${change.chain}`;
  }
}

/** Rules are compared by their text, which is asked for again and again. */
const texts = new WeakMap<IptablesRule, string>();
function textOf(rule: IptablesRule): string {
  const known = texts.get(rule);
  if (known !== undefined) return known;
  const text = printIptablesRule(rule);
  texts.set(rule, text);
  return text;
}

function sharedChanges(before: IptablesChain | undefined, after: IptablesChain): IptablesChange[] {
  const old = new Set(before?.rules.map(textOf));
  const wanted = new Set(after.rules.map(textOf));
  const gone = before?.rules.filter((rule) => !wanted.has(textOf(rule))) ?? [];
  const come = after.rules.filter((rule) => !old.has(textOf(rule)));
  return [
    ...gone.map((rule) => ({ kind: 'DeleteRule', chain: after.name, rule }) as const),
    ...come.map((rule, at) => ({ kind: 'InsertRule', chain: after.name, at: at + 1, rule }) as const),
  ];
}

/** Writing a chain anew is cheaper than this many edits in it. */
const MOST_EDITS = 32;

/** The edits that make one chain of the other, or undefined if writing it anew is better. */
function editsOf(before: IptablesChain, after: IptablesChain): IptablesChange[] | undefined {
  const wanted = new Set(after.rules.map(textOf));
  const old = new Set(before.rules.map(textOf));
  // Equal rules twice in a chain cannot be told apart by their text.
  if (wanted.size !== after.rules.length || old.size !== before.rules.length) {
    return sameRules(before, after) ? [] : undefined;
  }
  const gone = before.rules.filter((rule) => !wanted.has(textOf(rule)));
  const come = after.rules.filter((rule) => !old.has(textOf(rule)));
  const edits = gone.length + come.length;
  if (edits === 0 && sameRules(before, after)) return [];
  if (edits > MOST_EDITS || edits * 2 > after.rules.length) return undefined;
  const kept = before.rules.filter((rule) => wanted.has(textOf(rule)));
  const stay = after.rules.filter((rule) => old.has(textOf(rule)));
  if (kept.some((rule, at) => textOf(rule) !== textOf(stay[at] ?? rule))) return undefined;
  const chain = after.name;
  return [
    ...gone.map((rule) => ({ kind: 'DeleteRule', chain, rule }) as const),
    ...after.rules.flatMap((rule, at) =>
      old.has(textOf(rule)) ? [] : [{ kind: 'InsertRule', chain, at: at + 1, rule } as const],
    ),
  ];
}

const sameRules = (one: IptablesChain, other: IptablesChain): boolean =>
  one.rules.length === other.rules.length &&
  one.rules.every((rule, at) => textOf(rule) === textOf(other.rules[at] ?? rule));
