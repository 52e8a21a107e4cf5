/** The rules of somebody else on nodes and other hosts: an administrator's firewall, another agent's NAT. */
import { Endpoint, type Family } from '../../src/ip/ip.ts';
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
import { familiesOf } from '../../src/world/profile.ts';
import {
  type Host,
  type HostRole,
  hostsOf,
  type PacketFilter,
  type RpFilter,
  type World,
} from '../../src/world/world.ts';
import { ruleIn, written } from './families.ts';

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
      if (host === undefined) continue;
      // Whoever writes rules for a cluster writes them for all of its families.
      const families = familiesOf(world.profile);
      hosts.set(
        name,
        families.reduce((one, family) => withForeignRule(one, rule, at, family), host),
      );
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
  const { bridgeNfCallIptables } = settings;
  const both =
    bridgeNfCallIptables === undefined
      ? settings
      : { ...settings, bridgeNfCallIp6tables: bridgeNfCallIptables };
  const changed = hostsOf(world, 'node').map(
    (node) => [node.name, { ...node, sysctls: { ...node.sysctls, ...both } }] as const,
  );
  return { ...world, hosts: new Map([...world.hosts, ...changed]) };
}

function withForeignRule(host: Host, foreign: ForeignRule, at: number, family: Family): Host {
  const filter = host.packetFilter ?? {};
  return {
    ...host,
    packetFilter:
      foreign.tool === 'nft' ? withNft(filter, foreign, at, family) : withIptables(filter, foreign, family),
  };
}

function withIptables(
  filter: PacketFilter,
  { table, chain, rule, first }: IptablesForeign,
  family: Family,
): PacketFilter {
  const others = (filter.iptables ?? []).filter((one) => one.family !== family);
  const ruleset = filter.iptables?.find((one) => one.family === family) ?? IptablesRuleset(family, []);
  const old = ruleset.tables.get(table) ?? IptablesTable(table, []);
  const there = old.chains.get(chain) ?? IptablesChain(chain, [], 'ACCEPT');
  const rules = rule === undefined ? [] : [parseIptablesRule(ruleIn(family, rule))];
  const changed = IptablesChain(
    chain,
    first === true ? [...rules, ...there.rules] : [...there.rules, ...rules],
    rule === undefined ? 'DROP' : there.policy,
  );
  const chains = new Map(old.chains).set(chain, changed).values();
  const tables = new Map(ruleset.tables).set(table, IptablesTable(table, chains)).values();
  return { ...filter, iptables: [...others, IptablesRuleset(family, tables)] };
}

function withNft(filter: PacketFilter, { what, port }: NftForeign, at: number, family: Family): PacketFilter {
  const name = family === 4 ? 'ip' : 'ip6';
  const table = NftTable(name, `foreign-${at}`, [NFT_CHAINS[what](port, family)], []);
  return { ...filter, nftables: { kind: 'NftRuleset', tables: [...(filter.nftables?.tables ?? []), table] } };
}

const toPort = (port: number) => Match(Payload('tcp', 'dport'), NumberValue(port));
const isKnown = Match(Ct('state'), AnonymousSet([Word('established'), Word('related')]), 'in');

/** Where foreign rules lead to: the first node's first node port. */
const elsewhere = (family: Family) => {
  const { addr, port } = Endpoint.parse(written(family, '192.168.0.11:30000'));
  return Dnat(AddressValue(addr), { port: NumberValue(port) });
};

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
  redirect: (port: number, family: Family) =>
    NftChain('prerouting', [NftRule([toPort(port), elsewhere(family)])], NftHook('nat', 'prerouting', -110)),
  redirectOutput: (port: number, family: Family) =>
    NftChain('output', [NftRule([toPort(port), elsewhere(family)])], NftHook('nat', 'output', -90)),
  dropInvalid: () =>
    NftChain(
      'forward',
      [NftRule([Match(Ct('state'), Word('invalid')), Drop()])],
      NftHook('filter', 'forward', 1),
    ),
} as const;

export const NFT_KINDS = Object.keys(NFT_CHAINS) as (keyof typeof NFT_CHAINS)[];
