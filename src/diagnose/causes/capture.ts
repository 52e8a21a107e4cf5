import type { CauseEntry } from './cause.ts';

/** Capture: kube-proxy takes the balancer's address for the node's own, so the packet never sees the balancer. */
export const CAPTURE_CAUSES = {
  FL011: {
    name: 'capturedForeignPort',
    title: "a captured balancer address, dialled on a port that is no Service's: refused",
    explanation:
      "The balancer's address is bound on kube-ipvs0, so the node keeps the packet, and no Service of the cluster has that port.",
    shownBy: 'connection',
  },
  FL012: {
    name: 'capturedByLocalProcess',
    title: 'a captured balancer address, answered by a process of the node',
    explanation:
      "The balancer's address is bound on kube-ipvs0, so whatever listens on 0.0.0.0 of the client's node answers in the balancer's place.",
    shownBy: 'connection',
  },
  FL013: {
    name: 'capturedAddressAsSource',
    title: 'the node dials a captured address from that very address',
    explanation:
      "The address is local to the node, so it is also the source; with policy Local nothing rewrites it, and the pod's answer leaves for the real balancer.",
    shownBy: 'connection',
  },
  FL014: {
    name: 'capturedSharedBalancer',
    title: 'one balancer for a Service and an Ingress or another cluster, under IPVS',
    explanation:
      "The Service captures the whole address on every node, so the Ingress or the other cluster's Service behind it cannot be reached from inside.",
    shownBy: 'connection',
  },
  FL015: {
    name: 'capturedPortRange',
    title: "a port of a balancer's range that spec.ports does not list, under IPVS",
    explanation:
      'The balancer listens on a range of ports, the cluster captures its address but knows the ports of spec.ports only.',
    shownBy: 'connection',
  },
  FL016: {
    name: 'hostnameStatus',
    title: 'the status has a hostname, so nothing is captured',
    explanation:
      'kube-proxy binds addresses and not names: packets of the cluster go out to the balancer and may come back to the very node that sent them.',
    shownBy: 'manifest',
  },
  FL017: {
    name: 'captureBypassesListener',
    title: 'TLS or PROXY protocol of the balancer, bypassed by capture',
    explanation:
      'kube-proxy forwards clients inside straight to the pods, which then get bytes the balancer would have decrypted or prefixed.',
    shownBy: 'connection',
  },
  FL018: {
    name: 'hostNetworkUnderIpvs',
    title: 'a process of the host network dials its own NodePort under IPVS',
    explanation:
      'With policy Local since 1.24 IPVS sends it to a remote pod without masquerading, and through a tunnel the answer has no way back.',
    shownBy: 'connection',
  },
  FL019: {
    name: 'passThroughDiffers',
    title: 'Services on one balancer differ in pass-through, under IPVS',
    explanation:
      'One Service captures the address that the other one wants left alone, and the address is captured for both.',
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
