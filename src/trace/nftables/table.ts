import type { NftChain, NftHook, NftTable, NftVerdict } from '../../netfilter/netfilter.ts';
import type { Policy } from '../../world/policy.ts';
import type { HookEntries, HookEntry } from '../hook-entry.ts';
import type { Reason } from '../outcome.ts';
import { type Passage, type Ruling, Unmodelled } from '../passage.ts';
import { CompiledRule, type RuleContext } from './rule.ts';
import { SetIndex } from './set.ts';

/** What dropping by a policy of the network means. */
const POLICY_REASONS: Readonly<Record<Policy['kind'], Reason>> = {
  'source-check': 'sourceCheck',
  'elastic-addresses': 'noElasticAddress',
  masquerade: 'droppedByRule',
  'entry-mark': 'droppedByRule',
  'return-path': 'droppedByRule',
  balance: 'droppedByRule',
  'host-ports': 'droppedByRule',
};

/** The base chains of a table as entries of their hooks. A table of a family that IP packets never meet has none. */
export function nftEntries(table: NftTable, policy?: Policy['kind']): HookEntries {
  if (table.family !== 'ip' && table.family !== 'inet' && table.family !== 'ip6') {
    return { entries: [], tracks: false };
  }
  const compiled = new CompiledTable(table, policy === undefined ? 'droppedByRule' : POLICY_REASONS[policy]);
  const bases = [...table.chains.values()].flatMap((chain) =>
    chain.base === undefined ? [] : [{ chain, base: chain.base }],
  );
  return {
    entries: bases.flatMap(({ chain, base }) => compiled.entry(chain.name, base)),
    tracks: tracksConnections(table),
  };
}

function tracksConnections(table: NftTable): boolean {
  const chains = [...table.chains.values()];
  if (chains.some((chain) => chain.base?.type === 'nat')) return true;
  return JSON.stringify(chains).includes('"kind":"Ct"');
}

interface CompiledChain {
  readonly name: string;
  readonly rules: readonly CompiledRule[];
}

class CompiledTable implements RuleContext {
  readonly table: NftTable;
  /** Where its rules stand, for quoting. */
  readonly title: string;
  readonly dropReason: Reason;
  readonly sets: ReadonlyMap<string, SetIndex>;
  readonly #chains = new Map<string, CompiledChain>();

  constructor(table: NftTable, dropReason: Reason) {
    this.table = table;
    this.title = `nft ${table.family} ${table.name}`;
    this.dropReason = dropReason;
    this.sets = new Map([...table.sets].map(([name, set]) => [name, new SetIndex(set)]));
  }

  /** Chains are compiled when a packet first comes to them: most never see one. */
  chain(name: string): CompiledChain {
    const known = this.#chains.get(name);
    if (known !== undefined) return known;
    const tree: NftChain | undefined = this.table.chains.get(name);
    if (tree === undefined) throw new Unmodelled(`${this.title} has no chain '${name}'`);
    const chain = { name, rules: tree.rules.map((rule) => new CompiledRule(this, name, rule)) };
    this.#chains.set(name, chain);
    return chain;
  }

  entry(name: string, { type, hook, priority, policy }: NftHook): HookEntry[] {
    // Ingress and egress are called by devices, before and after what is walked.
    if (hook === 'ingress' || hook === 'egress') return [];
    const { family } = this.table;
    const only = family === 'ip' ? 4 : family === 'ip6' ? 6 : undefined;
    const run = (passage: Passage): Ruling => {
      if (only !== undefined && passage.packet.source.family !== only) return 'accept';
      const before = type === 'route' ? routeKey(passage) : '';
      const verdict = this.#run(this.chain(name), passage, 0) ?? POLICIES[policy];
      if (verdict.kind === 'Drop') {
        if (passage.reason === undefined) this.#dropByPolicy(name, passage);
        return 'drop';
      }
      if (type === 'route' && passage.reroute !== undefined && routeKey(passage) !== before) {
        return passage.reroute(passage);
      }
      return 'accept';
    };
    return [{ hook, priority, type, run }];
  }

  #dropByPolicy(name: string, passage: Passage): void {
    passage.reason = this.dropReason;
    passage.note('rule', 'drop', `${this.title} ${name}: policy drop`, this.table.chains.get(name)?.place);
  }

  /** `undefined`: the chain was left without a verdict. */
  #run(chain: CompiledChain, passage: Passage, depth: number): NftVerdict | undefined {
    // The kernel refuses rulesets that nest deeper (NFT_JUMP_STACK_SIZE).
    if (depth > 16) throw new Unmodelled(`${this.title}: the chains call each other too deeply`);
    for (const rule of chain.rules) {
      const verdict = rule.run(passage);
      switch (verdict?.kind) {
        case undefined:
          continue;
        case 'Accept':
        case 'Drop':
          return verdict;
        case 'Return':
          return undefined;
        case 'Goto':
          return this.#run(this.chain(verdict.chain), passage, depth + 1);
        case 'Jump': {
          const inner = this.#run(this.chain(verdict.chain), passage, depth + 1);
          if (inner !== undefined) return inner;
        }
      }
    }
    return undefined;
  }
}

const POLICIES = { accept: { kind: 'Accept' }, drop: { kind: 'Drop' } } as const;

/** What the way out depends on (nf_route_table_hook4 in net/netfilter/nft_chain_route.c). */
const routeKey = ({ packet }: Passage): string => `${packet.source} ${packet.destination} ${packet.mark}`;
