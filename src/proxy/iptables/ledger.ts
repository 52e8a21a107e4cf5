import type { Family } from '../../ip/ip.ts';
import {
  differenceOfIptables,
  IptablesChain,
  type IptablesRule,
  IptablesRuleset,
  IptablesTable,
  type IptablesTableName,
  type IptablesTransaction,
  printIptablesRule,
} from '../../netfilter/netfilter.ts';
import { Claims } from '../claims.ts';
import type { NodeFacts, ProxyConfig } from '../config.ts';
import type { ServicePlan } from '../plan.ts';
import {
  compileIptablesFragment,
  type IptablesContext,
  type IptablesFragment,
  iptablesContext,
} from './fragment.ts';
import { frameTables, SHARED_CHAINS, type SharedChain } from './frame.ts';

/** kube-proxy's large cluster: from here on rules for single endpoints bear no comments, which were 40 % of all there is. */
const MANY_ENDPOINTS = 1000;
/** Comments come back only well below it, as a cluster at the border would write all its chains with every pod. */
const FEW_ENDPOINTS = 900;

/**
 * The tables of one family as the frame and what each Service adds to it. {@link transactions} rewrites the chains of the
 * Services that changed and edits the chains all share, as `iptables-restore --noflush` takes it.
 */
export class IptablesLedger {
  readonly family: Family;
  readonly #node: NodeFacts;
  readonly #config: ProxyConfig;
  #context: IptablesContext;
  readonly #frame: readonly IptablesTable[];
  readonly #plans = new Map<string, ServicePlan>();
  readonly #fragments = new Map<string, IptablesFragment>();
  /** The rules that the fragments add to each table. */
  readonly #added = new Map<IptablesTableName, number>();
  #endpoints = 0;
  /** The names of the Services in order, so that a restart finds the rules in the order it would write them. */
  #sorted: readonly string[] | undefined;
  readonly #chains = new Claims<IptablesChain>();
  readonly #entrances = new Claims<true>();
  /** The shared chains as they were at the last {@link settle}, where they have changed since. */
  readonly #before = new Map<SharedChain, readonly IptablesRule[]>();

  constructor(family: Family, node: NodeFacts, config: ProxyConfig) {
    this.family = family;
    this.#node = node;
    this.#config = config;
    this.#context = iptablesContext(family, node, config);
    this.#frame = frameTables(family, node, config);
  }

  /** Takes in a Service's plan in place of the one before; undefined removes the Service. */
  replace(service: string, plan: ServicePlan | undefined): void {
    this.#endpoints += this.#endpointsOf(plan) - this.#endpointsOf(this.#plans.get(service));
    if (plan === undefined) this.#plans.delete(service);
    else this.#plans.set(service, plan);
    this.#place(service, plan);
    const { commentsEndpoints } = this.#context;
    if (commentsEndpoints ? this.#endpoints <= MANY_ENDPOINTS : this.#endpoints >= FEW_ENDPOINTS) return;
    this.#context = iptablesContext(this.family, this.#node, this.#config, !commentsEndpoints);
    for (const [name, known] of this.#plans) this.#place(name, known);
  }

  #endpointsOf(plan: ServicePlan | undefined): number {
    const ports = plan?.ports.filter(({ family }) => family === this.family) ?? [];
    return ports.reduce((sum, { cluster, local }) => sum + Math.max(cluster.length, local.length), 0);
  }

  #place(service: string, plan: ServicePlan | undefined): void {
    const before = this.#fragments.get(service);
    const after = plan === undefined ? undefined : compileIptablesFragment(this.#context, plan);
    for (const shared of SHARED_CHAINS) {
      const changes = textsOf(before?.shared.get(shared)) !== textsOf(after?.shared.get(shared));
      if (changes && !this.#before.has(shared)) this.#before.set(shared, this.#rulesOf(shared));
    }
    const kept = new Set(after?.chains.map((chain) => chain.name));
    for (const chain of after?.chains ?? []) this.#chains.claim(chain.name, service, chain);
    for (const { name } of before?.chains ?? []) if (!kept.has(name)) this.#chains.release(name, service);
    const entrances = new Set(after?.entrances);
    for (const name of entrances) this.#entrances.claim(name, service, true);
    for (const name of before?.entrances ?? []) {
      if (!entrances.has(name)) this.#entrances.release(name, service);
    }
    if ((before === undefined) !== (after === undefined)) this.#sorted = undefined;
    if (after === undefined) this.#fragments.delete(service);
    else this.#fragments.set(service, after);
    for (const table of ['filter', 'nat'] as const) {
      const added = this.#added.get(table) ?? 0;
      this.#added.set(table, added + rulesOf(after, table) - rulesOf(before, table));
    }
  }

  /** The addresses and ports of a Service that another one has: of two rules for one, the first counts. */
  conflicts(service: string): readonly string[] {
    return (this.#fragments.get(service)?.entrances ?? []).flatMap((name) => {
      const owner = this.#entrances.owner(name);
      return owner === service || owner === undefined ? [] : [`${name} belongs to ${owner}`];
    });
  }

  /** What leads from the tables as they were at the last {@link settle} to the tables as they are. */
  transactions(): IptablesTransaction[] {
    const changed = (table: IptablesTableName, side: 'before' | 'after') => {
      const shared = [...this.#before].flatMap(([name, before]) => {
        const [where, chain = ''] = name.split(' ');
        return where === table
          ? [IptablesChain(chain, side === 'before' ? before : this.#rulesOf(name))]
          : [];
      });
      const own = table === 'nat' ? Array.from(this.#chains.changes(), (change) => change[side]) : [];
      return IptablesTable(table, [...shared, ...own.filter((chain) => chain !== undefined)]);
    };
    return (['filter', 'nat'] as const).map((table) =>
      differenceOfIptables(changed(table, 'before'), changed(table, 'after')),
    );
  }

  /** How many rules each table holds, without a walk over all of them. */
  ruleCounts(): ReadonlyMap<IptablesTableName, number> {
    return new Map(
      this.#frame.map((table) => [
        table.name,
        rulesIn(table.chains.values()) + (this.#added.get(table.name) ?? 0),
      ]),
    );
  }

  /** Takes the present tables as the kernel's. */
  settle(): void {
    this.#before.clear();
    this.#chains.settle();
    this.#entrances.settle();
  }

  /** The whole, with the kernel's own chains holding the jumps to ours and nothing else. */
  ruleset(): IptablesRuleset {
    const tables = this.#frame.map((table) => {
      const chains = [...table.chains.values()].map((chain) => {
        const shared = SHARED_CHAINS.find((name) => name === `${table.name} ${chain.name}`);
        return shared === undefined ? chain : { ...chain, rules: this.#rulesOf(shared) };
      });
      const own = table.name === 'nat' ? Array.from(this.#chains.entries(), ([, chain]) => chain) : [];
      return IptablesTable(table.name, [...chains, ...own]);
    });
    return IptablesRuleset(this.family, tables);
  }

  /** The rules of the Services, then those of the frame: kube-proxy's last rule must stay the last. */
  #rulesOf(shared: SharedChain): readonly IptablesRule[] {
    const [table, chain = ''] = shared.split(' ');
    const frame = this.#frame.find((one) => one.name === table)?.chains.get(chain)?.rules ?? [];
    const rules: IptablesRule[] = [];
    this.#sorted ??= [...this.#fragments.keys()].sort();
    for (const name of this.#sorted) rules.push(...(this.#fragments.get(name)?.shared.get(shared) ?? []));
    return [...rules, ...frame];
  }
}

const rulesIn = (chains: Iterable<IptablesChain>): number => {
  let count = 0;
  for (const { rules } of chains) count += rules.length;
  return count;
};

function rulesOf(fragment: IptablesFragment | undefined, table: 'filter' | 'nat'): number {
  if (fragment === undefined) return 0;
  let count = table === 'nat' ? rulesIn(fragment.chains) : 0;
  for (const [shared, rules] of fragment.shared) if (shared.startsWith(table)) count += rules.length;
  return count;
}

const textsOf = (rules: readonly IptablesRule[] | undefined): string =>
  rules?.map(printIptablesRule).join('\n') ?? '';
