import type { Addr, Prefix } from '../../../ip/ip.ts';
import { keyOf, nameOf, type Pod } from '../../../kube/objects.ts';
import { selectsPod } from '../../../kube/service-endpoints.ts';
import { roomOf } from '../../../world/facts.ts';
import type { KnownNode } from '../../../world/from-objects/from-objects.ts';
import type { Situation } from '../../recognise/situation.ts';
import type { Candidate, JsonObject } from '../fix.ts';

const HOSTNAME = 'kubernetes.io/hostname';

/** The client away from the nodes that serve. */
export const clientElsewhere: Candidate = function* (situation) {
  const { cluster, dialled, request, readyNodes } = situation;
  const client = cluster.pods.get(request.from);
  const selector = dialled?.service.spec?.selector;
  if (client === undefined || client.host === client.node || selector === undefined) return;
  const target = cluster.nodes.find(({ facts }) => !readyNodes.has(facts.name));
  const moved = target && moveTo(situation, client.pod, target);
  if (target === undefined || moved === undefined || !readyNodes.has(client.node)) return;
  const term = { topologyKey: HOSTNAME, labelSelector: { matchLabels: { ...selector } } };
  const rule: JsonObject = { requiredDuringSchedulingIgnoredDuringExecution: [term] };
  yield {
    title: `keep ${keyOf(client.pod)} off the nodes that serve (anti-affinity); tried on ${target.facts.name}`,
    patch: {
      objects: [
        { object: `pod/${keyOf(client.pod)}`, merge: { spec: { affinity: { podAntiAffinity: rule } } } },
      ],
    },
    costs: ['it needs a node without a pod of the Service', "the workload's pods are made anew"],
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
  const added = model && moveTo(situation, model.pod, node, `${nameOf(model.pod)}-on-${node.facts.name}`);
  if (added === undefined) return;
  yield {
    title: `run a pod of svc/${dialled.name} on ${node.facts.name} too: a DaemonSet, or as many replicas as nodes, spread`,
    patch: { objects: [{ object: `pod/${keyOf(added)}`, merge: { spec: { nodeName: node.facts.name } } }] },
    costs: ['a pod more on every node that is dialled', 'it holds only while that pod is ready'],
    stands: { pods: [added] },
  };
};

/** The pod as it would stand on another node; undefined where that has no address to give. */
function moveTo(situation: Situation, pod: Pod, { facts }: KnownNode, name = nameOf(pod)): Pod | undefined {
  const { network, podCIDR } = situation.cluster.profile;
  const range = network === 'eni' ? podCIDR : roomOf(facts, network, podCIDR);
  const address = range && freeIn(situation, range);
  if (address === undefined) return undefined;
  const { podIPs: _, ...status } = pod.status ?? {};
  return {
    ...pod,
    metadata: { ...pod.metadata, name },
    spec: { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: facts.name },
    status: { ...status, podIP: address.text },
  };
}

function freeIn({ cluster }: Situation, range: Prefix): Addr | undefined {
  const taken = new Set([...cluster.pods.values()].map(({ address }) => address.text));
  // From its end: the first addresses are the bridge's and the tunnel's.
  for (let addr = range.last.plus(-1); range.contains(addr); addr = addr.plus(-1)) {
    if (!taken.has(addr.text)) return addr;
  }
  return undefined;
}
