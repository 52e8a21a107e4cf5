import { type Family, Prefix } from '../../ip/ip.ts';
import {
  AcceptPacket,
  AddrType,
  Comment,
  Conntrack,
  Destination,
  DropPacket,
  InInterface,
  IptablesChain,
  type IptablesMatch,
  IptablesRule,
  IptablesTable,
  JumpTo,
  Mark,
  MasqueradeTarget,
  ReturnToCaller,
  SetMark,
  Source,
} from '../../netfilter/netfilter.ts';
import type { LocalDetector, NodeFacts, ProxyConfig } from '../config.ts';
import { nodePortPrefixes } from '../config.ts';
import { KUBE, MARTIAN_RULE } from './chains.ts';

/** The rules that Services add to chains they share, by table and chain. */
export type SharedChain =
  | 'nat KUBE-SERVICES'
  | 'nat KUBE-NODEPORTS'
  | 'filter KUBE-SERVICES'
  | 'filter KUBE-EXTERNAL-SERVICES'
  | 'filter KUBE-NODEPORTS'
  | 'filter KUBE-PROXY-FIREWALL';

export const SHARED_CHAINS: readonly SharedChain[] = [
  'nat KUBE-SERVICES',
  'nat KUBE-NODEPORTS',
  'filter KUBE-SERVICES',
  'filter KUBE-EXTERNAL-SERVICES',
  'filter KUBE-NODEPORTS',
  'filter KUBE-PROXY-FIREWALL',
];

export const loopbackOf = (family: Family): Prefix => Prefix.parse(family === 4 ? '127.0.0.0/8' : '::1/128');

/** `-s podCIDR`, `-i cali+` and the like; with `not`, whatever does not come from a pod of this node. */
export function fromLocalPod(detector: LocalDetector, not = false): IptablesMatch {
  if (detector.by === 'source') return Source(detector.prefix, not);
  return InInterface(detector.wildcard ? `${detector.name}+` : detector.name, not);
}

/** The tables without any Service: the kernel's chains with the jumps to ours, and our constant chains. */
export function frameTables(family: Family, node: NodeFacts, config: ProxyConfig): IptablesTable[] {
  const canary = IptablesChain(KUBE.canary, []);
  const localhost = family === 4 && config.localhostNodePorts;
  const firewall = localhost ? [IptablesChain(KUBE.firewall, [MARTIAN_RULE])] : [];
  return [
    IptablesTable('mangle', [canary]),
    IptablesTable('filter', [
      ...filterHooks(localhost),
      canary,
      IptablesChain(KUBE.services, []),
      IptablesChain(KUBE.externalServices, []),
      IptablesChain(KUBE.nodePorts, []),
      IptablesChain(KUBE.proxyFirewall, []),
      IptablesChain(KUBE.forward, forwardRules(config)),
      ...firewall,
    ]),
    IptablesTable('nat', [
      ...natHooks(),
      canary,
      IptablesChain(KUBE.services, nodePortJumps(family, node, config)),
      IptablesChain(KUBE.nodePorts, []),
      IptablesChain(KUBE.postrouting, postroutingRules(config)),
      IptablesChain(KUBE.markMasquerade, [
        IptablesRule([], SetMark(2 ** config.masqueradeBit, 2 ** config.masqueradeBit)),
      ]),
    ]),
  ];
}

const NEW = Conntrack(['NEW']);
const jump = (chain: string, comment: string, ...matches: readonly IptablesMatch[]): IptablesRule =>
  IptablesRule([...matches, Comment(comment)], JumpTo(chain));
const hook = (name: string, rules: readonly IptablesRule[]): IptablesChain =>
  IptablesChain(name, rules, 'ACCEPT');

function filterHooks(localhost: boolean): IptablesChain[] {
  const firewall = localhost ? [IptablesRule([], JumpTo(KUBE.firewall))] : [];
  const balancer = jump(KUBE.proxyFirewall, 'kubernetes load balancer firewall', NEW);
  const external = jump(KUBE.externalServices, 'kubernetes externally-visible service portals', NEW);
  const portals = jump(KUBE.services, 'kubernetes service portals', NEW);
  return [
    hook('INPUT', [
      balancer,
      jump(KUBE.nodePorts, 'kubernetes health check service ports'),
      external,
      ...firewall,
    ]),
    hook('FORWARD', [balancer, jump(KUBE.forward, 'kubernetes forwarding rules'), portals, external]),
    hook('OUTPUT', [balancer, portals, ...firewall]),
  ];
}

function natHooks(): IptablesChain[] {
  const portals = jump(KUBE.services, 'kubernetes service portals');
  return [
    hook('PREROUTING', [portals]),
    hook('OUTPUT', [portals]),
    hook('POSTROUTING', [jump(KUBE.postrouting, 'kubernetes postrouting rules')]),
  ];
}

/**
 * A packet outside the connection's window is not rewritten by conntrack; forwarded, its real source would earn the
 * connection a reset (kubernetes 74839).
 */
function forwardRules(config: ProxyConfig): IptablesRule[] {
  const mark = 2 ** config.masqueradeBit;
  const accept = (comment: string, match: IptablesMatch) =>
    IptablesRule([Comment(comment), match], AcceptPacket());
  return [
    ...(config.conntrackTCPBeLiberal ? [] : [IptablesRule([Conntrack(['INVALID'])], DropPacket())]),
    accept('kubernetes forwarding rules', Mark(mark, mark)),
    accept('kubernetes forwarding conntrack rule', Conntrack(['RELATED', 'ESTABLISHED'])),
  ];
}

function postroutingRules(config: ProxyConfig): IptablesRule[] {
  const mark = 2 ** config.masqueradeBit;
  return [
    IptablesRule([Mark(mark, mark, true)], ReturnToCaller()),
    // A packet that is encapsulated comes by here again, and must not be masqueraded twice.
    IptablesRule([], SetMark(mark, 0)),
    IptablesRule([Comment('kubernetes service traffic requiring SNAT')], MasqueradeTarget()),
  ];
}

/** The end of nat KUBE-SERVICES: what is for this node may be for a node port. */
export function nodePortJumps(family: Family, node: NodeFacts, config: ProxyConfig): IptablesRule[] {
  const comment = Comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain');
  const prefixes = nodePortPrefixes(family, node, config);
  const localhost = family === 4 && config.localhostNodePorts;
  if (prefixes === undefined) {
    const notLoopback = localhost ? [] : [Destination(loopbackOf(family), true)];
    return [IptablesRule([...notLoopback, comment, AddrType('dst', 'LOCAL')], JumpTo(KUBE.nodePorts))];
  }
  const addresses = (node.addresses ?? node.ips).filter(
    (addr) => prefixes.some((prefix) => prefix.contains(addr)) && (localhost || !addr.isLoopback),
  );
  return addresses.map((addr) =>
    IptablesRule([Destination(Prefix.host(addr)), comment], JumpTo(KUBE.nodePorts)),
  );
}
