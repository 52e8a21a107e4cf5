import type { Addr, Prefix } from '../../../ip/ip.ts';
import { isTolerated, wantsNode } from '../../../kube/node-fit.ts';
import { keyOf, nameOf, type Pod } from '../../../kube/objects.ts';
import { selectsPod } from '../../../kube/service-endpoints.ts';
import { addressesOf, inFamily, type NodeAddresses, roomOf } from '../../../world/facts.ts';
import { type KnownNode, type Workload, workloadOf } from '../../../world/from-objects/from-objects.ts';
import { rangesOf } from '../../../world/profile.ts';
import type { Situation } from '../../recognise/situation.ts';
import type { Attempt, Candidate, JsonObject, ObjectPatch } from '../fix.ts';

const HOSTNAME = 'kubernetes.io/hostname';

/** The client away from the nodes that serve. */
export const clientElsewhere: Candidate = function* (situation) {
  const { cluster, dialled, request, readyNodes } = situation;
  const client = cluster.pods.get(request.from);
  const selector = dialled?.service.spec?.selector;
  if (client === undefined || client.host === client.node || selector === undefined) return;
  const { pod } = client;
  const owner = workloadOf(cluster.workloads, pod);
  // One of a DaemonSet is where it is because every node has one.
  if (owner?.kind === 'DaemonSet' || !readyNodes.has(client.node)) return;
  const target = cluster.nodes.find(
    ({ facts, node }) =>
      !readyNodes.has(facts.name) && wantsNode(pod.spec, node) && isTolerated(pod.spec, node),
  );
  const moved = target && moveTo(situation, pod, target);
  if (target === undefined || moved === undefined) return;
  const key = 'requiredDuringSchedulingIgnoredDuringExecution';
  const before = (pod.spec?.affinity?.podAntiAffinity?.[key] ?? []) as unknown as readonly JsonObject[];
  const term = { topologyKey: HOSTNAME, labelSelector: { matchLabels: { ...selector } } };
  const affinity = { podAntiAffinity: { [key]: [...before, term] } };
  const who = owner === undefined ? keyOf(pod) : `the pods of ${textOf(owner)}`;
  yield {
    title: `keep ${who} off the nodes that serve (anti-affinity); ${owner === undefined ? 'tried' : `${keyOf(pod)} tried`} on ${target.facts.name}`,
    patch: { objects: [patchOf(pod, owner, { affinity })] },
    costs: ['it needs a node without a pod of the Service', madeAnew(owner)],
    stands: { pods: [moved] },
  };
};

/** A pod on the node that has none. */
export const podOnNode: Candidate = function* (situation) {
  const { cluster, dialled, enteredNode, clientNode, readyNodes } = situation;
  const name = dialled?.by === 'clusterIP' ? clientNode : enteredNode;
  const node = cluster.nodes.find(({ facts }) => facts.name === name);
  if (dialled === undefined || node === undefined || readyNodes.has(node.facts.name)) return;
  const model = [...cluster.pods.values()].find(
    ({ pod, node: at }) => selectsPod(dialled.service, pod) && readyNodes.has(at),
  );
  if (model === undefined) return;
  const owner = workloadOf(cluster.workloads, model.pod);
  const attempt =
    owner === undefined
      ? onePodMore(situation, dialled.name, model.pod, node)
      : owner.kind === 'DaemonSet'
        ? undefined
        : onEveryNode(situation, owner, model.pod);
  if (attempt !== undefined) yield attempt;
};

/** A pod that nobody owns is made once more. */
function onePodMore(situation: Situation, service: string, model: Pod, node: KnownNode): Attempt | undefined {
  const added = moveTo(situation, model, node, `${nameOf(model)}-on-${node.facts.name}`);
  if (added === undefined) return undefined;
  const { metadata, spec } = added;
  const merge = { metadata: { labels: metadata?.labels ?? {} }, spec } as unknown as JsonObject;
  return {
    title: `run a pod of svc/${service} on ${node.facts.name} too`,
    patch: { objects: [{ object: `pod/${keyOf(added)}`, merge }] },
    costs: ['a pod more on every node that is dialled', 'it holds only while that pod is ready'],
    stands: { pods: [added] },
  };
}

/** As many replicas as nodes that may run one, spread over them; as the scheduler would place them. */
function onEveryNode(situation: Situation, owner: Workload, model: Pod): Attempt | undefined {
  const { cluster } = situation;
  const able = cluster.nodes.filter(
    ({ node }) => wantsNode(model.spec, node) && isTolerated(model.spec, node),
  );
  const own = [...cluster.pods.values()].filter(
    ({ pod }) => workloadOf(cluster.workloads, pod)?.name === owner.name,
  );
  const staying = new Map(own.map((one) => [one.node, one]));
  const spare = own.filter((one) => staying.get(one.node) !== one);
  const given = new Set<string>();
  const stands = able
    .filter(({ facts }) => !staying.has(facts.name))
    .flatMap((node): Pod[] => {
      const moved = spare.pop()?.pod;
      const name = nameOf(moved ?? model) + (moved === undefined ? `-on-${node.facts.name}` : '');
      const added = moveTo(situation, moved ?? model, node, name, given);
      for (const { ip = '' } of [{ ip: added?.status?.podIP }, ...(added?.status?.podIPs ?? [])])
        given.add(ip);
      return added === undefined ? [] : [added];
    });
  if (stands.length === 0) return undefined;
  const replicas = Math.max(own.length, able.length);
  const more = replicas - own.length;
  const spread = {
    maxSkew: 1,
    topologyKey: HOSTNAME,
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: { matchLabels: { ...owner.labels } },
  };
  const patch = patchOf(model, owner, { topologySpreadConstraints: [spread] });
  const scaled = more === 0 ? patch.merge : { spec: { ...(patch.merge.spec as JsonObject), replicas } };
  return {
    title:
      more === 0
        ? `spread the pods of ${textOf(owner)} over its nodes (topologySpreadConstraints)`
        : `run ${replicas} replicas of ${textOf(owner)}, one on each of ${able.length} nodes (topologySpreadConstraints)`,
    patch: { objects: [{ ...patch, merge: scaled }] },
    costs: [
      ...(more === 0
        ? []
        : [`${more} ${more === 1 ? 'pod' : 'pods'} more, and another for each node that joins`]),
      madeAnew(owner),
      'it holds only while the pod of the dialled node is ready',
    ],
    stands: { pods: stands },
  };
}

const textOf = ({ kind, name }: Workload): string => `${kind.toLowerCase()}/${name}`;

const madeAnew = (owner: Workload | undefined): string =>
  owner === undefined ? 'the pod is made anew' : "the workload's pods are made anew";

/** Fields of a pod's spec, written where its pods are made: into the template of what owns it. */
function patchOf(pod: Pod, owner: Workload | undefined, spec: JsonObject): ObjectPatch {
  return owner === undefined
    ? { object: `pod/${keyOf(pod)}`, merge: { spec } }
    : { object: textOf(owner), merge: { spec: { template: { spec } } } };
}

/** The pod as it would stand on another node; undefined where that has no address to give. */
function moveTo(
  situation: Situation,
  pod: Pod,
  { facts }: KnownNode,
  name = nameOf(pod),
  given: ReadonlySet<string> = new Set(),
): Pod | undefined {
  const { profile } = situation.cluster;
  const { network } = profile;
  const ips = rangesOf(profile).flatMap(({ podCIDR }) => {
    const own = inFamily<NodeAddresses>(facts, podCIDR.family);
    const range = network === 'eni' ? podCIDR : own && roomOf(own, network, podCIDR);
    return (range && freeIn(situation, range, given)?.text) ?? [];
  });
  const [podIP] = ips;
  if (podIP === undefined) return undefined;
  const { podIPs: _, ...status } = pod.status ?? {};
  return {
    ...pod,
    metadata: { ...pod.metadata, name },
    spec: { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: facts.name },
    status: { ...status, podIP, ...(ips.length > 1 ? { podIPs: ips.map((ip) => ({ ip })) } : {}) },
  };
}

function freeIn({ cluster }: Situation, range: Prefix, given: ReadonlySet<string>): Addr | undefined {
  const held = [...cluster.pods.values()].flatMap(addressesOf).map(({ text }) => text);
  const taken = new Set([...held, ...given]);
  // From its end: the first addresses are the bridge's and the tunnel's.
  for (let addr = range.last.plus(-1); range.contains(addr); addr = addr.plus(-1)) {
    if (!taken.has(addr.text)) return addr;
  }
  return undefined;
}
