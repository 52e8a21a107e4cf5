import type { Addr, Prefix } from '../ip/ip.ts';
import { withPods } from '../world/attachment.ts';
import type { NodeFacts, PodFacts } from '../world/facts.ts';
import type { Cluster, KnownPod } from '../world/from-objects/from-objects.ts';
import { hostsOf } from '../world/world.ts';

/** No Kubernetes namespace begins with a dash, so no pod of the cluster has it. */
const NAMESPACE = '-client';

/** A cluster with a pod on each node that does nothing but ask, for the class of clients that no pod of the cluster is of. */
export interface StandIns {
  readonly cluster: Cluster;
  /** Host names by node; a node whose range is full has none. */
  readonly byNode: ReadonlyMap<string, string>;
}

export function withStandIns(cluster: Cluster): StandIns {
  const taken = new Set(
    hostsOf(cluster.world, 'pod').flatMap(({ interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr.text)),
    ),
  );
  const pods = cluster.nodes.flatMap(({ facts }): (readonly [NodeFacts, PodFacts])[] => {
    const address = freeAddress(facts.podCIDR ?? cluster.profile.podCIDR, taken);
    if (address === undefined) return [];
    taken.add(address.text);
    return [[facts, { namespace: NAMESPACE, name: facts.name, node: facts.name, address }]];
  });
  return {
    cluster: { ...cluster, world: withPods(cluster.world, pods) },
    byNode: new Map(pods.map(([{ name }]) => [name, `${NAMESPACE}/${name}`])),
  };
}

/** From the end of the range, where no plugin has come to yet. */
function freeAddress(range: Prefix, taken: ReadonlySet<string>): Addr | undefined {
  for (let addr = range.last; range.contains(addr); addr = addr.plus(-1)) {
    const isReserved = addr.equals(range.last) || addr.value - range.addr.value < 2n;
    if (!isReserved && !taken.has(addr.text)) return addr;
    if (addr.equals(range.addr)) return undefined;
  }
  return undefined;
}

/** A pod of the cluster on the node that has a network of its own and is none of these. */
export function idlePodOn(cluster: Cluster, node: string, busy: ReadonlySet<string>): KnownPod | undefined {
  return [...cluster.pods.values()].find(
    (one) => one.node === node && one.host !== node && !busy.has(one.address.text),
  );
}
