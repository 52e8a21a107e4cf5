import { type Addr, Endpoint, type Family, type Port, Prefix } from '../../ip/ip.ts';
import {
  BalancedTo,
  DropPacket,
  type IpSetEntry,
  type IpSetPart,
  IptablesRule,
  RealServer,
  Source,
  VirtualServer,
} from '../../netfilter/netfilter.ts';
import { type NodeFacts, nodePortPrefixes, type ProxyConfig } from '../config.ts';
import type { PlannedEndpoint, PortPlan, ServicePlan } from '../plan.ts';
import type { SetKey } from './sets.ts';
import { behaviourOf, type IpvsBehaviour, type IpvsOptions } from './version.ts';

/** What one Service adds in a family. */
export interface IpvsFragment {
  readonly entries: readonly { readonly set: SetKey; readonly entry: IpSetEntry }[];
  readonly servers: readonly VirtualServer[];
  /** For kube-ipvs0. */
  readonly bound: readonly Addr[];
  /** For KUBE-IPVS-OUT-FILTER. */
  readonly outFilter: readonly IptablesRule[];
}

export interface IpvsContext {
  readonly family: Family;
  readonly behaviour: IpvsBehaviour;
  readonly scheduler: string;
  readonly node: NodeFacts;
  /** Where node ports are virtual servers: each address by itself, as IPVS knows no port of all addresses. */
  readonly nodePortAddresses: readonly Addr[];
  /** Addresses the node has anyway, which are never bound again. */
  readonly taken: ReadonlySet<string>;
}

export function ipvsContext(
  family: Family,
  node: NodeFacts,
  config: ProxyConfig,
  options: IpvsOptions,
): IpvsContext {
  const addresses = (node.addresses ?? node.ips).filter((addr) => addr.family === family);
  const prefixes = nodePortPrefixes(family, node, config);
  // kube-proxy has no virtual servers on loopback, nor on IPv6's link-local addresses.
  const usable = addresses.filter((addr) => !addr.isLoopback && !(family === 6 && addr.isLinkLocal));
  return {
    family,
    behaviour: behaviourOf(options),
    scheduler: options.scheduler ?? 'rr',
    node,
    nodePortAddresses:
      prefixes === undefined
        ? usable
        : usable.filter((addr) => prefixes.some((prefix) => prefix.contains(addr))),
    taken: new Set(addresses.map((addr) => addr.text)),
  };
}

/** Compiles the ports of a Service that are of the context's family. */
export function compileIpvsFragment(context: IpvsContext, plan: ServicePlan): IpvsFragment {
  const ports = plan.ports.filter((port) => port.family === context.family);
  const compilers = ports.map((port) => new PortCompiler(context, port).compile());
  const check = plan.healthCheck;
  const isChecked = check !== undefined && ports.length > 0;
  return {
    entries: [
      ...compilers.flatMap((one) => one.entries),
      ...(isChecked ? [{ set: 'healthCheckNodePort' as const, entry: [portPart(check.port)] }] : []),
    ],
    servers: compilers.flatMap((one) => one.servers),
    bound: compilers.flatMap((one) => one.bound),
    outFilter: compilers.flatMap((one) => one.outFilter),
  };
}

const addressPart = (addr: Addr): IpSetPart => ({ kind: 'address', addr });
const portPart = (port: Port): IpSetPart => ({ kind: 'port', port });

class PortCompiler {
  readonly entries: { readonly set: SetKey; readonly entry: IpSetEntry }[] = [];
  readonly servers: VirtualServer[] = [];
  readonly bound: Addr[] = [];
  readonly outFilter: IptablesRule[] = [];
  readonly #context: IpvsContext;
  readonly #port: PortPlan;

  constructor(context: IpvsContext, port: PortPlan) {
    this.#context = context;
    this.#port = port;
  }

  compile(): this {
    const { clusterIP, externalIPs, loadBalancerIPs, nodePort } = this.#port;
    this.#hairpins();
    this.#add('clusterIP', clusterIP.addr);
    this.#serve(clusterIP, this.#endpointsUnder('internal'));
    this.bound.push(clusterIP.addr);
    for (const addr of externalIPs) this.#externalIP(addr);
    for (const addr of loadBalancerIPs) this.#loadBalancerIP(addr);
    if (nodePort !== undefined) this.#nodePort(nodePort);
    return this;
  }

  /** An endpoint that reached itself would answer itself directly, past IPVS. */
  #hairpins(): void {
    const all = new Map([...this.#port.cluster, ...this.#port.local].map((one) => [one.endpoint.text, one]));
    for (const { endpoint, local } of all.values()) {
      if (local) this.#add('loopBack', endpoint.addr, endpoint.port, addressPart(endpoint.addr));
    }
  }

  #externalIP(addr: Addr): void {
    this.#add(this.#port.external === 'Local' ? 'externalIPLocal' : 'externalIP', addr);
    this.#capture(addr);
  }

  #loadBalancerIP(addr: Addr): void {
    this.#add('loadBalancer', addr);
    if (this.#port.external === 'Local') this.#add('loadBalancerLocal', addr);
    if (this.#port.sourceRanges !== undefined) this.#guard(addr, this.#port.sourceRanges);
    this.#capture(addr);
  }

  #guard(addr: Addr, ranges: readonly Prefix[]): void {
    const { node, behaviour } = this.#context;
    const { clusterIP, protocol } = this.#port;
    this.#add('loadBalancerFirewall', addr);
    const own = Prefix.host(addr);
    // The plan lists the balancer's address among the ranges where the node may use it; here it has a set of its own.
    for (const prefix of ranges) {
      if (!prefix.equals(own))
        this.#add('loadBalancerSourceCIDR', addr, clusterIP.port, { kind: 'net', prefix });
    }
    const isNodeAllowed = node.ips.some((ip) => ranges.some((range) => range.contains(ip)));
    if (isNodeAllowed) this.#add('loadBalancerSourceIP', addr, clusterIP.port, addressPart(addr));
    else if (behaviour.holdsNodeToSourceRanges) {
      const balanced = BalancedTo(protocol, new Endpoint(addr, clusterIP.port));
      this.outFilter.push(IptablesRule([Source(own), balanced], DropPacket()));
    }
  }

  /** The address becomes one of the node's, so that what is for it reaches IPVS at the input hook. */
  #capture(addr: Addr): void {
    this.#serve(new Endpoint(addr, this.#port.clusterIP.port), this.#endpointsUnder('external'));
    if (!this.#context.taken.has(addr.text)) this.bound.push(addr);
  }

  #nodePort(port: Port): void {
    const { protocol, external } = this.#port;
    const { nodePortAddresses } = this.#context;
    if (nodePortAddresses.length === 0) return;
    const sets: readonly SetKey[] =
      external === 'Local' ? [`nodePort${protocol}`, `nodePortLocal${protocol}`] : [`nodePort${protocol}`];
    for (const set of sets) {
      if (protocol !== 'SCTP') this.entries.push({ set, entry: [portPart(port)] });
      else for (const addr of nodePortAddresses) this.#add(set, addr, port);
    }
    for (const addr of nodePortAddresses) {
      this.#serve(new Endpoint(addr, port), this.#endpointsUnder('external'));
    }
  }

  #endpointsUnder(policy: 'internal' | 'external'): readonly PlannedEndpoint[] {
    const { cluster, local } = this.#port;
    if (this.#port[policy] === 'Cluster') return cluster;
    return local.length > 0 || !this.#context.behaviour.fallsBackToAll ? local : cluster;
  }

  #serve(at: Endpoint, endpoints: readonly PlannedEndpoint[]): void {
    const { protocol, affinitySeconds } = this.#port;
    const destinations = endpoints.map(({ endpoint }) => RealServer(endpoint));
    const { scheduler } = this.#context;
    const rest = affinitySeconds === undefined ? {} : { persistentSeconds: affinitySeconds };
    this.servers.push(VirtualServer(protocol, at, destinations, { scheduler, ...rest }));
  }

  /** An entry that begins with an address and a port of this Service's protocol. */
  #add(set: SetKey, addr: Addr, port: Port = this.#port.clusterIP.port, ...more: IpSetPart[]): void {
    const { protocol } = this.#port;
    this.entries.push({ set, entry: [addressPart(addr), { kind: 'port', protocol, port }, ...more] });
  }
}
