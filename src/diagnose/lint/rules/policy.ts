import type { Service } from '../../../kube/objects.ts';
import { isAtLeast } from '../../../world/profile.ts';
import type { CauseCode } from '../../causes/registry.ts';
import { isDedicatedElb, isExternal, isLoadBalancer, isLocal, KEYS, sendsToPods } from '../balancer.ts';
import type { Finding } from '../finding.ts';
import { annotationOf, type Linted, type LintSet, mostNodes, serviceName } from '../lint-set.ts';

const POLICY_PATH = ['spec', 'externalTrafficPolicy'];

/** FL001, FL002, FL003: policy Local on more nodes than have a ready pod. */
export function* localWithoutEndpoints(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter((one) => isExternal(one) && isLocal(one))) {
    const message = withoutEndpoint(set, service);
    if (message === undefined) continue;
    yield {
      code: localCode(set),
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(POLICY_PATH),
      message,
      cure: 'dial the clusterIP inside, run a pod on every node, or set externalTrafficPolicy: Cluster and lose the source address',
    };
  }
}

/** What is wrong, if it is known of some nodes, or of how many at least, that they run no pod. */
function withoutEndpoint(set: LintSet, service: Linted<Service>): string | undefined {
  const placed = set.readyByNode(service);
  if (placed !== undefined) {
    const without = nodesWithout(placed);
    if (without.length === 0) return undefined;
    const who = without.length === 1 ? 'it' : 'these';
    return `policy Local, and no ready pod on ${nodeList(without)}: who dials ${who} is ${fate(set)}`;
  }
  const pods = set.podsOf(service) ?? [];
  const most = pods.length === 0 ? undefined : mostNodes(pods);
  if (most === undefined || most >= set.nodes.length) return undefined;
  const { length } = set.nodes;
  return `policy Local, and at most ${most} of ${length} nodes run a pod: who dials another is ${fate(set)}`;
}

/** FL005: the same for the clusterIP. */
export function* internalWithoutEndpoints(set: LintSet): Generator<Finding> {
  for (const service of set.services) {
    if (service.object.spec?.internalTrafficPolicy !== 'Local') continue;
    const without = nodesWithout(set.readyByNode(service));
    if (without.length === 0) continue;
    yield {
      code: 'FL005',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['spec', 'internalTrafficPolicy']),
      message: `clients on ${nodeList(without)} do not reach the clusterIP: internalTrafficPolicy is Local and no ready pod runs there`,
      cure: 'run a pod on every node, or set internalTrafficPolicy: Cluster',
    };
  }
}

/** FL025: the balancer shares between nodes, and nodes have different numbers of pods. */
export function* unevenShares(set: LintSet): Generator<Finding> {
  // ACK weighs nodes by their pods with policy Local.
  if (set.profile?.cloud === 'ack') return;
  for (const service of set.services.filter((one) => isLoadBalancer(one) && isLocal(one))) {
    if (annotationOf(service, KEYS.tkeWeighted) === 'true' || sendsToPods(service, set)) continue;
    const counts = [...(set.readyByNode(service) ?? [])].filter(([, count]) => count > 0);
    const most = Math.max(...counts.map(([, count]) => count));
    const least = Math.min(...counts.map(([, count]) => count));
    if (counts.length < 2 || most === least) continue;
    yield {
      code: 'FL025',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(POLICY_PATH),
      message: `pods per node differ (${counts.map(([node, count]) => `${node}: ${count}`).join(', ')}): a pod alone on its node gets ${most} times the connections of one that is there with ${most - 1} other${most === 2 ? '' : 's'}`,
      cure: 'spread pods evenly with topologySpreadConstraints on kubernetes.io/hostname, or let the balancer weigh nodes by pods',
    };
  }
}

/** FL008: a balancer that keeps addresses, dialled from its own backends. */
export function* balancerLoopback(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter((one) => isDedicatedElb(one) && isLocal(one))) {
    if (sendsToPods(service, set)) continue;
    yield {
      code: 'FL008',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(POLICY_PATH),
      message:
        'policy Local on a dedicated ELB passes its address through: nodes that run a pod of the Service, and containers on them, do not reach its private address',
      cure: 'dial the clusterIP or the name inside the cluster',
    };
  }
}

/** FL018: processes of the host network, where IPVS does not masquerade and the tunnel has no way back. */
export function* hostNetworkClients(set: LintSet): Generator<Finding> {
  const { profile, pods } = set;
  if (profile?.proxyMode !== 'ipvs' || profile.network !== 'tunnel') return;
  if (!isAtLeast(profile.kubernetesVersion, 1, 24)) return;
  for (const service of set.services.filter((one) => isExternal(one) && isLocal(one))) {
    const without = nodesWithout(set.readyByNode(service));
    const clients = pods.filter(
      ({ spec, nodeName = '' }) => spec?.hostNetwork === true && without.includes(nodeName),
    );
    if (clients.length === 0) continue;
    yield {
      code: 'FL018',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(POLICY_PATH),
      message: `${clients.map(({ what }) => what).join(', ')} of the host network cannot reach the node port of the own node: IPVS sends to remote pods without masquerading`,
      cure: 'dial the clusterIP from there',
    };
  }
}

/** FL033: a policy that decides nothing, or is refused. */
export function* localWithoutNodePorts(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter((one) => isLoadBalancer(one) && isLocal(one))) {
    const pods = set.podsOf(service) ?? [];
    if (!sendsToPods(service, set) || pods.length === 0) continue;
    if (pods.every(({ spec }) => spec?.hostNetwork === true)) continue;
    yield {
      code: 'FL033',
      severity: set.profile?.cloud === 'cce' ? 'error' : 'note',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(POLICY_PATH),
      message:
        set.profile?.cloud === 'cce'
          ? 'policy Local on a Turbo cluster needs backends of the host network, and these pods are not'
          : 'the balancer sends to pods directly, so policy Local does nothing for what comes by it',
      cure: "set externalTrafficPolicy: Cluster; a balancer that sends to pods keeps the client's address",
    };
  }
}

const nodesWithout = (counts: ReadonlyMap<string, number> | undefined): string[] =>
  [...(counts ?? [])].filter(([, count]) => count === 0).map(([node]) => node);

const MOST_NAMED = 5;

function nodeList(nodes: readonly string[]): string {
  const more = nodes.length - MOST_NAMED;
  return more > 0 ? `${nodes.slice(0, MOST_NAMED).join(', ')} and ${more} more nodes` : nodes.join(', ');
}

function localCode({ profile }: LintSet): CauseCode {
  if (profile?.proxyMode !== 'ipvs') return 'FL001';
  return isAtLeast(profile.kubernetesVersion, 1, 24) ? 'FL003' : 'FL002';
}

const FATES = {
  FL001: 'dropped',
  FL002: 'refused',
  FL003: 'answered past the node, and times out',
} as Readonly<Partial<Record<CauseCode, string>>>;

const fate = (set: LintSet): string => FATES[localCode(set)] ?? 'not served';
