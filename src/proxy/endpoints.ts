import type { Endpoint } from '../ip/ip.ts';

/** An endpoint of one Service port, as the EndpointSlices tell of it. */
export interface Backend {
  readonly endpoint: Endpoint;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** It runs on the node the rules are for. */
  readonly local: boolean;
  /** hints.forZones (KEP-2433) and hints.forNodes (KEP-3015). */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

export type TrafficPolicy = 'Cluster' | 'Local';

/** What the choice depends on besides the endpoints. */
export interface ChoiceContext {
  readonly internal: TrafficPolicy;
  readonly external: TrafficPolicy;
  /** The Service has a node port, a load balancer's address or external IPs. */
  readonly externallyReachable: boolean;
  readonly nodeName: string;
  readonly zone?: string;
}

export interface ChosenEndpoints {
  /** For traffic under policy Cluster, and for what pods and the node itself send to an external address. */
  readonly cluster: readonly Backend[];
  /** For traffic under policy Local. */
  readonly local: readonly Backend[];
  /** Both together, each once. */
  readonly reachable: readonly Backend[];
  /** There is an endpoint somewhere, even if none may be used from here. */
  readonly any: boolean;
}

/**
 * The endpoints that traffic may go to, as kube-proxy chooses them.
 *
 * Cluster: the ready ones that the topology hints leave; if there are none, those that still serve while they terminate
 * (KEP-1669). Local: the same among the endpoints of this node, without hints.
 */
export function chooseEndpoints(backends: readonly Backend[], context: ChoiceContext): ChosenEndpoints {
  const externalLocal = context.external === 'Local' && context.externallyReachable;
  const usesLocal = context.internal === 'Local' || externalLocal;
  // Inside traffic to an external address is short-circuited to every endpoint, so any reachable Service needs them all.
  const usesCluster = context.internal === 'Cluster' || context.externallyReachable;

  const any = backends.some((one) => one.ready || draining(one));
  const cluster = usesCluster ? readyElseDraining(backends, byTopology(backends, context)) : [];
  const onNode = backends.filter((one) => one.local);
  const local = usesLocal ? readyElseDraining(onNode, () => true) : [];
  const reachable = [...new Set([...cluster, ...local])];
  return { cluster, local, reachable, any };
}

const draining = (one: Backend): boolean => one.serving && one.terminating;

function readyElseDraining(
  backends: readonly Backend[],
  fits: (one: Backend) => boolean,
): readonly Backend[] {
  const ready = backends.filter((one) => one.ready && fits(one));
  return ready.length > 0 ? ready : backends.filter(draining);
}

/**
 * Hints count only if every ready endpoint carries one of the kind and one of them names this node or zone; a half-written
 * set of hints would otherwise send everything to a few endpoints.
 */
function byTopology(backends: readonly Backend[], context: ChoiceContext): (one: Backend) => boolean {
  const { nodeName, zone } = context;
  const ready = backends.filter((one) => one.ready);
  const usable = (hints: (one: Backend) => readonly string[], here: string) =>
    ready.every((one) => hints(one).length > 0) && ready.some((one) => hints(one).includes(here));
  if (usable((one) => one.nodeHints, nodeName)) return (one) => one.nodeHints.includes(nodeName);
  if (zone !== undefined && usable((one) => one.zoneHints, zone)) {
    return (one) => one.zoneHints.includes(zone);
  }
  return () => true;
}
