import {
  differenceOfTables,
  type NftChain,
  type NftElement,
  type NftSet,
  NftTable,
  type NftTransaction,
  printNftKey,
  replacementOf,
} from '../../netfilter/netfilter.ts';
import { Claims } from '../claims.ts';
import type { NodeFacts, ProxyConfig } from '../config.ts';
import { Owners } from '../owners.ts';
import type { Problem, ServicePlan } from '../plan.ts';
import type { ElementGroup } from './element-group.ts';
import { compileFragment, type FragmentContext, fragmentContext, type NftFragment } from './fragment.ts';
import { DIALECTS, frameChains, frameSets, SETS, TABLE_NAME } from './frame.ts';
import { seatedAs, seatedAsIn } from './seats.ts';

/** The frame's own claims sort before those of any Service. */
const FRAME = '';
const NOTHING: NftFragment = { chains: [], sets: [], groups: [] };

/**
 * The table of one family as the union of what each Service adds to it. Replacing a Service costs what that Service adds,
 * and {@link transaction} is as small as the change, whatever the number of Services.
 *
 * Elements are many, so none is kept: a Service's are compiled from its plan whenever they are asked for.
 */
export class NftablesLedger {
  readonly #context: FragmentContext;
  readonly #plans = new Map<string, ServicePlan>();
  readonly #chains = new Claims<NftChain>();
  readonly #sets = new Claims<NftSet>();
  readonly #owners = new Owners();
  /** The plans replaced since the last {@link settle}, as they were then. */
  readonly #plansBefore = new Map<string, ServicePlan | undefined>();
  /** Whose the groups were then that have been claimed or released since. */
  readonly #ownersBefore = new Map<string, string | undefined>();
  /** Before the first {@link settle} nobody knows what the kernel has, and nothing need be remembered. */
  #settled = false;

  constructor(family: 4 | 6, node: NodeFacts, config: ProxyConfig) {
    this.#context = fragmentContext(family, node, config);
    const dialect = DIALECTS[family];
    for (const chain of frameChains(dialect, node, config)) this.#chains.claim(chain.name, FRAME, chain);
    for (const set of frameSets(dialect)) this.#sets.claim(set.name, FRAME, set);
  }

  /** Takes in a Service's plan in place of the one before; undefined removes the Service. */
  replace(service: string, plan: ServicePlan | undefined): void {
    const standing = this.#plans.get(service);
    this.#put(service, plan && seatedAs(plan, standing));
  }

  /** Moves endpoints to the slots that a table of the kernel has them in, as far as it has. */
  adopt(table: NftTable): void {
    for (const [service, plan] of this.#plans) {
      const groups = this.#compile(plan).groups.filter(({ name }) => this.#owners.of(name) === service);
      const seated = seatedAsIn(plan, groups, table);
      if (seated !== plan) this.#put(service, seated);
    }
  }

  /** What leads from the table as it was at the last {@link settle}, or from any, to the table as it is. */
  transaction(): NftTransaction {
    if (!this.#settled) return replacementOf(this.table());
    const before = this.#groupsOf(
      (name) => this.#ownersBefore.get(name),
      (service) => (this.#plansBefore.has(service) ? this.#plansBefore : this.#plans).get(service),
    );
    const after = this.#groupsOf(
      (name) => this.#owners.of(name),
      (service) => this.#plans.get(service),
    );
    const standing = this.#standingSets([...before, ...after]);
    return differenceOfTables(
      this.#table(changed(this.#chains, 'before'), [...standing, ...changed(this.#sets, 'before')], before),
      this.#table(changed(this.#chains, 'after'), [...standing, ...changed(this.#sets, 'after')], after),
    );
  }

  /** Takes the present table as the kernel's. */
  settle(): void {
    this.#settled = true;
    this.#chains.settle();
    this.#sets.settle();
    this.#plansBefore.clear();
    this.#ownersBefore.clear();
  }

  /** The whole table. */
  table(): NftTable {
    const { chains, sets } = this.frame();
    return this.#table([...chains.values()], [...sets.values()], this.#groups());
  }

  /** The whole table without its elements. */
  frame(): NftTable {
    const chains = Array.from(this.#chains.entries(), ([, chain]) => chain);
    const sets = Array.from(this.#sets.entries(), ([, set]) => set);
    return this.#table(chains, sets, []);
  }

  /** The elements of the whole table, Service by Service, so that nobody need hold them all. */
  *elements(): IterableIterator<{ readonly set: string; readonly elements: readonly NftElement[] }> {
    for (const group of this.#groups()) yield { set: group.set, elements: group.elements() };
  }

  /** Addresses that two Services claim: the one whose name sorts first has the rules. */
  conflicts(service: string): readonly Problem[] {
    if (!this.#owners.contested) return [];
    const problems: Problem[] = [];
    for (const { set, name } of this.#compile(this.#plans.get(service)).groups) {
      if (set !== SETS.serviceIPs && set !== SETS.serviceNodePorts) continue;
      const owner = this.#owners.of(name);
      if (owner === undefined || owner === service) continue;
      problems.push({ service, message: `${name.slice(set.length + 1)} belongs to ${owner}` });
    }
    return problems;
  }

  #put(service: string, plan: ServicePlan | undefined): void {
    const standing = this.#plans.get(service);
    if (this.#settled && !this.#plansBefore.has(service)) this.#plansBefore.set(service, standing);
    const after = this.#compile(plan);
    this.#claim(service, after);
    this.#release(service, this.#compile(standing), after);
    if (plan === undefined) this.#plans.delete(service);
    else this.#plans.set(service, plan);
  }

  #compile(plan: ServicePlan | undefined): NftFragment {
    return plan === undefined ? NOTHING : compileFragment(this.#context, plan);
  }

  *#groups(): IterableIterator<ElementGroup> {
    for (const [service, plan] of this.#plans) {
      for (const group of this.#compile(plan).groups) {
        if (!this.#owners.contested || this.#owners.of(group.name) === service) yield group;
      }
    }
  }

  /** The groups touched since {@link settle}, as one of the two states has them. */
  #groupsOf(
    ownerOf: (group: string) => string | undefined,
    planOf: (service: string) => ServicePlan | undefined,
  ): ElementGroup[] {
    const owned = Map.groupBy(this.#ownersBefore.keys(), ownerOf);
    return Array.from(owned).flatMap(([service, names]) => {
      if (service === undefined) return [];
      const wanted = new Set(names);
      return this.#compile(planOf(service)).groups.filter(({ name }) => wanted.has(name));
    });
  }

  /** The sets of groups that were there before and are there now. */
  #standingSets(groups: readonly ElementGroup[]): NftSet[] {
    return [...new Set(groups.map(({ set }) => set))].flatMap((name) => {
      const set = this.#sets.get(name);
      return set === undefined || this.#sets.isNew(name) ? [] : [set];
    });
  }

  /** A group whose set is not among them is skipped. */
  #table(chains: readonly NftChain[], sets: readonly NftSet[], groups: Iterable<ElementGroup>): NftTable {
    const elements = new Map<string, Map<string, NftElement>>();
    for (const { name } of sets) elements.set(name, new Map());
    for (const group of groups) {
      const mine = elements.get(group.set);
      if (mine === undefined) continue;
      for (const one of group.elements()) mine.set(printNftKey(one.key), one);
    }
    const filled = sets.map((set): NftSet => ({ ...set, elements: elements.get(set.name) ?? new Map() }));
    return NftTable(this.#context.dialect.table, TABLE_NAME, chains, filled);
  }

  #claim(owner: string, fragment: NftFragment): void {
    for (const chain of fragment.chains) this.#chains.claim(chain.name, owner, chain);
    for (const set of fragment.sets) this.#sets.claim(set.name, owner, set);
    for (const { name } of fragment.groups) {
      this.#touch(name);
      this.#owners.claim(name, owner);
    }
  }

  #release(owner: string, before: NftFragment, after: NftFragment): void {
    const [chains, sets, groups] = [namesOf(after.chains), namesOf(after.sets), namesOf(after.groups)];
    for (const { name } of before.chains) if (!chains.has(name)) this.#chains.release(name, owner);
    for (const { name } of before.sets) if (!sets.has(name)) this.#sets.release(name, owner);
    for (const { name } of before.groups) {
      if (groups.has(name)) continue;
      this.#touch(name);
      this.#owners.release(name, owner);
    }
  }

  #touch(group: string): void {
    if (this.#settled && !this.#ownersBefore.has(group))
      this.#ownersBefore.set(group, this.#owners.of(group));
  }
}

const namesOf = (named: readonly { readonly name: string }[]): ReadonlySet<string> =>
  new Set(named.map(({ name }) => name));

function changed<T>(claims: Claims<T>, side: 'before' | 'after'): T[] {
  return Array.from(claims.changes(), (change) => change[side]).filter((value) => value !== undefined);
}
