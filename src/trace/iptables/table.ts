import {
  type IpSet,
  type IptablesChain,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  type IptablesTableName,
  printIptablesRule,
} from '../../netfilter/netfilter.ts';
import type { HookEntries, HookEntry } from '../hook-entry.ts';
import { type HookName, type Passage, type Ruling, Unmodelled } from '../passage.ts';
import { IpSetIndex } from './ip-set.ts';
import { type Sets, type Test, testsOf } from './match.ts';
import { type Act, actOf, onlyTells, type Verdict } from './target.ts';

/** The built-in chains by the hook that calls them. */
const CHAINS: Readonly<Record<HookName, string>> = {
  prerouting: 'PREROUTING',
  input: 'INPUT',
  forward: 'FORWARD',
  output: 'OUTPUT',
  postrouting: 'POSTROUTING',
};

/** enum nf_ip_hook_priorities in include/uapi/linux/netfilter_ipv4.h; nat comes at its own (see {@link natPriority}). */
const PRIORITIES: Readonly<Record<Exclude<IptablesTableName, 'nat'>, number>> = {
  raw: -300,
  mangle: -150,
  filter: 0,
  security: 50,
};

/** NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC: what they make of it beside the nat chains of nftables. */
const natPriority = (hook: HookName): number => (hook === 'prerouting' || hook === 'output' ? -100 : 100);

/** The tables of a family as entries of the hooks whose built-in chains they have. */
export function iptablesEntries(ruleset: IptablesRuleset, ipsets: readonly IpSet[]): HookEntries {
  const sets = new Map(ipsets.map((set) => [set.name, new IpSetIndex(set)]));
  const tables = [...ruleset.tables.values()].map((table) => new CompiledTable(table, ruleset.family, sets));
  return {
    entries: tables.flatMap((table) => table.entries()),
    tracks: [...ruleset.tables.values()].some(tracksConnections),
  };
}

function tracksConnections({ name, chains }: IptablesTable): boolean {
  const isOf = ({ matches, target }: IptablesRule) =>
    matches.some((match) => match.kind === 'Conntrack') ||
    (target?.kind === 'UnmodelledTarget' && target.words[0] === 'CONNMARK');
  return name === 'nat' || [...chains.values()].some((chain) => chain.rules.some(isOf));
}

class CompiledTable {
  readonly #table: IptablesTable;
  readonly #family: 4 | 6;
  readonly #sets: Sets;
  readonly #chains = new Map<string, readonly CompiledRule[]>();

  constructor(table: IptablesTable, family: 4 | 6, sets: Sets) {
    this.#table = table;
    this.#family = family;
    this.#sets = sets;
  }

  entries(): HookEntry[] {
    return Object.entries(CHAINS).flatMap(([hook, name]) => {
      const chain = this.#table.chains.get(name);
      return chain === undefined ? [] : [this.#entry(hook as HookName, chain)];
    });
  }

  #entry(hook: HookName, { name: chain, policy, place }: IptablesChain): HookEntry {
    const { name } = this.#table;
    const reroutes = name === 'mangle' && hook === 'output';
    const run = (passage: Passage): Ruling => {
      const { packet } = passage;
      if (packet.source.family !== this.#family) return 'accept';
      const before = reroutes ? `${packet.source} ${packet.destination} ${packet.mark}` : '';
      const verdict = this.#run(chain, passage, 0);
      if (verdict?.kind === 'drop' || (verdict === undefined && policy === 'DROP')) {
        if (verdict === undefined) passage.note('rule', 'drop', `${this.#title} -P ${chain} DROP`, place);
        passage.reason ??= 'droppedByRule';
        return 'drop';
      }
      if (reroutes && passage.reroute !== undefined) {
        const after = `${packet.source} ${packet.destination} ${packet.mark}`;
        if (after !== before) return passage.reroute(passage);
      }
      return 'accept';
    };
    const type = name === 'nat' ? 'nat' : name === 'mangle' ? 'route' : 'filter';
    const priority = name === 'nat' ? natPriority(hook) : PRIORITIES[name];
    return { hook, priority, type, run };
  }

  get #title(): string {
    return `${this.#family === 4 ? 'iptables' : 'ip6tables'} -t ${this.#table.name}`;
  }

  /** Compiled when a packet first comes to it. */
  #rules(chain: string): readonly CompiledRule[] {
    const known = this.#chains.get(chain);
    if (known !== undefined) return known;
    const tree = this.#table.chains.get(chain);
    if (tree === undefined) throw new Unmodelled(`${this.#title} has no chain '${chain}'`);
    const title = `${this.#title} -A ${chain}`;
    const rules = tree.rules.map((rule) => new CompiledRule(title, rule, this.#sets));
    this.#chains.set(chain, rules);
    return rules;
  }

  #run(chain: string, passage: Passage, depth: number): Verdict | undefined {
    if (depth > 64) throw new Unmodelled(`${this.#title}: the chains call each other too deeply`);
    for (const rule of this.#rules(chain)) {
      const verdict = rule.run(passage);
      switch (verdict?.kind) {
        case undefined:
          continue;
        case 'accept':
        case 'drop':
          return verdict;
        case 'return':
          return undefined;
        case 'goto':
          return this.#run(verdict.chain, passage, depth + 1);
        case 'jump': {
          const inner = this.#run(verdict.chain, passage, depth + 1);
          if (inner !== undefined) return inner;
        }
      }
    }
    return undefined;
  }
}

class CompiledRule {
  readonly #title: string;
  readonly #rule: IptablesRule;
  readonly #tests: readonly Test[];
  readonly #act: Act | undefined;
  #text: string | undefined;

  constructor(title: string, rule: IptablesRule, sets: Sets) {
    this.#title = title;
    this.#rule = rule;
    this.#tests = onlyTells(rule) ? [() => false] : testsOf(rule.matches, sets);
    this.#act = rule.target === undefined ? undefined : actOf(rule.target);
  }

  run(passage: Passage): Verdict | undefined {
    try {
      for (const test of this.#tests) if (!test(passage)) return undefined;
      const verdict = this.#act?.(passage);
      if (verdict === undefined && passage.changes.length === 0) return undefined;
      passage.note('rule', wordOf(verdict, passage), this.text, this.#rule.place);
      return verdict;
    } catch (error) {
      if (error instanceof Unmodelled) throw error.in(this.text, this.#rule.place);
      throw error;
    }
  }

  get text(): string {
    this.#text ??= `${this.#title} ${printIptablesRule(this.#rule)}`;
    return this.#text;
  }
}

function wordOf(verdict: Verdict | undefined, { refusal }: Passage): string {
  if (verdict === undefined) return 'rewrite';
  if (verdict.kind === 'drop') return refusal === undefined ? 'drop' : 'reject';
  return verdict.kind === 'jump' || verdict.kind === 'goto'
    ? `${verdict.kind} ${verdict.chain}`
    : verdict.kind;
}
