import type { Addr, Port, Protocol } from '../../ip/ip.ts';
import type { Service, ServicePort } from '../../kube/objects.ts';
import {
  type Addressed,
  type BalancerFacts,
  dialledAddressesOf,
  type MachineAddresses,
  type NodeFacts,
} from '../../world/facts.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';

/** The Service that an address and port stand for. */
export interface Dialled {
  readonly service: Service;
  /** `namespace/name`. */
  readonly name: string;
  readonly port: ServicePort;
  readonly by: 'clusterIP' | 'nodePort' | 'loadBalancer' | 'externalIP';
}

const indexes = new WeakMap<Cluster, ClusterIndex>();

/** Made once and kept for as long as the cluster is: a matrix asks it for every cell. */
export function indexOf(cluster: Cluster): ClusterIndex {
  const known = indexes.get(cluster);
  if (known !== undefined) return known;
  const index = new ClusterIndex(cluster);
  indexes.set(cluster, index);
  return index;
}

/** What addresses and hosts stand for. */
export class ClusterIndex {
  readonly #byAddress = new Map<string, Dialled>();
  readonly #byNodePort = new Map<string, Dialled>();
  readonly #nodeAt: ReadonlyMap<string, NodeFacts>;
  readonly #balancerAt: ReadonlyMap<string, BalancerFacts>;
  readonly #nodeOf = new Map<string, string>();
  readonly #elasticOf = new Map<string, Addr[]>();

  constructor(cluster: Cluster) {
    for (const [name, service] of cluster.services) this.#addService(cluster, name, service);
    this.#nodeAt = byAddress(cluster.nodes.map(({ facts }) => facts));
    this.#balancerAt = byAddress(cluster.balancers);
    this.#addNodes(cluster);
    for (const { policies } of cluster.world.hosts.values()) {
      for (const policy of policies) {
        if (policy.kind !== 'elastic-addresses') continue;
        for (const { inside, elastic } of policy.pairs) {
          this.#elasticOf.set(inside.text, [...(this.#elasticOf.get(inside.text) ?? []), elastic]);
        }
      }
    }
  }

  dialled(to: Addr, port: Port, protocol: Protocol): Dialled | undefined {
    const byNodePort = this.#nodeAt.has(to.text) ? this.#byNodePort.get(`${port}/${protocol}`) : undefined;
    return byNodePort ?? this.#byAddress.get(`${to.text} ${port}/${protocol}`);
  }

  /** The node that has the address, elastic ones included. */
  nodeAt({ text }: Addr): NodeFacts | undefined {
    return this.#nodeAt.get(text);
  }

  /** The balancer that has the address, elastic ones included. */
  balancerAt({ text }: Addr): BalancerFacts | undefined {
    return this.#balancerAt.get(text);
  }

  /** The node a host is, or a pod runs on. */
  nodeOf(host: string): string | undefined {
    return this.#nodeOf.get(host);
  }

  /** The elastic addresses the gateway has for an address of the VPC. */
  elasticOf(inside: Addr): readonly Addr[] {
    return this.#elasticOf.get(inside.text) ?? [];
  }

  #addService(cluster: Cluster, name: string, service: Service): void {
    const { clusterIP, clusterIPs = [], externalIPs = [], ports = [] } = service.spec ?? {};
    const cloud = (cluster.cloudAddresses.get(name) ?? []).map(({ text }) => text);
    for (const port of ports) {
      const protocol = port.protocol ?? 'TCP';
      const add = (address: string, by: Dialled['by']) => {
        const key = `${address} ${port.port}/${protocol}`;
        if (!this.#byAddress.has(key)) this.#byAddress.set(key, { service, name, port, by });
      };
      for (const address of clusterIP ? [clusterIP, ...clusterIPs.slice(1)] : []) add(address, 'clusterIP');
      for (const address of cloud) add(address, 'loadBalancer');
      for (const address of externalIPs) add(address, 'externalIP');
      if (port.nodePort) {
        this.#byNodePort.set(`${port.nodePort}/${protocol}`, { service, name, port, by: 'nodePort' });
      }
    }
  }

  /** By its link, and not by the cluster's pods: some hosts stand for pods that no object tells of. */
  #addNodes({ world }: Cluster): void {
    const roleOf = (host: string) => world.hosts.get(host)?.role;
    for (const { name, role } of world.hosts.values()) if (role === 'node') this.#nodeOf.set(name, name);
    for (const { a, b } of world.links) {
      for (const [pod, node] of [
        [a.host, b.host],
        [b.host, a.host],
      ] as const) {
        if (roleOf(pod) === 'pod' && roleOf(node) === 'node') this.#nodeOf.set(pod, node);
      }
    }
  }
}

const byAddress = <T extends Addressed<MachineAddresses>>(all: readonly T[]): Map<string, T> =>
  new Map(all.flatMap((one) => dialledAddressesOf(one).map(({ text }) => [text, one] as const)));
