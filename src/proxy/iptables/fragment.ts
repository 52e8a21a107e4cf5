import { type Addr, Endpoint, type Family, type Port, Prefix } from '../../ip/ip.ts';
import {
  AcceptPacket,
  AddrType,
  Comment,
  Destination,
  DnatTo,
  DropPacket,
  IpProtocol,
  IptablesChain,
  type IptablesMatch,
  IptablesRule,
  type IptablesTarget,
  JumpTo,
  onePort,
  Recent,
  RejectWith,
  Source,
  Statistic,
  TransportPorts,
} from '../../netfilter/netfilter.ts';
import { detectorOf, type LocalDetector, type NodeFacts, type ProxyConfig } from '../config.ts';
import type { PlannedEndpoint, PortPlan, ServicePlan } from '../plan.ts';
import { endpointChain, KUBE, serviceChain } from './chains.ts';
import { fromLocalPod, type SharedChain } from './frame.ts';

/** What one Service adds to the tables of a family: chains of its own in nat, and rules in chains all share. */
export interface IptablesFragment {
  readonly chains: readonly IptablesChain[];
  readonly shared: ReadonlyMap<SharedChain, readonly IptablesRule[]>;
  /** The addresses and ports it answers at, as an Event names them: `TCP 203.0.113.9:80`, `UDP node port 30053`. */
  readonly entrances: readonly string[];
}

export interface IptablesContext {
  readonly family: Family;
  readonly detector: LocalDetector | undefined;
  readonly masqueradeAll: boolean;
  /** Whether rules for single endpoints say whose they are. */
  readonly commentsEndpoints: boolean;
}

/** What was compiled of a plan, by context: many nodes share the plan of a Service that runs on none of them. */
const compiled = new WeakMap<ServicePlan, Map<string, IptablesFragment>>();

export const iptablesContext = (
  family: Family,
  node: NodeFacts,
  config: ProxyConfig,
  commentsEndpoints = true,
): IptablesContext => ({
  family,
  detector: detectorOf(family, node, config),
  masqueradeAll: config.masqueradeAll,
  commentsEndpoints,
});

/** Compiles the ports of a Service that are of the context's family; the same plan is compiled once a context. */
export function compileIptablesFragment(context: IptablesContext, plan: ServicePlan): IptablesFragment {
  const known = compiled.get(plan) ?? new Map<string, IptablesFragment>();
  compiled.set(plan, known);
  const key = JSON.stringify(context);
  const fragment = known.get(key) ?? compileFragment(context, plan);
  known.set(key, fragment);
  return fragment;
}

function compileFragment(context: IptablesContext, plan: ServicePlan): IptablesFragment {
  const chains: IptablesChain[] = [];
  const shared = new Map<SharedChain, IptablesRule[]>();
  const share = (chain: SharedChain, rule: IptablesRule) => {
    const rules = shared.get(chain);
    if (rules === undefined) shared.set(chain, [rule]);
    else rules.push(rule);
  };
  const ports = plan.ports.filter((port) => port.family === context.family);
  for (const port of ports) {
    const compiler = new PortCompiler(context, port, share);
    compiler.entrances();
    chains.push(...compiler.chains());
  }
  const [first] = ports;
  if (plan.healthCheck !== undefined && first !== undefined) {
    share('filter KUBE-NODEPORTS', healthCheckRule(plan.name, plan.healthCheck.port));
  }
  return { chains, shared, entrances: ports.flatMap(entrancesOf) };
}

function entrancesOf({ protocol, clusterIP, externalIPs, loadBalancerIPs, nodePort }: PortPlan): string[] {
  const addresses = [clusterIP.addr, ...externalIPs, ...loadBalancerIPs];
  return [
    ...addresses.map((addr) => `${protocol} ${new Endpoint(addr, clusterIP.port)}`),
    ...(nodePort === undefined ? [] : [`${protocol} node port ${nodePort}`]),
  ];
}

const healthCheckRule = (service: string, port: Port): IptablesRule =>
  IptablesRule(
    [
      IpProtocol('tcp'),
      Comment(`${service} health check node port`),
      TransportPorts('tcp', { destination: onePort(port) }),
    ],
    AcceptPacket(),
  );

/** The rules of one port, in kube-proxy's order. */
class PortCompiler {
  readonly #context: IptablesContext;
  readonly #port: PortPlan;
  readonly #share: (chain: SharedChain, rule: IptablesRule) => void;

  constructor(
    context: IptablesContext,
    port: PortPlan,
    share: (chain: SharedChain, rule: IptablesRule) => void,
  ) {
    this.#context = context;
    this.#port = port;
    this.#share = share;
  }

  /** The rules in the shared chains that lead to this port, or refuse what is for it. */
  entrances(): void {
    const { clusterIP, externalIPs, loadBalancerIPs, nodePort, anyEndpoints, name } = this.#port;
    const internal = this.#internalEndpoints.length > 0;
    if (internal) this.#enter(clusterIP.addr, 'cluster IP', this.#internalChain);
    else this.#share('filter KUBE-SERVICES', this.#refuse([Destination(Prefix.host(clusterIP.addr))]));
    for (const addr of externalIPs) this.#enter(addr, 'external IP', this.#chain('EXT'));
    const guarded = this.#hasSourceRanges;
    for (const addr of loadBalancerIPs) {
      this.#enter(addr, 'loadbalancer IP', this.#chain(guarded ? 'FW' : 'EXT'));
      if (!guarded || !anyEndpoints) continue;
      const comment = `${name} traffic not accepted by ${this.#chain('FW')}`;
      const to = this.#to([Destination(Prefix.host(addr))], comment);
      this.#share('filter KUBE-PROXY-FIREWALL', IptablesRule(to, DropPacket()));
    }
    if (nodePort !== undefined && anyEndpoints) {
      this.#share(
        'nat KUBE-NODEPORTS',
        IptablesRule(this.#to([], name, nodePort), JumpTo(this.#chain('EXT'))),
      );
    }
    if (this.#externalEndpoints.length === 0) this.#refuseOutside();
  }

  /** The chains of this port. */
  chains(): IptablesChain[] {
    const { cluster, local, anyEndpoints } = this.#port;
    const chains: IptablesChain[] = [];
    if (this.#isExternal && anyEndpoints)
      chains.push(IptablesChain(this.#chain('EXT'), this.#externalRules()));
    if (this.#hasSourceRanges && anyEndpoints) {
      chains.push(IptablesChain(this.#chain('FW'), this.#rangeRules()));
    }
    if (cluster.length > 0)
      chains.push(IptablesChain(this.#chain('SVC'), this.#balanceRules('SVC', cluster)));
    if (local.length > 0) chains.push(IptablesChain(this.#chain('SVL'), this.#balanceRules('SVL', local)));
    const all = new Map([...cluster, ...local].map((one) => [one.endpoint.text, one]));
    for (const one of all.values()) chains.push(this.#endpoint(one));
    return chains;
  }

  get #isExternal(): boolean {
    const { nodePort, externalIPs, loadBalancerIPs } = this.#port;
    return nodePort !== undefined || externalIPs.length + loadBalancerIPs.length > 0;
  }

  get #hasSourceRanges(): boolean {
    return this.#port.sourceRanges !== undefined && this.#port.loadBalancerIPs.length > 0;
  }

  get #internalEndpoints(): readonly PlannedEndpoint[] {
    return this.#port.internal === 'Local' ? this.#port.local : this.#port.cluster;
  }

  get #externalEndpoints(): readonly PlannedEndpoint[] {
    return this.#port.external === 'Local' ? this.#port.local : this.#port.cluster;
  }

  get #internalChain(): string {
    return this.#chain(this.#port.internal === 'Local' ? 'SVL' : 'SVC');
  }

  #chain(kind: 'SVC' | 'SVL' | 'EXT' | 'FW'): string {
    return serviceChain(kind, this.#port);
  }

  #module(): 'tcp' | 'udp' | 'sctp' {
    const { protocol } = this.#port;
    return protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'sctp';
  }

  /** The matches of a packet to a port of this Service. */
  #to(
    where: readonly IptablesMatch[],
    comment: string,
    port: Port = this.#port.clusterIP.port,
    more: readonly IptablesMatch[] = [],
  ): IptablesMatch[] {
    const module = this.#module();
    const ports = TransportPorts(module, { destination: onePort(port) });
    return [...where, IpProtocol(module), Comment(comment), ...more, ports];
  }

  #enter(addr: Addr, what: string, chain: string): void {
    if (!this.#port.anyEndpoints) return;
    const to = this.#to([Destination(Prefix.host(addr))], `${this.#port.name} ${what}`);
    this.#share('nat KUBE-SERVICES', IptablesRule(to, JumpTo(chain)));
  }

  /** Without any endpoint clients are refused; with one elsewhere, policy Local is silent. */
  #refuse(where: readonly IptablesMatch[], port?: Port, more: readonly IptablesMatch[] = []): IptablesRule {
    const { anyEndpoints, name } = this.#port;
    const comment = anyEndpoints ? `${name} has no local endpoints` : `${name} has no endpoints`;
    const icmp = this.#context.family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
    const target: IptablesTarget = anyEndpoints ? DropPacket() : RejectWith(icmp);
    return IptablesRule(this.#to(where, comment, port, more), target);
  }

  #refuseOutside(): void {
    const { externalIPs, loadBalancerIPs, nodePort } = this.#port;
    for (const addr of [...externalIPs, ...loadBalancerIPs]) {
      this.#share('filter KUBE-EXTERNAL-SERVICES', this.#refuse([Destination(Prefix.host(addr))]));
    }
    if (nodePort === undefined) return;
    const rule = this.#refuse([], nodePort, [AddrType('dst', 'LOCAL')]);
    this.#share('filter KUBE-EXTERNAL-SERVICES', rule);
  }

  #externalRules(): IptablesRule[] {
    const { name, external, cluster } = this.#port;
    const comment = (what: string) => Comment(`${what} ${name} external destinations`);
    const mark = JumpTo(KUBE.markMasquerade);
    const all = JumpTo(this.#chain('SVC'));
    if (external === 'Cluster') {
      return [IptablesRule([comment('masquerade traffic for')], mark), IptablesRule([], all)];
    }
    const rules: IptablesRule[] = [];
    const { detector } = this.#context;
    if (cluster.length > 0) {
      const fromHere = AddrType('src', 'LOCAL');
      if (detector !== undefined) {
        rules.push(IptablesRule([fromLocalPod(detector), comment('pod traffic for')], all));
      }
      rules.push(
        IptablesRule([comment('masquerade LOCAL traffic for'), fromHere], mark),
        IptablesRule([comment('route LOCAL traffic for'), fromHere], all),
      );
    }
    if (this.#externalEndpoints.length > 0) rules.push(IptablesRule([], JumpTo(this.#chain('SVL'))));
    return rules;
  }

  /** Whoever is not let on falls out of the chain without a rewritten destination, and KUBE-PROXY-FIREWALL drops him. */
  #rangeRules(): IptablesRule[] {
    const { name, sourceRanges = [] } = this.#port;
    return [
      ...sourceRanges.map((range) =>
        IptablesRule([Source(range), Comment(`${name} loadbalancer IP`)], JumpTo(this.#chain('EXT'))),
      ),
      IptablesRule([Comment(`other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL`)]),
    ];
  }

  #balanceRules(kind: 'SVC' | 'SVL', endpoints: readonly PlannedEndpoint[]): IptablesRule[] {
    const { name, affinitySeconds } = this.#port;
    const rules = kind === this.#internalKind ? this.#masqueradeRules() : [];
    const comment = (one: PlannedEndpoint) => this.#aside(`${name} -> ${one.endpoint.text}`);
    if (affinitySeconds !== undefined) {
      for (const one of endpoints) {
        const chain = endpointChain(this.#port, one);
        const recent = Recent('rcheck', chain, { seconds: affinitySeconds, reap: true });
        rules.push(IptablesRule([...comment(one), recent], JumpTo(chain)));
      }
    }
    for (const [at, one] of endpoints.entries()) {
      const left = endpoints.length - at;
      const chance = left > 1 ? [Statistic(1 / left)] : [];
      rules.push(IptablesRule([...comment(one), ...chance], JumpTo(endpointChain(this.#port, one))));
    }
    return rules;
  }

  #aside(text: string): readonly IptablesMatch[] {
    return this.#context.commentsEndpoints ? [Comment(text)] : [];
  }

  get #internalKind(): 'SVC' | 'SVL' {
    return this.#port.internal === 'Local' ? 'SVL' : 'SVC';
  }

  /** What comes to the clusterIP from outside the pods must be answered through this node. */
  #masqueradeRules(): IptablesRule[] {
    const { clusterIP, name } = this.#port;
    const { masqueradeAll, detector } = this.#context;
    if (!masqueradeAll && detector === undefined) return [];
    const outside = masqueradeAll || detector === undefined ? [] : [fromLocalPod(detector, true)];
    const sources = outside.filter((match) => match.kind === 'Source');
    const interfaces = outside.filter((match) => match.kind !== 'Source');
    const where = [...sources, Destination(Prefix.host(clusterIP.addr)), ...interfaces];
    return [IptablesRule(this.#to(where, `${name} cluster IP`), JumpTo(KUBE.markMasquerade))];
  }

  #endpoint(one: PlannedEndpoint): IptablesChain {
    const { name, affinitySeconds } = this.#port;
    const chain = endpointChain(this.#port, one);
    const module = this.#module();
    const remember = affinitySeconds === undefined ? [] : [Recent('set', chain)];
    return IptablesChain(chain, [
      // An endpoint that reached itself through a Service would answer itself directly and drop the answer.
      IptablesRule(
        [Source(Prefix.host(one.endpoint.addr)), ...this.#aside(name)],
        JumpTo(KUBE.markMasquerade),
      ),
      IptablesRule(
        [IpProtocol(module), ...this.#aside(name), ...remember, TransportPorts(module)],
        DnatTo(one.endpoint),
      ),
    ]);
  }
}
