import type { CauseEntry } from './cause.ts';

/** The way there and back: the packet or its answer goes where nobody undoes what was done to it. */
export const WAY_CAUSES = {
  FL006: {
    name: 'replyOutsideTunnel',
    title: 'the answer leaves outside the tunnel and the VPC drops it',
    explanation:
      'The pod was reached through the tunnel with a source the other node routes outside of it, and the VPC drops an answer whose source is no address of the sending node.',
    shownBy: 'connection',
  },
  FL007: {
    name: 'replySwitchedPastNode',
    title: 'the answer is switched past the node that translated the request',
    explanation:
      'Client and endpoint share a bridge that does not call netfilter, so the answer never meets the connection tracking that would translate it back.',
    shownBy: 'connection',
  },
  FL008: {
    name: 'balancerLoopback',
    title: 'the client is the backend its balancer chose',
    explanation:
      "The balancer keeps the client's address, so the backend receives a packet from its own address and drops it as a martian.",
    shownBy: 'connection',
  },
  FL009: {
    name: 'balancerBypassedByReply',
    title: "the balancer chose the client's own node, and the answer does not pass the balancer",
    explanation:
      "The balancer keeps the client's address, which is close to the backend, so the answer goes to the client directly and from an address it never dialled.",
    shownBy: 'connection',
  },
  FL010: {
    name: 'natGatewayHairpin',
    title: "a NAT gateway's address dialled from inside",
    explanation:
      'A DNAT gateway translates what comes from outside and does not turn packets round, so nothing inside the VPC reaches its elastic address.',
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
