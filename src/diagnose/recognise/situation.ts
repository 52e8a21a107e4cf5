import type { Addr } from '../../ip/ip.ts';
import { type EndpointSlice, nameOf, type Service } from '../../kube/objects.ts';
import { isReady } from '../../kube/pod-state.ts';
import { selectsPod } from '../../kube/service-endpoints.ts';
import { IPVS_INTERFACE } from '../../proxy/proxy.ts';
import type { Direction, Hop, Outcome, WalkRequest } from '../../trace/trace.ts';
import type { NodeFacts } from '../../world/facts.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { addressOf, type Host } from '../../world/world.ts';
import { type Balanced, balancedBy } from './balancer.ts';
import { type ClusterIndex, type Dialled, indexOf } from './cluster-index.ts';

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
  readonly #index: ClusterIndex;

  constructor(cluster: Cluster, request: WalkRequest, outcome: Outcome) {
    this.cluster = cluster;
    this.request = request;
    this.outcome = outcome;
    this.#index = indexOf(cluster);
    this.dialled = this.#index.dialled(request.to, request.port, request.protocol);
    this.client = cluster.world.hosts.get(request.from);
    this.clientNode = this.nodeOf(request.from);
  }

  /** The node a host is, or a pod runs on. */
  nodeOf(host: string): string | undefined {
    return this.#index.nodeOf(host);
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

  /** The node that has the dialled address. */
  get dialledNode(): NodeFacts | undefined {
    return this.#index.nodeAt(this.request.to);
  }

  /** The balancer of the dialled address. */
  get balanced(): Balanced | undefined {
    return balancedBy(this.#index.balancerAt(this.request.to), this.request);
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

  get readyCount(): number {
    return readyEndpoints(this.cluster, this.dialled).length;
  }

  get hasReadyEndpoints(): boolean {
    return this.readyCount > 0;
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
    return [...own, ...this.#index.elasticOf(addressOf(this.client))].some((addr) => addr.equals(sourceSeen));
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

/** `n1, n2 and 3 more`. */
export function namesText(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return 'none';
  return all.length <= 4 ? all.join(', ') : `${all.slice(0, 3).join(', ')} and ${all.length - 3} more`;
}

export const serviceText = ({ name, service }: Dialled): string => `svc/${name || nameOf(service)}`;
