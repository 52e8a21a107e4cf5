/**
 * A World out of Kubernetes objects and a profile.
 *
 * Promises: ordinary objects are enough (Nodes, Pods, Services; EndpointSlices are derived where there are none); what each
 * node's kube-proxy would load is compiled by `proxy` for the profile's mode and version; what a cloud does to a Service is
 * a table of facts (cloud-facts.ts). Whatever was left out or taken for granted is a {@link Problem} with file and line.
 * Refuses: to contact anything, and to judge. An object that contradicts another is a Fault FE011 that names both.
 *
 * @example
 * const inventory = inventoryOf(parseManifests('cluster.yaml', text), 'default');
 * const { world, services } = clusterFrom(inventory, chooseProfile(inventory, { set: { proxyMode: 'iptables' } }));
 */
import { Fault } from '../../fault/fault.ts';
import type { Addr, Family } from '../../ip/ip.ts';
import { type EndpointSlice, keyOf, type Pod, type Service } from '../../kube/objects.ts';
import { selectsPod, slicesOf } from '../../kube/service-endpoints.ts';
import { serviceOfSlice } from '../../proxy/proxy.ts';
import { buildCluster } from '../build.ts';
import type { BalancerFacts } from '../facts.ts';
import type { Forward } from '../policy.ts';
import type { ClusterProfile } from '../profile.ts';
import { serviceRules, withServiceRules } from '../service-rules.ts';
import type { World } from '../world.ts';
import { balancingOf, isMember } from './balancing.ts';
import { canonicalSlice } from './canonical.ts';
import type { IngressNote } from './ingress.ts';
import type { Inventory, Problem } from './inventory.ts';
import { expectedPorts } from './listeners.ts';
import { AddressPool, type KnownNode, type KnownPod, machinesOf } from './machines.ts';
import { plansOf } from './plans.ts';
import { type ServiceView, viewServices } from './service-view.ts';
import type { WorkloadObject } from './workload.ts';

export { chooseProfile, givenFields, type ProfileChoice } from './choose-profile.ts';
export type { IngressNote, IngressObject } from './ingress.ts';
export {
  type Inventory,
  inventoryOf,
  inventoryOfCluster,
  type ListedObjects,
  type Problem,
} from './inventory.ts';
export type { KnownNode, KnownPod } from './machines.ts';
export { type Manifest, parseManifests } from './manifests.ts';
export { type Workload, type WorkloadObject, workloadOf } from './workload.ts';

/** A World, and what its parts are to Kubernetes. */
export interface Cluster {
  readonly world: World;
  /** Where nodes were read: the World in which they are as the objects and the profile would have them. */
  readonly compiled?: World;
  readonly profile: ClusterProfile;
  /** As the cluster would show them, by `namespace/name`. */
  readonly services: ReadonlyMap<string, Service>;
  /** By the Service's `namespace/name`. */
  readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly nodes: readonly KnownNode[];
  /** The pods that are in the World, by `namespace/name`. */
  readonly pods: ReadonlyMap<string, KnownPod>;
  readonly balancers: readonly BalancerFacts[];
  readonly forwards: readonly Forward[];
  /** What the cloud has for each Service, whether kube-proxy captures it or not. */
  readonly cloudAddresses: ReadonlyMap<string, readonly Addr[]>;
  readonly balancerOf: ReadonlyMap<string, string>;
  readonly ingresses: readonly IngressNote[];
  readonly workloads: readonly WorkloadObject[];
  readonly problems: readonly Problem[];
}

const derived = new WeakSet<World>();

/** Whether all of a World follows from objects and a profile, and no rule in it is anybody else's. */
export const isDerived = (world: World): boolean => derived.has(world);

/** Throws {@link Fault} FE011 for objects that contradict each other. */
export function clusterFrom(inventory: Inventory, profile: ClusterProfile): Cluster {
  const { views, problems: ofViews } = viewServices(inventory, profile);
  const silent = inventory.pods.filter(isSilent);
  const slices = slicesByService(inventory, views, new Set(silent));
  const pool = new AddressPool(inventory, profile);
  const machines = machinesOf(inventory, profile, expectedPorts([...slices.values()].flat()), pool);
  const plans = plansOf(machines.nodes, profile, views, slices);
  const members = machines.nodes.flatMap(({ node, facts }) => {
    const plan = plans.get(facts.name);
    return plan === undefined || !isMember(node)
      ? []
      : [{ node: facts, labels: node.metadata?.labels ?? {}, plan }];
  });
  const freeAddress = (family: Family) => pool.take(family);
  const balancing = balancingOf({ inventory, profile, views, slices, nodes: members, freeAddress });
  const world = placingFaults(inventory, () =>
    buildCluster({
      profile,
      nodes: machines.nodes.map(({ facts }) => facts),
      pods: machines.pods,
      controlPlane: null,
      vpcHosts: machines.vpcHosts,
      outside: machines.outside,
      balancers: balancing.balancers,
      forwards: balancing.forwards,
    }),
  );
  const rules = new Map([...plans].map(([name, plan]) => [name, serviceRules(profile, plan)]));
  const left = [...plans.values()][0]?.problems ?? [];
  const complete = withServiceRules(world, rules);
  derived.add(complete);
  return {
    world: complete,
    profile,
    services: new Map(views.map(({ service }) => [keyOf(service), service])),
    slices,
    nodes: machines.nodes,
    pods: new Map(machines.known.map((one) => [keyOf(one.pod), one])),
    balancers: balancing.balancers,
    forwards: balancing.forwards,
    cloudAddresses: new Map(views.map(({ service, cloudAddresses }) => [keyOf(service), cloudAddresses])),
    balancerOf: balancing.balancerOf,
    ingresses: inventory.ingresses,
    workloads: inventory.workloads,
    problems: [
      ...inventory.problems,
      ...machines.problems,
      ...readinessProblem(inventory, silent),
      ...ofViews,
      ...balancing.problems,
      ...left.map(({ service, message }) => ({ place: `service/${service}`, message })),
    ],
  };
}

/** What contradicts what is told with the places of the objects it names. */
function placingFaults<T>({ nodes, pods, place }: Inventory, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const named = new Set(error.message.match(/'[^']+'/g) ?? []);
    const places = [...nodes, ...pods].flatMap((object) =>
      named.has(`'${keyOf(object)}'`) ? place(object) : [],
    );
    // A contradiction of one pod names its node as well; the pod is what to look at.
    const at = /^(the address|pod)\b/.test(error.message) ? places.slice(-1) : places;
    if (at.length === 0) throw error;
    throw new Fault(error.code, `${at.join(', ')}: ${error.message}`, error.cure, { cause: error });
  }
}

/** The slices that are there, and those that a cluster would make for the Services that have none. */
function slicesByService(
  inventory: Inventory,
  views: readonly ServiceView[],
  silent: ReadonlySet<Pod>,
): Map<string, readonly EndpointSlice[]> {
  const written = Map.groupBy(inventory.slices, serviceOfSlice);
  const nodes = new Map(inventory.nodes.map((node) => [keyOf(node), node]));
  return new Map(
    views.map(({ service }) => {
      const own = written.get(keyOf(service));
      const selected = () =>
        inventory.pods
          .filter((pod) => selectsPod(service, pod))
          .map((pod) => (silent.has(pod) ? withReadiness(pod) : pod));
      const all = own ?? slicesOf(service, selected(), (name) => nodes.get(name));
      return [keyOf(service), all.map(canonicalSlice)];
    }),
  );
}

/** A pod that has an address and says nothing of its conditions: somebody wrote it by hand. */
const isSilent = ({ status }: Pod): boolean =>
  status?.podIP !== undefined && status.conditions === undefined && (status.phase ?? 'Running') === 'Running';

const withReadiness = (pod: Pod): Pod => ({
  ...pod,
  status: { ...pod.status, conditions: [{ type: 'Ready', status: 'True' }] },
});

function readinessProblem(inventory: Inventory, silent: readonly Pod[]): Problem[] {
  const [first] = silent;
  if (first === undefined || inventory.slices.length > 0) return [];
  const who = silent.length === 1 ? `pod '${keyOf(first)}' says` : `${silent.length} pods say`;
  return [
    { place: inventory.place(first, ['status']), message: `${who} nothing of being ready: taken for ready` },
  ];
}
