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
  endpoints: 'endpoints',
  localEndpoints: 'local-endpoints',
  nodePortEndpoints: 'nodeport-endpoints',
  nodePortLocalEndpoints: 'nodeport-local-endpoints',
  clusterIPs: 'cluster-ips',
  sourceRanges: 'source-ranges',
  hairpin: 'hairpin-connections',
} as const;

/** The names of the chains every plan has. */
export const CHAINS = {
  services: 'services',
  masquerade: 'mark-for-masquerade',
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
  const value = [address, 'inet_service'];
  return [
    NftSet(SETS.serviceIPs, target, { value: 'verdict' }),
    NftSet(SETS.serviceNodePorts, ['inet_proto', 'inet_service'], { value: 'verdict' }),
    NftSet(SETS.endpoints, [...target, 'integer'], { value }),
    NftSet(SETS.localEndpoints, [...target, 'integer'], { value }),
    NftSet(SETS.nodePortEndpoints, ['inet_proto', 'inet_service', 'integer'], { value }),
    NftSet(SETS.nodePortLocalEndpoints, ['inet_proto', 'inet_service', 'integer'], { value }),
    NftSet(SETS.clusterIPs, [address]),
    NftSet(SETS.sourceRanges, [...target, address], { flags: ['interval'] }),
    NftSet(SETS.hairpin, [address, address]),
  ];
}

/**
 * The chains of the frame. A new connection meets at most: the masquerade test, one look into service-ips, one into
 * cluster-ips, and for an address of the node one into service-nodeports, however many Services there are. Packets of a
 * connection that stands meet none of it: conntrack rewrites them.
 */
export function frameChains(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftChain[] {
  const mark = NumberValue(2 ** config.masqueradeBit);
  const jumpToServices = [NftRule([Jump(CHAINS.services)])];
  return [
    NftChain(CHAINS.services, servicesRules(dialect, node, config)),
    NftChain(CHAINS.masquerade, [NftRule([Mangle(Meta('mark'), Bitwise(Meta('mark'), '|', mark))])]),
    NftChain(CHAINS.reject, [NftRule([Reject()])]),
    NftChain('nat-prerouting', jumpToServices, NftHook('nat', 'prerouting', -100)),
    NftChain('nat-output', jumpToServices, NftHook('nat', 'output', -100)),
    NftChain(
      'nat-postrouting',
      [
        // An endpoint that reached itself through a Service would answer itself directly and drop the answer.
        NftRule([Match(Concat(dialect.saddr, dialect.daddr), SetReference(SETS.hairpin)), Masquerade()]),
        NftRule([Match(Bitwise(Meta('mark'), '&', mark), NumberValue(0)), Return()]),
        // A packet that is encapsulated comes by here again, and must not be masqueraded twice.
        NftRule([Mangle(Meta('mark'), Bitwise(Meta('mark'), '^', mark))]),
        NftRule([Masquerade()]),
      ],
      NftHook('nat', 'postrouting', 100),
    ),
    NftChain('filter-forward', forwardRules(config), NftHook('filter', 'forward', 0)),
  ];
}

function servicesRules(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftRule[] {
  const { daddr } = dialect;
  const toClusterIP = Match(daddr, SetReference(SETS.clusterIPs));
  const detector = detectorOf(dialect.family, node, config);
  const rules: NftRule[] = [];
  if (config.masqueradeAll) rules.push(NftRule([toClusterIP, Jump(CHAINS.masquerade)]));
  else if (detector !== undefined) {
    rules.push(NftRule([toClusterIP, fromLocalPod(dialect, detector, '!='), Jump(CHAINS.masquerade)]));
  }
  rules.push(
    NftRule([VerdictMap(Concat(daddr, L4PROTO, DPORT), SetReference(SETS.serviceIPs))]),
    NftRule([toClusterIP, Reject()], 'a port no Service of this clusterIP has'),
  );
  const ranges = config.serviceCIDRs.filter((prefix) => prefix.family === dialect.family);
  if (ranges.length > 0) {
    rules.push(NftRule([Match(daddr, AnonymousSet(ranges.map(PrefixValue))), Drop()], 'no Service has it'));
  }
  rules.push(...nodePortRules(dialect, node, config));
  return rules;
}

/** Node ports answer on addresses of this node, but never on loopback: its packets cannot leave it (see rp_filter). */
function nodePortRules(dialect: Dialect, node: NodeFacts, config: ProxyConfig): NftRule[] {
  const { daddr, family } = dialect;
  const prefixes = nodePortPrefixes(family, node, config);
  if (prefixes?.length === 0) return [];
  const at = prefixes?.map((prefix) => (prefix.isHost ? AddressValue(prefix.addr) : PrefixValue(prefix)));
  const loopback = Prefix.parse(family === 4 ? '127.0.0.0/8' : '::1/128');
  return [
    NftRule([
      Match(Fib(['daddr'], 'type'), Word('local')),
      Match(daddr, loopback.isHost ? AddressValue(loopback.addr) : PrefixValue(loopback), '!='),
      ...(at === undefined ? [] : [Match(daddr, AnonymousSet(at))]),
      VerdictMap(Concat(L4PROTO, DPORT), SetReference(SETS.serviceNodePorts)),
    ]),
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
