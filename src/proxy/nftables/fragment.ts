import type { Addr, Endpoint } from '../../ip/ip.ts';
import {
  AddressValue,
  AnonymousVerdicts,
  Concat,
  Dnat,
  Drop,
  Fib,
  Goto,
  Jump,
  Lookup,
  Match,
  NftChain,
  type NftKey,
  NftRule,
  NftSet,
  type NftStatement,
  type NftVerdict,
  NumberValue,
  Numgen,
  Payload,
  SetReference,
  SetUpdate,
  VerdictMap,
  Word,
} from '../../netfilter/netfilter.ts';
import { detectorOf, type NodeFacts, type ProxyConfig } from '../config.ts';
import { hashOf } from '../names.ts';
import type { PlannedEndpoint, PortPlan, ServicePlan } from '../plan.ts';
import { type ElementGroup, oneElement, SlotGroup } from './element-group.ts';
import {
  CHAINS,
  DIALECTS,
  type Dialect,
  DPORT,
  fromLocalPod,
  L4PROTO,
  prefixOrAddress,
  SETS,
} from './frame.ts';

/** What one Service adds to the table of a family. Chains whose name says their content are shared between Services. */
export interface NftFragment {
  readonly chains: readonly NftChain[];
  readonly sets: readonly NftSet[];
  readonly groups: readonly ElementGroup[];
}

/** What all Services of a node and family are compiled under. */
export interface FragmentContext {
  readonly dialect: Dialect;
  /** Rules that send what comes from a pod of this node to a chain. */
  readonly fromLocalPod: readonly NftStatement[] | undefined;
  /** The node's own addresses. */
  readonly own: ReadonlySet<string>;
  /** Chains and sets by names that say their content: ten thousand Services share one object. */
  readonly chains: Map<string, NftChain>;
  readonly sets: Map<string, NftSet>;
}

export function fragmentContext(family: 4 | 6, node: NodeFacts, config: ProxyConfig): FragmentContext {
  const dialect = DIALECTS[family];
  const detector = detectorOf(family, node, config);
  const own = new Set((node.addresses ?? node.ips).map((addr) => addr.text));
  return {
    dialect,
    fromLocalPod: detector && [fromLocalPod(dialect, detector)],
    own,
    chains: new Map(),
    sets: new Map(),
  };
}

/** Compiles the ports of a Service that are of the context's family. */
export function compileFragment(context: FragmentContext, plan: ServicePlan): NftFragment {
  const builder = new FragmentBuilder(context);
  for (const port of plan.ports) if (port.family === context.dialect.family) builder.add(port);
  return builder.fragment();
}

type Key = readonly (AddressValue | Word | NumberValue)[];

/**
 * How a packet says which Service port it is for: by address, protocol and port, or at a node port without the address. The
 * maps of endpoints are one a protocol, and their keys leave it out.
 */
interface Target {
  readonly prefix: '' | 'nodeport-';
  readonly verdicts: string;
  readonly refusals: string;
}
const ADDRESS: Target = { prefix: '', verdicts: SETS.serviceIPs, refusals: SETS.noEndpointServices };
const NODE_PORT: Target = {
  prefix: 'nodeport-',
  verdicts: SETS.serviceNodePorts,
  refusals: SETS.noEndpointNodePorts,
};

/** Which of a port's lists of endpoints a map holds. */
type Reach = 'endpoints' | 'local-endpoints';

class FragmentBuilder {
  readonly #context: FragmentContext;
  readonly #chains = new Map<string, NftChain>();
  readonly #sets = new Map<string, NftSet>();
  /** By name: several ports may add the same. */
  readonly #groups = new Map<string, ElementGroup>();
  /** Chains of Services with session affinity are their own. */
  #shares = true;

  constructor(context: FragmentContext) {
    this.#context = context;
  }

  fragment(): NftFragment {
    return {
      chains: [...this.#chains.values()],
      sets: [...this.#sets.values()],
      groups: [...this.#groups.values()],
    };
  }

  add(port: PortPlan): void {
    this.#shares = port.affinitySeconds === undefined;
    this.#put(SETS.clusterIPs, AddressValue(port.clusterIP.addr));
    this.#clusterIP(port);
    for (const addr of port.externalIPs) this.#external(ADDRESS, port, addressKey(port, addr));
    for (const addr of port.loadBalancerIPs) this.#loadBalancer(port, addr);
    if (port.nodePort !== undefined) {
      const key = [Word(protocolWord(port)), NumberValue(port.nodePort)];
      this.#external(NODE_PORT, port, key);
    }
    for (const { endpoint, local } of new Set([...port.cluster, ...port.local])) {
      // A process of the node answers by way of the node whatever it sees, and what it sends itself is not all ours.
      if (!local || this.#context.own.has(endpoint.addr.text)) continue;
      this.#put(SETS.hairpin, Concat(AddressValue(endpoint.addr), AddressValue(endpoint.addr)));
    }
  }

  #clusterIP(port: PortPlan): void {
    const key = addressKey(port, port.clusterIP.addr);
    const chosen = port.internal === 'Local' ? port.local : port.cluster;
    if (!port.anyEndpoints) this.#put(SETS.noEndpointServices, Concat(...key), Goto(CHAINS.reject));
    else if (chosen.length === 0) this.#put(SETS.serviceIPs, Concat(...key), Drop());
    else {
      this.#put(SETS.serviceIPs, Concat(...key), Goto(this.#balance(ADDRESS, port, chosen)));
      if (port.affinitySeconds === undefined) this.#putEndpoints(ADDRESS, 'endpoints', port, key, chosen);
    }
  }

  #loadBalancer(port: PortPlan, addr: Addr): void {
    const key = addressKey(port, addr);
    for (const range of port.sourceRanges ?? []) {
      this.#put(SETS.sourceRanges, Concat(...key, prefixOrAddress(range)));
    }
    const open = port.sourceRanges === undefined;
    this.#external(ADDRESS, port, key, (chain) => (open ? chain : this.#onlyFromRanges(chain)));
  }

  /** An address outside clients use: every one but the clusterIP. */
  #external(
    target: Target,
    port: PortPlan,
    key: Key,
    guard: (chain: string) => string = (chain) => chain,
  ): void {
    if (!port.anyEndpoints) {
      this.#put(target.refusals, Concat(...key), Goto(CHAINS.reject));
      return;
    }
    const chain = port.external === 'Local' ? this.#local(target, port) : this.#masqueraded(target, port);
    this.#put(target.verdicts, Concat(...key), Goto(guard(chain)));
    if (port.affinitySeconds !== undefined) return;
    this.#putEndpoints(target, 'endpoints', port, key, port.cluster);
    if (port.external === 'Local') this.#putEndpoints(target, 'local-endpoints', port, key, port.local);
  }

  /** The chain that picks one of the endpoints; each has the same chance. */
  #balance(target: Target, port: PortPlan, endpoints: readonly PlannedEndpoint[]): string {
    if (port.affinitySeconds !== undefined) return this.#sticky(port, endpoints);
    const name = `${target.prefix}balance-${protocolWord(port)}_${endpoints.length}`;
    return this.#chain(name, () => [this.#pick(target, 'endpoints', port, endpoints.length)]);
  }

  #pick(target: Target, reach: Reach, port: PortPlan, count: number): NftRule {
    const { daddr, table } = this.#context.dialect;
    const dport = Payload(protocolWord(port), 'dport');
    const key = target.prefix === '' ? Concat(daddr, dport, Numgen(count)) : Concat(dport, Numgen(count));
    return NftRule([Dnat(Lookup(key, this.#endpointMap(target, reach, port)), { family: table })]);
  }

  /** The name of the map, which is there as long as a Service needs it. */
  #endpointMap(target: Target, reach: Reach, port: PortPlan): string {
    const { address } = this.#context.dialect;
    const transport = protocolWord(port);
    const name = `${target.prefix}${reach}-${transport}`;
    const key = [...(target.prefix === '' ? [address] : []), 'inet_service', 'integer'];
    const value = [address, 'inet_service'];
    if (this.#sets.has(name)) return name;
    const shared = this.#context.sets.get(name) ?? NftSet(name, key, { value, transport });
    this.#context.sets.set(name, shared);
    this.#sets.set(name, shared);
    return name;
  }

  /** Policy Cluster: the answer must come back through this node, whatever the endpoint's own routes are. */
  #masqueraded(target: Target, port: PortPlan): string {
    const balance = this.#balance(target, port, port.cluster);
    return this.#chain(`masquerade-${balance}`, () => [
      NftRule([Jump(CHAINS.masquerade)]),
      NftRule([Goto(balance)]),
    ]);
  }

  /**
   * Policy Local: outside clients get the endpoints of this node with their address kept, or silence; pods and the node
   * itself get every endpoint, as if they had used the clusterIP.
   */
  #local(target: Target, port: PortPlan): string {
    const sticky = port.affinitySeconds !== undefined;
    const [all, here] = [port.cluster.length, port.local.length];
    const name = `${target.prefix}local-${sticky ? hashOf(port.name, protocolWord(port)) : `${protocolWord(port)}_${all}_${here}`}`;
    return this.#chain(name, () => {
      const rules: NftRule[] = [];
      if (all > 0) {
        const balance = this.#balance(target, port, port.cluster);
        const detector = this.#context.fromLocalPod;
        if (detector !== undefined) rules.push(NftRule([...detector, Goto(balance)]));
        const fromHere = Match(Fib(['saddr'], 'type'), Word('local'));
        rules.push(NftRule([fromHere, Goto(this.#masqueraded(target, port))]));
      }
      if (here === 0) rules.push(NftRule([Drop()]));
      else if (sticky) rules.push(NftRule([Goto(this.#sticky(port, port.local))]));
      else rules.push(this.#pick(target, 'local-endpoints', port, here));
      return rules;
    });
  }

  #onlyFromRanges(chain: string): string {
    const { saddr, daddr } = this.#context.dialect;
    return this.#chain(`ranges-${chain}`, () => [
      NftRule([Match(Concat(daddr, L4PROTO, DPORT, saddr), SetReference(SETS.sourceRanges)), Goto(chain)]),
      NftRule([Drop()]),
    ]);
  }

  /**
   * Session affinity: a dynamic set of clients per endpoint, so that an endpoint which goes takes its clients' entries with
   * it in the same transaction. Only Services with affinity pay for chains of their own.
   */
  #sticky(port: PortPlan, endpoints: readonly PlannedEndpoint[]): string {
    const which = endpoints === port.cluster ? 'sticky' : 'sticky-local';
    const name = `${which}_${hashOf(port.name, protocolWord(port))}`;
    return this.#chain(name, () => {
      const { saddr } = this.#context.dialect;
      const chains = endpoints.map(({ endpoint }) => this.#stickyEndpoint(port, endpoint));
      const known = chains.map((one) => NftRule([Match(saddr, SetReference(one.clients)), Goto(one.chain)]));
      const draw = chains.map((one, at) => [NumberValue(at), Goto(one.chain)] as const);
      return [...known, NftRule([VerdictMap(Numgen(chains.length), AnonymousVerdicts(draw))])];
    });
  }

  #stickyEndpoint(port: PortPlan, endpoint: Endpoint): { readonly chain: string; readonly clients: string } {
    const { saddr, address } = this.#context.dialect;
    const hash = hashOf(port.name, protocolWord(port), endpoint.text);
    const clients = `affinity_${hash}`;
    const timeoutSeconds = port.affinitySeconds ?? 0;
    this.#sets.set(
      clients,
      NftSet(clients, [address], { flags: ['dynamic', 'timeout'], timeoutSeconds, size: 65535 }),
    );
    const chain = this.#chain(`endpoint_${hash}`, () => [
      NftRule([SetUpdate('update', SetReference(clients), saddr)]),
      NftRule([
        Match(L4PROTO, Word(protocolWord(port))),
        Dnat(AddressValue(endpoint.addr), { port: NumberValue(endpoint.port) }),
      ]),
    ]);
    return { chain, clients };
  }

  #chain(name: string, rules: () => NftRule[]): string {
    if (this.#chains.has(name)) return name;
    // Making the rules also makes what they lead to, so they are made even where the chain is known.
    const made = NftChain(name, rules());
    const chain = this.#shares ? (this.#context.chains.get(name) ?? made) : made;
    if (this.#shares) this.#context.chains.set(name, chain);
    this.#chains.set(name, chain);
    return name;
  }

  #putEndpoints(
    target: Target,
    reach: Reach,
    port: PortPlan,
    key: Key,
    endpoints: readonly PlannedEndpoint[],
  ): void {
    const map = this.#endpointMap(target, reach, port);
    if (endpoints.length === 0) return;
    const where = key.filter((part) => part.kind !== 'Word');
    this.#add(new SlotGroup(map, where, endpoints));
  }

  #put(set: string, key: NftKey, value?: NftVerdict | NftKey): void {
    this.#add(oneElement(set, key, value));
  }

  #add(group: ElementGroup): void {
    this.#groups.set(group.name, group);
  }
}

const protocolWord = ({ protocol }: PortPlan): 'tcp' | 'udp' | 'sctp' =>
  protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'sctp';

const addressKey = (port: PortPlan, addr: Addr): Key => [
  AddressValue(addr),
  Word(protocolWord(port)),
  NumberValue(port.clusterIP.port),
];
