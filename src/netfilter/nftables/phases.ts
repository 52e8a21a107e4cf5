import { type NftChange, NftTransaction } from './difference.ts';
import { NftChain, type NftSet, NftTable } from './ruleset.ts';

/**
 * A transaction as three that follow one another, of which packets notice the second alone: what is made has nothing that
 * leads to it yet, what is taken away has nothing that leads to it any more. Each is a transaction for the kernel.
 */
export interface NftPhases {
  readonly prepare: NftTransaction;
  /** Elements only. */
  readonly elements: NftTransaction;
  readonly tidy: NftTransaction;
}

/** Undefined where packets would notice the parting: a chain that stays is rewritten, or one is hooked into the packets' path. */
export function phasesOf({ table, changes }: NftTransaction): NftPhases | undefined {
  const made = new Set<string>();
  const leaving = new Set<string>();
  for (const change of changes) {
    if (change.kind === 'AddChain') made.add(change.chain.name);
    if (change.kind === 'DeleteChain') leaving.add(change.chain);
    if (change.kind === 'DeleteSet') leaving.add(change.set);
  }
  const prepare: NftChange[] = [];
  const elements: NftChange[] = [];
  const tidy: NftChange[] = [];
  for (const change of changes) {
    switch (change.kind) {
      case 'ReplaceTable':
        return undefined;
      case 'AddChain':
        if (change.chain.base !== undefined) return undefined;
        prepare.push(change);
        break;
      case 'AddSet':
        prepare.push(change);
        break;
      case 'AddRule':
        if (!made.has(change.chain)) return undefined;
        prepare.push(change);
        break;
      case 'FlushChain':
        if (!leaving.has(change.chain)) return undefined;
        tidy.push(change);
        break;
      case 'DeleteElements':
        (leaving.has(change.set.name) ? tidy : elements).push(change);
        break;
      case 'AddElements':
        elements.push(change);
        break;
      case 'DeleteChain':
      case 'DeleteSet':
        tidy.push(change);
        break;
    }
  }
  return {
    prepare: NftTransaction(table, prepare),
    elements: NftTransaction(table, elements),
    tidy: NftTransaction(table, tidy),
  };
}

/** The way to a table that the kernel does not have yet: nothing in it sees a packet before its hooks are there. */
export interface NftLoading {
  /** The table with its sets, empty, and the chains that no hook calls. */
  readonly frame: NftTransaction;
  readonly hooks: NftTransaction;
}

/** @param table its sets' elements are not looked at: they go in between frame and hooks */
export function loadingOf(table: NftTable): NftLoading {
  const chains = [...table.chains.values()];
  const hooked = chains.filter((chain) => chain.base !== undefined);
  const sets = Array.from(table.sets.values(), (set): NftSet => ({ ...set, elements: new Map() }));
  const unhooked = chains.filter((chain) => chain.base === undefined);
  const frame = NftTable(table.family, table.name, unhooked, sets);
  return {
    frame: NftTransaction(table, [{ kind: 'ReplaceTable', table: frame }]),
    hooks: NftTransaction(table, [
      ...hooked.map((chain) => ({ kind: 'AddChain', chain: NftChain(chain.name, [], chain.base) }) as const),
      ...hooked.flatMap(({ name, rules }) =>
        rules.map((rule) => ({ kind: 'AddRule', chain: name, rule }) as const),
      ),
    ]),
  };
}
