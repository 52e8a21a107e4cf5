/** The rules of somebody else on the nodes: an administrator's firewall, another agent's NAT. */
import {
  Accept,
  AnonymousSet,
  Ct,
  Drop,
  IptablesChain,
  IptablesRuleset,
  IptablesTable,
  type IptablesTableName,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  NftHook,
  NftRule,
  NftTable,
  NumberValue,
  Payload,
  parseIptablesRule,
  Reject,
  Word,
} from '../../src/netfilter/netfilter.ts';
import { type Host, hostsOf, type PacketFilter, type World } from '../../src/world/world.ts';

/** On every node, unless one is said. */
export type ForeignRule = IptablesForeign | NftForeign;

/** Without a rule, the policy of the chain becomes DROP. */
export interface IptablesForeign {
  readonly tool: 'iptables';
  readonly node?: number;
  readonly table: IptablesTableName;
  readonly chain: string;
  /** Without the `-A CHAIN` before it. */
  readonly rule?: string;
  readonly first?: boolean;
}

export interface NftForeign {
  readonly tool: 'nft';
  readonly node?: number;
  readonly what: keyof typeof NFT_CHAINS;
  readonly port: number;
}

export function withForeignRules(world: World, foreign: readonly ForeignRule[]): World {
  if (foreign.length === 0) return world;
  const hosts = new Map(world.hosts);
  for (const [at, node] of hostsOf(world, 'node').entries()) {
    const own = foreign.filter((one) => one.node === undefined || one.node === at);
    hosts.set(node.name, own.reduce(withForeignRule, node));
  }
  return { ...world, hosts };
}

function withForeignRule(host: Host, foreign: ForeignRule, at: number): Host {
  const filter = host.packetFilter ?? {};
  return {
    ...host,
    packetFilter: foreign.tool === 'nft' ? withNft(filter, foreign, at) : withIptables(filter, foreign),
  };
}

function withIptables(filter: PacketFilter, { table, chain, rule, first }: IptablesForeign): PacketFilter {
  const others = (filter.iptables ?? []).filter(({ family }) => family !== 4);
  const ruleset = filter.iptables?.find(({ family }) => family === 4) ?? IptablesRuleset(4, []);
  const old = ruleset.tables.get(table) ?? IptablesTable(table, []);
  const there = old.chains.get(chain) ?? IptablesChain(chain, [], 'ACCEPT');
  const rules = rule === undefined ? [] : [parseIptablesRule(rule)];
  const changed = IptablesChain(
    chain,
    first === true ? [...rules, ...there.rules] : [...there.rules, ...rules],
    rule === undefined ? 'DROP' : there.policy,
  );
  const chains = new Map(old.chains).set(chain, changed).values();
  const tables = new Map(ruleset.tables).set(table, IptablesTable(table, chains)).values();
  return { ...filter, iptables: [...others, IptablesRuleset(4, tables)] };
}

function withNft(filter: PacketFilter, { what, port }: NftForeign, at: number): PacketFilter {
  const table = NftTable('ip', `foreign-${at}`, [NFT_CHAINS[what](port)], []);
  return { ...filter, nftables: { kind: 'NftRuleset', tables: [...(filter.nftables?.tables ?? []), table] } };
}

const toPort = (port: number) => Match(Payload('tcp', 'dport'), NumberValue(port));
const isKnown = Match(Ct('state'), AnonymousSet([Word('established'), Word('related')]), 'in');

const NFT_CHAINS = {
  /** Forwards what belongs to a connection or goes to the port. */
  forwardToPortOnly: (port: number) =>
    NftChain(
      'forward',
      [NftRule([isKnown, Accept()]), NftRule([toPort(port), Accept()])],
      NftHook('filter', 'forward', 0, 'drop'),
    ),
  rejectInput: (port: number) =>
    NftChain('input', [NftRule([toPort(port), Reject('tcp reset')])], NftHook('filter', 'input', -10)),
  rejectForward: (port: number) =>
    NftChain('forward', [NftRule([toPort(port), Reject()])], NftHook('filter', 'forward', 10)),
  dropRaw: (port: number) =>
    NftChain('prerouting', [NftRule([toPort(port), Drop()])], NftHook('filter', 'prerouting', -300)),
  dropOutput: (port: number) =>
    NftChain('output', [NftRule([toPort(port), Drop()])], NftHook('filter', 'output', 5)),
  masqueradeAll: (port: number) =>
    NftChain('postrouting', [NftRule([toPort(port), Masquerade(false)])], NftHook('nat', 'postrouting', 90)),
  markAll: (port: number) =>
    NftChain(
      'prerouting',
      [NftRule([toPort(port), Mangle(Meta('mark'), NumberValue(0x20))])],
      NftHook('filter', 'prerouting', -150),
    ),
} as const;
