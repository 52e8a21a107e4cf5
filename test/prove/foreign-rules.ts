/** The rules of somebody else on nodes and other hosts: an administrator's firewall, another agent's NAT. */
import { Addr, Endpoint, portOf } from '../../src/ip/ip.ts';
import {
  Accept,
  AddressValue,
  AnonymousSet,
  Ct,
  Dnat,
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
import {
  type Host,
  type HostRole,
  hostsOf,
  type PacketFilter,
  type RpFilter,
  type World,
} from '../../src/world/world.ts';

/** On every host of the role. */
interface Foreign {
  /** A node's, unless said. */
  readonly on?: HostRole;
  /** Only the one at this place among those of the role; it counts around. */
  readonly nth?: number;
}

export type ForeignRule = IptablesForeign | NftForeign;

/** Without a rule, the policy of the chain becomes DROP. */
export interface IptablesForeign extends Foreign {
  readonly tool: 'iptables';
  readonly table: IptablesTableName;
  readonly chain: string;
  /** Without the `-A CHAIN` before it. */
  readonly rule?: string;
  readonly first?: boolean;
}

export interface NftForeign extends Foreign {
  readonly tool: 'nft';
  readonly what: keyof typeof NFT_CHAINS;
  readonly port: number;
}

export function withForeignRules(world: World, foreign: readonly ForeignRule[]): World {
  const hosts = new Map(world.hosts);
  for (const [at, rule] of foreign.entries()) {
    const all = hostsOf(world, rule.on ?? 'node');
    const some =
      rule.nth === undefined ? all : all.filter((_, place) => place === (rule.nth ?? 0) % all.length);
    for (const { name } of some) {
      const host = hosts.get(name);
      if (host !== undefined) hosts.set(name, withForeignRule(host, rule, at));
    }
  }
  return { ...world, hosts };
}

/** How the nodes' kernels are set, where that is not as usual. */
export interface NodeSettings {
  readonly rpFilter?: RpFilter;
  readonly bridgeNfCallIptables?: boolean;
}

export function withNodeSettings(world: World, settings: NodeSettings): World {
  const changed = hostsOf(world, 'node').map(
    (node) => [node.name, { ...node, sysctls: { ...node.sysctls, ...settings } }] as const,
  );
  return { ...world, hosts: new Map([...world.hosts, ...changed]) };
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

/** Where foreign rules lead to: the first node's first node port. */
const ELSEWHERE = new Endpoint(Addr.parse('192.168.0.11'), portOf(30000));

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
  rejectOutput: (port: number) =>
    NftChain('output', [NftRule([toPort(port), Reject('tcp reset')])], NftHook('filter', 'output', -10)),
  markOutput: (port: number) =>
    NftChain(
      'output',
      [NftRule([toPort(port), Mangle(Meta('mark'), NumberValue(0x10))])],
      NftHook('route', 'output', -150),
    ),
  redirect: (port: number) =>
    NftChain(
      'prerouting',
      [NftRule([toPort(port), Dnat(AddressValue(ELSEWHERE.addr), { port: NumberValue(ELSEWHERE.port) })])],
      NftHook('nat', 'prerouting', -110),
    ),
  redirectOutput: (port: number) =>
    NftChain(
      'output',
      [NftRule([toPort(port), Dnat(AddressValue(ELSEWHERE.addr), { port: NumberValue(ELSEWHERE.port) })])],
      NftHook('nat', 'output', -90),
    ),
  dropInvalid: () =>
    NftChain(
      'forward',
      [NftRule([Match(Ct('state'), Word('invalid')), Drop()])],
      NftHook('filter', 'forward', 1),
    ),
} as const;

export const NFT_KINDS = Object.keys(NFT_CHAINS) as (keyof typeof NFT_CHAINS)[];
