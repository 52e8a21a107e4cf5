import type { CauseEntry } from './cause.ts';

/** What stops a packet and is no doing of a Service. */
export const BESIDE_CAUSES = {
  FL034: {
    name: 'foreignRule',
    title: "a rule that is not the Service proxy's stops it",
    explanation: 'A rule of the administrator, the network plugin or a firewall drops or rejects the packet.',
    shownBy: 'connection',
  },
  FL035: {
    name: 'nothingListens',
    title: 'nothing listens at this address and port',
    explanation: 'The address is that of a host, no Service has the port, and no process listens on it.',
    shownBy: 'connection',
  },
  FL036: {
    name: 'noWay',
    title: 'there is no way to the address, or none back',
    explanation: 'A route, a neighbour or a forwarding entry is missing, or a route discards the packet.',
    shownBy: 'connection',
  },
  FL037: {
    name: 'reversePathFilter',
    title: 'the reverse path filter drops it',
    explanation: 'rp_filter is strict and the packet came by an interface its source is not reached by.',
    shownBy: 'connection',
  },
  FL038: {
    name: 'clusterIPFromOutside',
    title: 'a clusterIP dialled from outside the cluster',
    explanation:
      'A clusterIP exists in the rules of the nodes only; no machine without them and no router knows it.',
    shownBy: 'connection',
  },
  FL039: {
    name: 'asymmetricReply',
    title: 'the answer takes another way than the request and is not recognised',
    explanation:
      'The host that rewrote the request does not see the answer, so it comes from an address the client never dialled, or to nobody.',
    shownBy: 'connection',
  },
  FL040: {
    name: 'notModelled',
    title: 'something on the way is not modelled',
    explanation:
      'A match, a target or a device on the way is unknown to Fairlead; it says which one and does not guess.',
    shownBy: 'connection',
  },
  FL041: {
    name: 'sourceNotOwned',
    title: 'the VPC drops a source that its sender does not own',
    explanation:
      'A machine forwarded a packet and left the source as it was, and the VPC takes from a machine only what comes from its own addresses.',
    shownBy: 'connection',
  },
  FL042: {
    name: 'noElasticAddress',
    title: 'across the border of the VPC without an elastic address',
    explanation:
      'From outside nobody reaches a private address, and a machine without an elastic address does not get out.',
    shownBy: 'connection',
  },
  FL044: {
    name: 'rulesNotLoaded',
    title: "the node has loaded other rules than the Service's objects ask for",
    explanation:
      'What the node printed holds no rule for the dialled address, or one that sends to what is no endpoint: its kube-proxy is behind, or somebody took its rules away.',
    shownBy: 'connection',
  },
  FL045: {
    name: 'otherFamily',
    title: 'an address of an IP family that the client does not have',
    explanation:
      'The address is of IPv6 and the client has IPv4 alone, or the other way round, so its own kernel knows no way.',
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
