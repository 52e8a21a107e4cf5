import {
  differenceOfTables,
  type NftChain,
  type NftSet,
  NftTable,
  type NftTransaction,
} from '../../netfilter/netfilter.ts';
import { Claims } from '../claims.ts';
import type { NodeFacts, ProxyConfig } from '../config.ts';
import type { Problem, ServicePlan } from '../plan.ts';
import {
  compileFragment,
  type FragmentContext,
  fragmentContext,
  type NftFragment,
  type SetElement,
} from './fragment.ts';
import { DIALECTS, frameChains, frameSets, SETS, TABLE_NAME } from './frame.ts';

/** The frame's own claims sort before those of any Service. */
const FRAME = '';

/**
 * The table of one family as the union of what each Service adds to it. Replacing a Service costs what that Service adds,
 * and {@link transaction} is as small as the change, whatever the number of Services.
 */
export class NftablesLedger {
  readonly #context: FragmentContext;
  readonly #fragments = new Map<string, NftFragment>();
  readonly #chains = new Claims<NftChain>();
  readonly #sets = new Claims<NftSet>();
  readonly #elements = new Claims<SetElement>();

  constructor(family: 4 | 6, node: NodeFacts, config: ProxyConfig) {
    this.#context = fragmentContext(family, node, config);
    const dialect = DIALECTS[family];
    this.#claim(FRAME, {
      chains: frameChains(dialect, node, config),
      sets: frameSets(dialect),
      elements: [],
    });
  }

  /** Takes in a Service's plan in place of the one before; undefined removes the Service. */
  replace(service: string, plan: ServicePlan | undefined): void {
    const before = this.#fragments.get(service);
    const after = plan === undefined ? undefined : compileFragment(this.#context, plan);
    if (after !== undefined) this.#claim(service, after);
    if (before !== undefined) this.#release(service, before, after);
    if (after === undefined) this.#fragments.delete(service);
    else this.#fragments.set(service, after);
  }

  /** What leads from the table as it was at the last {@link settle} to the table as it is. */
  transaction(): NftTransaction {
    return differenceOfTables(this.#touched('before'), this.#touched('after'));
  }

  /** Takes the present table as the kernel's. */
  settle(): void {
    for (const claims of [this.#chains, this.#sets, this.#elements]) claims.settle();
  }

  /** The whole table. */
  table(): NftTable {
    const table = NftTable(
      this.#context.dialect.table,
      TABLE_NAME,
      Array.from(this.#chains.entries(), ([, chain]) => chain),
      Array.from(this.#sets.entries(), ([, set]) => set),
    );
    return withElements(
      table,
      Array.from(this.#elements.entries(), ([, element]) => element),
    );
  }

  /** Addresses that two Services claim: the one whose name sorts first has the rules. */
  conflicts(service: string): readonly Problem[] {
    const problems: Problem[] = [];
    for (const { set, key } of this.#fragments.get(service)?.elements ?? []) {
      if (set !== SETS.serviceIPs && set !== SETS.serviceNodePorts) continue;
      const owner = this.#elements.owner(`${set} ${key}`);
      if (owner === undefined || owner === service) continue;
      problems.push({ service, message: `${key} belongs to ${owner}` });
    }
    return problems;
  }

  #touched(side: 'before' | 'after'): NftTable {
    const some = <T>(claims: Claims<T>): T[] => {
      const values = Array.from(claims.changes(), (change) => change[side]);
      return values.filter((value) => value !== undefined);
    };
    const sets = new Map(some(this.#sets).map((set) => [set.name, set]));
    // A set that stays must be there on both sides for its elements to be compared.
    for (const { before, after } of this.#elements.changes()) {
      const name = (before ?? after)?.set ?? '';
      const standing = this.#sets.get(name);
      if (standing !== undefined && !this.#sets.isNew(name)) sets.set(name, standing);
    }
    const elements = some(this.#elements);
    const table = NftTable(this.#context.dialect.table, TABLE_NAME, some(this.#chains), sets.values());
    return withElements(table, elements);
  }

  #claim(owner: string, fragment: NftFragment): void {
    for (const chain of fragment.chains) this.#chains.claim(chain.name, owner, chain);
    for (const set of fragment.sets) this.#sets.claim(set.name, owner, set);
    for (const one of fragment.elements) this.#elements.claim(nameOf(one), owner, one);
  }

  #release(owner: string, before: NftFragment, after: NftFragment | undefined): void {
    const kept = {
      chains: new Set(after?.chains.map((chain) => chain.name)),
      sets: new Set(after?.sets.map((set) => set.name)),
      elements: new Set(after?.elements.map(nameOf)),
    };
    for (const { name } of before.chains) if (!kept.chains.has(name)) this.#chains.release(name, owner);
    for (const { name } of before.sets) if (!kept.sets.has(name)) this.#sets.release(name, owner);
    for (const one of before.elements) {
      if (!kept.elements.has(nameOf(one))) this.#elements.release(nameOf(one), owner);
    }
  }
}

const nameOf = ({ set, key }: SetElement): string => `${set} ${key}`;

/** The same table with the elements in their sets; a set nobody has is skipped. */
function withElements(table: NftTable, elements: readonly SetElement[]): NftTable {
  const bySet = Map.groupBy(elements, (one) => one.set);
  const sets = Array.from(table.sets.values(), (set): NftSet => {
    const mine = bySet.get(set.name) ?? [];
    return { ...set, elements: new Map(mine.map(({ key, element }) => [key, element])) };
  });
  return { ...table, sets: new Map(sets.map((set) => [set.name, set])) };
}
