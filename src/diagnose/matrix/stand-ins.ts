import { type Addr, Prefix } from '../../ip/ip.ts';
import { withPods } from '../../world/attachment.ts';
import {
  addressesOf,
  inFamily,
  type NodeAddresses,
  type NodeFacts,
  type PodFacts,
  roomOf,
} from '../../world/facts.ts';
import type { Cluster, KnownPod } from '../../world/from-objects/from-objects.ts';
import { rangesOf } from '../../world/profile.ts';
import { POD_BRIDGE } from '../../world/wiring.ts';
import { hostsOf } from '../../world/world.ts';

/** No Kubernetes namespace begins with a dash, so no pod of the cluster has it. */
const NAMESPACE = '-client';

/**
 * The cluster with one more pod on each node that does nothing but ask: for the classes of clients that no pod of the
 * cluster is of. A node whose range is full gets none.
 */
export function withStandIns(cluster: Cluster): Cluster {
  const { world, profile } = cluster;
  const taken = new Set(
    [...hostsOf(world, 'pod'), ...hostsOf(world, 'node')].flatMap(({ interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr.text)),
    ),
  );
  const pods = cluster.nodes.flatMap(({ facts }): (readonly [NodeFacts, PodFacts])[] => {
    const [address, second] = rangesOf(profile).flatMap(({ podCIDR }) => {
      const own = inFamily<NodeAddresses>(facts, podCIDR.family);
      const range = own && roomOf(own, profile.network, podCIDR);
      return (range && freeAddress(range, taken)) ?? [];
    });
    if (address === undefined || !takesPods(cluster, facts.name, address)) return [];
    for (const addr of [address, second]) if (addr !== undefined) taken.add(addr.text);
    const dual = second === undefined ? {} : { dual: { address: second } };
    return [[facts, { namespace: NAMESPACE, name: facts.name, node: facts.name, address, ...dual }]];
  });
  const known = pods.map(([, { namespace, name, node, address, dual }]): readonly [string, KnownPod] => {
    const host = `${namespace}/${name}`;
    return [
      host,
      {
        pod: { metadata: { namespace, name }, spec: { nodeName: node, containers: [] } },
        address,
        ...(dual === undefined ? {} : { dual }),
        node,
        host,
      },
    ];
  });
  return {
    ...cluster,
    world: withPods(cluster.world, pods),
    pods: new Map([...cluster.pods, ...known]),
  };
}

/** Whether a node that was read wires pods as the profile does: on the same bridge, or on none. */
function takesPods({ world, profile }: Cluster, node: string, address: Addr): boolean {
  const { readFrom, interfaces = [] } = world.hosts.get(node) ?? {};
  if (readFrom === undefined) return true;
  const bridge = interfaces.find(
    ({ kind, addresses }) =>
      kind === 'bridge' && addresses.some(({ addr, length }) => Prefix.of(addr, length).contains(address)),
  );
  return profile.network === 'vpc' ? bridge?.name === POD_BRIDGE : bridge === undefined;
}

/** How a person is told of a client: a stand-in is no pod anybody knows. */
export const clientText = (host: string): string =>
  host.startsWith(`${NAMESPACE}/`) ? `a pod on ${host.slice(NAMESPACE.length + 1)}` : host;

/** From the end of the range, where no plugin has come to yet. */
function freeAddress(range: Prefix, taken: ReadonlySet<string>): Addr | undefined {
  for (let addr = range.last; range.contains(addr); addr = addr.plus(-1)) {
    const isReserved = addr.equals(range.last) || addr.value - range.addr.value < 2n;
    if (!isReserved && !taken.has(addr.text)) return addr;
    if (addr.equals(range.addr)) return undefined;
  }
  return undefined;
}

/**
 * A pod on the node that has a network of its own and none of these addresses: one of the namespace before others, a
 * stand-in last.
 */
export function idlePodOn(
  cluster: Cluster,
  node: string,
  namespace: string,
  busy: ReadonlySet<string>,
): KnownPod | undefined {
  const isIdle = (one: KnownPod) => addressesOf(one).every(({ text }) => !busy.has(text));
  const idle = [...cluster.pods.values()]
    .filter((one) => one.node === node && one.host !== node && isIdle(one))
    // One that has every family of the cluster stands for more.
    .sort((a, b) => addressesOf(b).length - addressesOf(a).length);
  return idle.find(({ pod }) => pod.metadata?.namespace === namespace) ?? idle[0];
}
