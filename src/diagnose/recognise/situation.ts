import type { Addr } from '../../ip/ip.ts';
import { type EndpointSlice, nameOf, type Service, type ServicePort } from '../../kube/objects.ts';
import { isReady } from '../../kube/pod-state.ts';
import { selectsPod } from '../../kube/service-endpoints.ts';
import { IPVS_INTERFACE } from '../../proxy/proxy.ts';
import type { Direction, Hop, Outcome, WalkRequest } from '../../trace/trace.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { addressOf, type Host } from '../../world/world.ts';

/** The Service that an address and port stand for. */
export interface Dialled {
  readonly service: Service;
  /** `namespace/name`. */
  readonly name: string;
  readonly port: ServicePort;
  readonly by: 'clusterIP' | 'nodePort' | 'loadBalancer' | 'externalIP';
}

/**
 * One outcome of a walk in the cluster it happened in, with what recognisers ask about it. Nothing here decides a verdict:
 * the walk has done that.
 */
export class Situation {
  readonly cluster: Cluster;
  readonly request: WalkRequest;
  readonly outcome: Outcome;
  readonly dialled: Dialled | undefined;
  readonly client: Host | undefined;
  /** The node the client runs on, or is. */
  readonly clientNode: string | undefined;

  constructor(cluster: Cluster, request: WalkRequest, outcome: Outcome) {
    this.cluster = cluster;
    this.request = request;
    this.outcome = outcome;
    this.dialled = dialledBy(cluster, request);
    this.client = cluster.world.hosts.get(request.from);
    this.clientNode = this.nodeOf(request.from);
  }

  /** The node a host is, or a pod runs on. */
  nodeOf(host: string): string | undefined {
    if (this.cluster.world.hosts.get(host)?.role === 'node') return host;
    const known = this.cluster.pods.get(host)?.node;
    if (known !== undefined) return known;
    // A pod that no object stands for is on the node its link leads to.
    for (const { a, b } of this.cluster.world.links) {
      const [other] = a.host === host ? [b.host] : b.host === host ? [a.host] : [];
      if (other !== undefined && this.isNode(other)) return other;
    }
    return undefined;
  }

  /** The host of the step that decided, and whether the packet was on its way there or back. */
  get deciding():
    | { readonly host: string; readonly direction: Direction; readonly rule: string }
    | undefined {
    const { deciding, hops } = this.outcome;
    if (deciding === undefined) return undefined;
    const hop = hops.findLast((one) => one.steps.includes(deciding.step));
    const direction = hop?.direction ?? 'forward';
    return { host: deciding.host, direction, rule: deciding.step.rule ?? '' };
  }

  get forward(): readonly Hop[] {
    return this.outcome.hops.filter(({ direction }) => direction === 'forward');
  }

  get reply(): readonly Hop[] {
    return this.outcome.hops.filter(({ direction }) => direction === 'reply');
  }

  /** The last node that gave the request another destination, with the addresses it was rewritten from. */
  get rewriter(): string | undefined {
    return this.forward.findLast(
      ({ host, steps }) =>
        this.cluster.world.hosts.get(host)?.role === 'node' &&
        steps.some(({ changes }) => changes.some(({ field }) => field === 'destination')),
    )?.host;
  }

  get passedBalancer(): string | undefined {
    return this.forward.find(({ host }) => this.cluster.world.hosts.get(host)?.role === 'balancer')?.host;
  }

  /** The node the request came to by its destination: the one that has the address, or that the balancer chose. */
  get enteredNode(): string | undefined {
    return this.rewriter ?? this.forward.findLast(({ host }) => this.isNode(host))?.host;
  }

  isNode(host: string): boolean {
    return this.cluster.world.hosts.get(host)?.role === 'node';
  }

  /** Whether a node holds the address on the interface where IPVS binds what it captures. */
  isCaptured(addr: Addr, node = this.clientNode): boolean {
    const host = node === undefined ? undefined : this.cluster.world.hosts.get(node);
    const bound = host?.interfaces.find(({ name }) => name === IPVS_INTERFACE);
    return bound?.addresses.some((one) => one.addr.equals(addr)) ?? false;
  }

  /** The node whose elastic address this is. */
  elasticOwner(addr: Addr): string | undefined {
    return this.cluster.nodes.find(({ facts }) => facts.elastic?.equals(addr))?.facts.name;
  }

  /** The LoadBalancer Services that have the address. */
  servicesAt(addr: Addr): readonly (readonly [string, Service])[] {
    return [...this.cluster.services].filter(([name]) =>
      (this.cluster.cloudAddresses.get(name) ?? []).some((one) => one.equals(addr)),
    );
  }

  /** The nodes that run a ready endpoint of the dialled port. */
  get readyNodes(): ReadonlySet<string> {
    return new Set(readyEndpoints(this.cluster, this.dialled).flatMap(({ nodeName }) => nodeName ?? []));
  }

  get hasReadyEndpoints(): boolean {
    return readyEndpoints(this.cluster, this.dialled).length > 0;
  }

  /** What the dialled Service's selector finds. */
  get selected(): { readonly pods: readonly string[]; readonly ready: number } {
    const { dialled } = this;
    if (dialled === undefined) return { pods: [], ready: 0 };
    const pods = [...this.cluster.pods].filter(([, { pod }]) => selectsPod(dialled.service, pod));
    return { pods: pods.map(([name]) => name), ready: pods.filter(([, { pod }]) => isReady(pod)).length };
  }

  /** Whether the source the pod saw is one the client has. */
  get keepsSource(): boolean {
    const { sourceSeen } = this.outcome;
    if (sourceSeen === undefined || this.client === undefined) return true;
    const own = this.client.interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr));
    return [...own, ...this.elasticOf(this.client)].some((addr) => addr.equals(sourceSeen));
  }

  /** The elastic addresses of a host, which the gateway has for it. */
  elasticOf(host: Host): readonly Addr[] {
    const inside = addressOf(host);
    return [...this.cluster.world.hosts.values()].flatMap(({ policies }) =>
      policies.flatMap((policy) =>
        policy.kind === 'elastic-addresses'
          ? policy.pairs.filter((pair) => pair.inside.equals(inside)).map(({ elastic }) => elastic)
          : [],
      ),
    );
  }
}

function readyEndpoints(cluster: Cluster, dialled: Dialled | undefined) {
  if (dialled === undefined) return [];
  const { port, name } = dialled;
  const slices: readonly EndpointSlice[] = cluster.slices.get(name) ?? [];
  return slices
    .filter(({ ports }) =>
      (ports ?? []).some(
        (one) =>
          (one.name ?? '') === (port.name ?? '') && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
      ),
    )
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false);
}

function dialledBy(cluster: Cluster, { to, port, protocol }: WalkRequest): Dialled | undefined {
  const isNodeAddress = cluster.nodes.some(
    ({ facts }) => facts.address.equals(to) || facts.elastic?.equals(to) === true,
  );
  for (const [name, service] of cluster.services) {
    for (const one of service.spec?.ports ?? []) {
      if ((one.protocol ?? 'TCP') !== protocol) continue;
      const by = wayTo(cluster, { name, service, to, isNodeAddress, number: port, port: one });
      if (by !== undefined) return { service, name, port: one, by };
    }
  }
  return undefined;
}

function wayTo(
  cluster: Cluster,
  at: {
    readonly name: string;
    readonly service: Service;
    readonly to: Addr;
    readonly isNodeAddress: boolean;
    readonly number: number;
    readonly port: ServicePort;
  },
): Dialled['by'] | undefined {
  const { name, service, to, isNodeAddress, number, port } = at;
  if (isNodeAddress && port.nodePort === number) return 'nodePort';
  if (port.port !== number) return undefined;
  if (service.spec?.clusterIP === to.text) return 'clusterIP';
  if ((cluster.cloudAddresses.get(name) ?? []).some((addr) => addr.equals(to))) return 'loadBalancer';
  return service.spec?.externalIPs?.includes(to.text) ? 'externalIP' : undefined;
}

/** `n1, n2 and 3 more`. */
export function namesText(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return 'none';
  return all.length <= 4 ? all.join(', ') : `${all.slice(0, 3).join(', ')} and ${all.length - 3} more`;
}

export const serviceText = ({ name, service }: Dialled): string => `svc/${name || nameOf(service)}`;
