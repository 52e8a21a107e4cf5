import type { Family } from '../../ip/ip.ts';
import { Prefix } from '../../ip/ip.ts';
import {
  AddressValue,
  AnonymousSet,
  Bitwise,
  Concat,
  Ct,
  Drop,
  Fib,
  Jump,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  type NftDataType,
  NftHook,
  NftRule,
  NftSet,
  type NftStatement,
  NumberValue,
  Payload,
  PrefixValue,
  Reject,
  Return,
  SetReference,
  VerdictMap,
  Word,
} from '../../netfilter/netfilter.ts';
import {
  detectorOf,
  type LocalDetector,
  type NodeFacts,
  nodePortPrefixes,
  type ProxyConfig,
} from '../config.ts';

/** The table of each family; no other table is ever touched. */
export const TABLE_NAME = 'fairlead';

/** The names of the sets and maps whose elements make up the Services. */
export const SETS = {
  serviceIPs: 'service-ips',
  serviceNodePorts: 'service-nodeports',
  noEndpointServices: 'no-endpoint-services',
  noEndpointNodePorts: 'no-endpoint-nodeports',
  clusterIPs: 'cluster-ips',
  sourceRanges: 'source-ranges',
  hairpin: 'hairpin-connections',
} as const;

/** The names of the chains every plan has. */
export const CHAINS = {
  services: 'services',
  masquerade: 'mark-for-masquerade',
  noEndpoints: 'no-endpoints-check',
  clusterIPs: 'cluster-ips-check',
  reject: 'reject-no-endpoints',
} as const;

/** What differs between the two families. */
export interface Dialect {
  readonly family: Family;
  readonly table: 'ip' | 'ip6';
  readonly address: NftDataType;
  readonly saddr: Payload;
  readonly daddr: Payload;
}

export const DIALECTS: Readonly<Record<Family, Dialect>> = {
  4: {
    family: 4,
    table: 'ip',
    address: 'ipv4_addr',
    saddr: Payload('ip', 'saddr'),
    daddr: Payload('ip', 'daddr'),
  },
  6: {
    family: 6,
    table: 'ip6',
    address: 'ipv6_addr',
    saddr: Payload('ip6', 'saddr'),
    daddr: Payload('ip6', 'daddr'),
  },
};

export const L4PROTO = Meta('l4proto');
export const DPORT = Payload('th', 'dport');

/** Whether the packet comes from a pod of this node; undefined where nothing tells. */
export function fromLocalPod(
  dialect: Dialect,
  detector: LocalDetector,
  operator: '==' | '!=' = '==',
): NftStatement {
  if (detector.by === 'source') return Match(dialect.saddr, PrefixValue(detector.prefix), operator);
  return Match(Meta('iifname'), Word(detector.wildcard ? `${detector.name}*` : detector.name), operator);
}

/** The sets of the frame, empty. */
export function frameSets(dialect: Dialect): NftSet[] {
  const { address } = dialect;
  const target = [address, 'inet_proto', 'inet_service'];
  return [
    NftSet(SETS.serviceIPs, target, { value: 'verdict' }),
    NftSet(SETS.serviceNodePorts, ['inet_proto', 'inet_service'], { value: 'verdict' }),
    NftSet(SETS.noEndpointServices, target, { value: 'verdict' }),
    NftSet(SETS.noEndpointNodePorts, ['inet_proto', 'inet_service'], { value: 'verdict' }),
    NftSet(SETS.clusterIPs, [address]),
    NftSet(SETS.sourceRanges, [...target, address], { flags: ['interval'] }),
    NftSet(SETS.hairpin, [address, address]),
  ];
}

/**
 * The chains of the frame. A new connection meets the masquerade test, one look into service-ips, and for an address of the
 * node one into service-nodeports; where nothing was found, as many again to tell refusal from traffic that is not ours. The
 * number of Services does not matter. Packets of a connection that stands meet none of it: conntrack rewrites them.
 */
export function frameChains(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftChain[] {
  const ifNew = (chain: string) => NftRule([Match(Ct('state'), Word('new'), 'in'), Jump(chain)]);
  const services = [NftRule([Jump(CHAINS.services)])];
  const check = [ifNew(CHAINS.noEndpoints)];
  const mark = NumberValue(2 ** config.masqueradeBit);
  return [
    NftChain(CHAINS.services, servicesRules(dialect, node, config)),
    NftChain(CHAINS.noEndpoints, noEndpointsRules(dialect, node, config)),
    NftChain(CHAINS.clusterIPs, clusterIPsRules(dialect, config)),
    NftChain(CHAINS.masquerade, [NftRule([Mangle(Meta('mark'), Bitwise(Meta('mark'), '|', mark))])]),
    NftChain(CHAINS.reject, [NftRule([Reject()])]),
    NftChain('nat-prerouting', services, NftHook('nat', 'prerouting', DSTNAT)),
    NftChain('nat-output', services, NftHook('nat', 'output', DSTNAT)),
    NftChain('nat-postrouting', postroutingRules(dialect, mark), NftHook('nat', 'postrouting', SRCNAT)),
    NftChain('filter-input', check, NftHook('filter', 'input', DSTNAT - 10)),
    NftChain('filter-forward', [...check, ...forwardRules(config), ifNew(CHAINS.clusterIPs)], FORWARD),
    // The destination as it was asked for, and as it is once a Service has been found.
    NftChain('filter-output', check, NftHook('filter', 'output', DSTNAT - 10)),
    NftChain('filter-output-post-dnat', [ifNew(CHAINS.clusterIPs)], NftHook('filter', 'output', DSTNAT + 10)),
  ];
}

const DSTNAT = -100;
const SRCNAT = 100;
const FORWARD = NftHook('filter', 'forward', DSTNAT - 10);

function servicesRules(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftRule[] {
  const { daddr } = dialect;
  const toClusterIP = Match(daddr, SetReference(SETS.clusterIPs));
  const detector = detectorOf(dialect.family, node, config);
  const rules: NftRule[] = [];
  if (config.masqueradeAll) rules.push(NftRule([toClusterIP, Jump(CHAINS.masquerade)]));
  else if (detector !== undefined) {
    rules.push(NftRule([toClusterIP, fromLocalPod(dialect, detector, '!='), Jump(CHAINS.masquerade)]));
  }
  rules.push(NftRule([VerdictMap(Concat(daddr, L4PROTO, DPORT), SetReference(SETS.serviceIPs))]));
  return [...rules, ...nodePortRules(dialect, node, config, SETS.serviceNodePorts)];
}

/** Rejecting needs a route for the answer, which a packet has from the input and forward hooks on. */
function noEndpointsRules(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftRule[] {
  const target = Concat(dialect.daddr, L4PROTO, DPORT);
  return [
    NftRule([VerdictMap(target, SetReference(SETS.noEndpointServices))]),
    ...nodePortRules(dialect, node, config, SETS.noEndpointNodePorts),
  ];
}

/** What still goes to a clusterIP once Services had their turn goes to a port that no Service has. */
function clusterIPsRules(dialect: Dialect, config: ProxyConfig): NftRule[] {
  const { daddr, family } = dialect;
  const ranges = config.serviceCIDRs.filter((prefix) => prefix.family === family);
  const rules = [NftRule([Match(daddr, SetReference(SETS.clusterIPs)), Reject()])];
  if (ranges.length > 0) rules.push(NftRule([Match(daddr, anyOf(ranges)), Drop()]));
  return rules;
}

/** Node ports answer on addresses of this node, but never on loopback: its packets cannot leave it (see rp_filter). */
function nodePortRules(dialect: Dialect, node: NodeFacts, config: ProxyConfig, map: string): NftRule[] {
  const { daddr, family } = dialect;
  const prefixes = nodePortPrefixes(family, node, config);
  if (prefixes?.length === 0) return [];
  const loopback = prefixOrAddress(Prefix.parse(family === 4 ? '127.0.0.0/8' : '::1/128'));
  return [
    NftRule([
      Match(Fib(['daddr'], 'type'), Word('local')),
      Match(daddr, loopback, '!='),
      ...(prefixes === undefined ? [] : [Match(daddr, anyOf(prefixes))]),
      VerdictMap(Concat(L4PROTO, DPORT), SetReference(map)),
    ]),
  ];
}

/** A prefix of one address as nft prints it back. */
export const prefixOrAddress = (prefix: Prefix): AddressValue | PrefixValue =>
  prefix.isHost ? AddressValue(prefix.addr) : PrefixValue(prefix);

/** nft makes a set of one element that element. */
function anyOf(prefixes: readonly Prefix[]): AddressValue | PrefixValue | AnonymousSet {
  const values = prefixes.map(prefixOrAddress);
  const [first, ...more] = values;
  return first !== undefined && more.length === 0 ? first : AnonymousSet(values);
}

function postroutingRules(dialect: Dialect, mark: NumberValue): NftRule[] {
  return [
    // An endpoint that reached itself through a Service would answer itself directly and drop the answer.
    NftRule([Match(Concat(dialect.saddr, dialect.daddr), SetReference(SETS.hairpin)), Masquerade()]),
    NftRule([Match(Bitwise(Meta('mark'), '&', mark), NumberValue(0)), Return()]),
    // A packet that is encapsulated comes by here again, and must not be masqueraded twice.
    NftRule([Mangle(Meta('mark'), Bitwise(Meta('mark'), '^', mark))]),
    NftRule([Masquerade()]),
  ];
}

/**
 * A packet outside the connection's window is not rewritten by conntrack; forwarded, its real source would earn the
 * connection a reset (kubernetes 74839).
 */
function forwardRules(config: ProxyConfig): NftRule[] {
  if (config.conntrackTCPBeLiberal) return [];
  return [NftRule([Match(Ct('state'), Word('invalid'), 'in'), Drop()])];
}
