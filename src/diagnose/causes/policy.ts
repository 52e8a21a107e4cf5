import type { CauseEntry } from './cause.ts';

/** Traffic policies: the node that has the packet may not send it on. */
export const POLICY_CAUSES = {
  FL001: {
    name: 'localPolicyDropped',
    title: 'policy Local, and the node has no endpoint: dropped',
    explanation:
      'externalTrafficPolicy is Local and the node that was dialled runs no ready endpoint, so kube-proxy drops the packet in the filter table.',
    shownBy: 'connection',
  },
  FL002: {
    name: 'localPolicyEmptyVirtualServer',
    title: 'policy Local under IPVS before 1.24, and the node has no endpoint: refused',
    explanation:
      'externalTrafficPolicy is Local and the IPVS virtual server of this node has no destination, so IPVS answers for it with a refusal.',
    shownBy: 'connection',
  },
  FL003: {
    name: 'localPolicyForeignEndpoint',
    title: 'policy Local under IPVS since 1.24: the answer comes from the wrong host',
    explanation:
      'Without a local endpoint IPVS sends to every endpoint but masquerades nothing, so the pod answers the client past the node and the client does not know the answer.',
    shownBy: 'connection',
  },
  FL004: {
    name: 'ownElasticAddress',
    title: 'a node dials its own elastic address',
    explanation:
      'The gateway returns the packet with the elastic address as its source, so the node takes itself for a client outside and policy Local applies to it.',
    shownBy: 'connection',
  },
  FL005: {
    name: 'internalPolicyWithoutEndpoint',
    title: "internalTrafficPolicy Local, and the client's node has no endpoint",
    explanation:
      "internalTrafficPolicy is Local, so the clusterIP leads to endpoints of the client's own node only, and it has none.",
    shownBy: 'connection',
  },
  FL043: {
    name: 'takenForLocalPod',
    title: 'policy Local: a pod of another node is taken for a local one',
    explanation:
      'kube-proxy knows local pods by the range of the whole cluster, so a node without an endpoint sends on what comes from any pod, and masquerades nothing.',
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
