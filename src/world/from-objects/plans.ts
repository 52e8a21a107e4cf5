import { type EndpointSlice, keyOf, type Service } from '../../kube/objects.ts';
import { type ForwardingPlan, type PlannedService, planService } from '../../proxy/proxy.ts';
import { addressesOf } from '../facts.ts';
import { nodeHost } from '../node-host.ts';
import type { ClusterProfile } from '../profile.ts';
import { proxyConfigOf } from '../proxy-config.ts';
import type { KnownNode } from './machines.ts';
import { podRangeOf } from './pod-blocks.ts';
import type { ServiceView } from './service-view.ts';

type Slices = ReadonlyMap<string, readonly EndpointSlice[]>;

/**
 * The plan of each node, by its name. A Service looks the same from every node that runs none of its endpoints, as long as
 * nothing else of it depends on the node: those nodes share one plan of it, and so whatever is compiled from it.
 */
export function plansOf(
  nodes: readonly KnownNode[],
  profile: ClusterProfile,
  views: readonly ServiceView[],
  slices: Slices,
): Map<string, ForwardingPlan> {
  const planners = views.map(({ service }) => new Planner(service, slices.get(keyOf(service)) ?? []));
  const config = proxyConfigOf(profile);
  return new Map(
    nodes.map((known) => {
      const node = proxyNode(known, profile);
      const planned = planners.map((planner) => planner.planFor(node));
      const plans = planned.flatMap(({ plan }) => plan ?? []);
      const services = new Map(plans.map((plan) => [plan.name, plan]));
      const problems = planned.flatMap((one) => one.problems);
      return [node.name, { node, config, services, problems }] as const;
    }),
  );
}

type ProxyNode = ForwardingPlan['node'];

/** The node as its kube-proxy sees it. */
function proxyNode({ node, facts, zone }: KnownNode, profile: ClusterProfile): ProxyNode {
  const own = nodeHost(profile, facts, []).interfaces.flatMap(({ addresses }) => addresses);
  return {
    name: facts.name,
    ips: addressesOf(facts),
    addresses: own.map(({ addr }) => addr),
    // What the object says, whatever the network plugin makes of it: so kube-proxy has it.
    podCIDRs: addressesOf(facts).flatMap(({ family }) => podRangeOf(node, family) ?? []),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** One Service, seen from node after node. */
class Planner {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #running: ReadonlySet<string | undefined>;
  readonly #dependsOnNode: boolean;
  #elsewhere: PlannedService | undefined;

  constructor(service: Service, slices: readonly EndpointSlice[]) {
    const endpoints = slices.flatMap((slice) => slice.endpoints ?? []);
    const { loadBalancerSourceRanges = [] } = service.spec ?? {};
    this.#service = service;
    this.#slices = slices;
    this.#running = new Set(endpoints.map(({ nodeName }) => nodeName));
    // Topology hints choose by node and zone, and source ranges count the node's own address in.
    this.#dependsOnNode =
      endpoints.some(({ hints }) => hints !== undefined) ||
      loadBalancerSourceRanges.length > 0 ||
      Object.keys(service.metadata?.annotations ?? {}).some((key) => key.includes('source-ranges'));
  }

  planFor(node: ProxyNode): PlannedService {
    if (this.#dependsOnNode || this.#running.has(node.name))
      return planService(node, this.#service, this.#slices);
    this.#elsewhere ??= planService(node, this.#service, this.#slices);
    return this.#elsewhere;
  }
}
