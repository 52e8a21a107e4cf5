import type { Family } from '../../ip/ip.ts';
import {
  AcceptPacket,
  AddrType,
  BridgeInput,
  Comment,
  Conntrack,
  DropPacket,
  IpProtocol,
  IptablesChain,
  type IptablesMatch,
  IptablesRule,
  IptablesRuleset,
  IptablesTable,
  type IptablesTarget,
  JumpTo,
  Mark,
  MasqueradeTarget,
  MatchSet,
  RejectWith,
  ReturnToCaller,
  SetMark,
  Source,
} from '../../netfilter/netfilter.ts';
import { detectorOf, type NodeFacts, type ProxyConfig } from '../config.ts';
import { KUBE } from '../iptables/chains.ts';
import { fromLocalPod, loopbackOf } from '../iptables/frame.ts';
import { SETS, type SetKey, setName } from './sets.ts';
import type { IpvsBehaviour } from './version.ts';

/** What the rules depend on besides the configuration: they do not grow with the Services, which are in the sets. */
export interface FrameFacts {
  /** kube-proxy writes no rule for an empty set. */
  readonly isEmpty: (set: SetKey) => boolean;
  readonly outFilter: readonly IptablesRule[];
}

/** The iptables rules of a family in IPVS mode, in kube-proxy's order (pkg/proxy/ipvs/proxier.go, writeIptablesRules). */
export function ipvsRuleset(
  family: Family,
  node: NodeFacts,
  config: ProxyConfig,
  behaviour: IpvsBehaviour,
  facts: FrameFacts,
): IptablesRuleset {
  const frame = new Frame(family, node, config, behaviour, facts);
  return IptablesRuleset(family, [frame.filter(), frame.nat()]);
}

const ADDRESS_AND_PORT = ['dst', 'dst'] as const;
const ADDRESS_PORT_AND_SOURCE = ['dst', 'dst', 'src'] as const;
const PORT = ['dst'] as const;

const hook = (name: string, rules: readonly IptablesRule[]): IptablesChain =>
  IptablesChain(name, rules, 'ACCEPT');
const jump = (chain: string, comment: string): IptablesRule =>
  IptablesRule([Comment(comment)], JumpTo(chain));

class Frame {
  readonly #family: Family;
  readonly #node: NodeFacts;
  readonly #config: ProxyConfig;
  readonly #behaviour: IpvsBehaviour;
  readonly #facts: FrameFacts;
  readonly #mark: number;

  constructor(
    family: Family,
    node: NodeFacts,
    config: ProxyConfig,
    behaviour: IpvsBehaviour,
    facts: FrameFacts,
  ) {
    this.#family = family;
    this.#node = node;
    this.#config = config;
    this.#behaviour = behaviour;
    this.#facts = facts;
    this.#mark = 2 ** config.masqueradeBit;
  }

  filter(): IptablesTable {
    const guards = this.#behaviour.guardsBoundAddresses;
    const holds = this.#behaviour.holdsNodeToSourceRanges;
    const firewall = jump(KUBE.proxyFirewall, 'kube-proxy firewall rules');
    const access = 'kubernetes ipvs access filter';
    return IptablesTable('filter', [
      hook('INPUT', [
        ...(guards ? [jump(KUBE.ipvsFilter, access)] : []),
        firewall,
        jump(KUBE.nodePort, 'kubernetes health check rules'),
      ]),
      hook('FORWARD', [firewall, jump(KUBE.forward, 'kubernetes forwarding rules')]),
      hook('OUTPUT', holds ? [jump(KUBE.ipvsOutFilter, access)] : []),
      IptablesChain(KUBE.forward, this.#forwardRules()),
      IptablesChain(KUBE.nodePort, [this.#always('healthCheckNodePort', PORT, AcceptPacket())]),
      IptablesChain(
        KUBE.proxyFirewall,
        this.#onEntries('loadBalancerFirewall', ADDRESS_AND_PORT, JumpTo(KUBE.sourceRangesFirewall)),
      ),
      IptablesChain(KUBE.sourceRangesFirewall, [
        ...this.#onEntries('loadBalancerSourceCIDR', ADDRESS_PORT_AND_SOURCE, ReturnToCaller()),
        ...this.#onEntries('loadBalancerSourceIP', ADDRESS_PORT_AND_SOURCE, ReturnToCaller()),
        IptablesRule([], DropPacket()),
      ]),
      ...(guards ? [IptablesChain(KUBE.ipvsFilter, this.#guardRules())] : []),
      ...(holds ? [IptablesChain(KUBE.ipvsOutFilter, this.#facts.outFilter)] : []),
    ]);
  }

  nat(): IptablesTable {
    const portals = jump(KUBE.services, 'kubernetes service portals');
    return IptablesTable('nat', [
      hook('PREROUTING', [portals]),
      hook('OUTPUT', [portals]),
      hook('POSTROUTING', [jump(KUBE.postrouting, 'kubernetes postrouting rules')]),
      IptablesChain(KUBE.services, this.#serviceRules()),
      IptablesChain(KUBE.postrouting, this.#postroutingRules()),
      IptablesChain(KUBE.nodePort, this.#nodePortRules()),
      IptablesChain(KUBE.loadBalancer, [
        // Local keeps the client's address.
        ...this.#onEntries('loadBalancerLocal', ADDRESS_AND_PORT, ReturnToCaller()),
        IptablesRule([], JumpTo(KUBE.markMasquerade)),
      ]),
      IptablesChain(KUBE.markMasquerade, [IptablesRule([], SetMark(this.#mark, this.#mark))]),
    ]);
  }

  #serviceRules(): IptablesRule[] {
    const accept = (set: SetKey) =>
      this.#facts.isEmpty(set) ? [] : [IptablesRule([this.#matchSet(set, ADDRESS_AND_PORT)], AcceptPacket())];
    return [
      IptablesRule([Source(loopbackOf(this.#family))], ReturnToCaller()),
      ...this.#onEntries('loadBalancer', ADDRESS_AND_PORT, JumpTo(KUBE.loadBalancer)),
      ...this.#clusterIPRules(),
      ...this.#onEntries('externalIP', ADDRESS_AND_PORT, JumpTo(KUBE.markMasquerade)),
      ...this.#externalIPRules('externalIP'),
      ...this.#externalIPRules('externalIPLocal'),
      IptablesRule([AddrType('dst', 'LOCAL')], JumpTo(KUBE.nodePort)),
      // Nobody else's rules that follow shall rewrite what is for a virtual server.
      ...accept('clusterIP'),
      ...accept('loadBalancer'),
    ];
  }

  #clusterIPRules(): IptablesRule[] {
    if (this.#facts.isEmpty('clusterIP')) return [];
    const mark = JumpTo(KUBE.markMasquerade);
    const comment = Comment(SETS.clusterIP.comment);
    const from = (fields: MatchSet['fields'], ...first: IptablesMatch[]) => [
      IptablesRule([...first, comment, this.#matchSet('clusterIP', fields)], mark),
    ];
    if (this.#config.masqueradeAll) return from(ADDRESS_AND_PORT);
    const detector = detectorOf(this.#family, this.#node, this.#config);
    if (detector !== undefined) return from(ADDRESS_AND_PORT, fromLocalPod(detector, true));
    // The node dials a clusterIP from that very address, as it is bound; no endpoint elsewhere could answer that.
    return from(['src', 'dst']);
  }

  #externalIPRules(set: 'externalIP' | 'externalIPLocal'): IptablesRule[] {
    if (this.#facts.isEmpty(set)) return [];
    const to = [Comment(SETS[set].comment), this.#matchSet(set, ADDRESS_AND_PORT)];
    return [
      IptablesRule([...to, BridgeInput(true), AddrType('src', 'LOCAL', true)], AcceptPacket()),
      IptablesRule([...to, AddrType('dst', 'LOCAL')], AcceptPacket()),
    ];
  }

  #nodePortRules(): IptablesRule[] {
    const mark = JumpTo(KUBE.markMasquerade);
    return (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) => {
      const fields = protocol === 'SCTP' ? ADDRESS_AND_PORT : PORT;
      const is = IpProtocol(protocol.toLowerCase());
      return [
        ...this.#onEntries(`nodePortLocal${protocol}`, fields, ReturnToCaller(), is),
        ...this.#onEntries(`nodePort${protocol}`, fields, mark, is),
      ];
    });
  }

  #postroutingRules(): IptablesRule[] {
    return [
      ...this.#onEntries('loopBack', ADDRESS_PORT_AND_SOURCE, MasqueradeTarget(false)),
      IptablesRule([Mark(this.#mark, this.#mark, true)], ReturnToCaller()),
      // A packet that is encapsulated comes by here again, and must not be masqueraded twice.
      IptablesRule([], SetMark(this.#mark, 0)),
      IptablesRule([Comment('kubernetes service traffic requiring SNAT')], MasqueradeTarget()),
    ];
  }

  #forwardRules(): IptablesRule[] {
    return [
      IptablesRule([Comment('kubernetes forwarding rules'), Mark(this.#mark, this.#mark)], AcceptPacket()),
      IptablesRule(
        [Comment('kubernetes forwarding conntrack rule'), Conntrack(['RELATED', 'ESTABLISHED'])],
        AcceptPacket(),
      ),
    ];
  }

  /** Whatever listens on 0.0.0.0 would answer at the bound addresses, too (kubernetes 72236). */
  #guardRules(): IptablesRule[] {
    const pass = (set: SetKey, fields: MatchSet['fields']) =>
      IptablesRule([this.#matchSet(set, fields)], ReturnToCaller());
    const refuse = RejectWith(this.#family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable');
    return [
      pass('loadBalancer', ADDRESS_AND_PORT),
      pass('clusterIP', ADDRESS_AND_PORT),
      pass('externalIP', ADDRESS_AND_PORT),
      pass('externalIPLocal', ADDRESS_AND_PORT),
      pass('healthCheckNodePort', PORT),
      IptablesRule([Conntrack(['NEW']), this.#matchSet('ipvsIPs', PORT)], refuse),
    ];
  }

  /** The rule about a set, if the set holds anything. */
  #onEntries(
    set: SetKey,
    fields: MatchSet['fields'],
    target: IptablesTarget,
    ...first: IptablesMatch[]
  ): IptablesRule[] {
    return this.#facts.isEmpty(set) ? [] : [this.#always(set, fields, target, ...first)];
  }

  #always(
    set: SetKey,
    fields: MatchSet['fields'],
    target: IptablesTarget,
    ...first: IptablesMatch[]
  ): IptablesRule {
    return IptablesRule([...first, Comment(SETS[set].comment), this.#matchSet(set, fields)], target);
  }

  #matchSet(set: SetKey, fields: MatchSet['fields']): MatchSet {
    return MatchSet(setName(set, this.#family), fields);
  }
}
