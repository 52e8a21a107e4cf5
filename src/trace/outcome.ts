import type { Addr, Port, Protocol } from '../ip/ip.ts';

/** A connection to try: the first packet of a client, and what comes back. */
export interface WalkRequest {
  /** The client's {@link Host.name}. */
  readonly from: string;
  /** The address the client binds; the kernel's choice unless said. It has to be the client's own. */
  readonly source?: Addr;
  readonly to: Addr;
  readonly port: Port;
  readonly protocol: Protocol;
}

/**
 * `refused`: the client gets a RST or an ICMP error, or its own host knows no way. `timeout`: silence. `unknown`: something
 * on the way is not modelled; {@link Outcome.deciding} names it.
 */
export type Verdict = 'reached' | 'refused' | 'timeout' | 'unknown';

/** What becomes of the connection under one run of random choices. The probabilities of a walk add up to 1. */
export interface Outcome {
  readonly probability: number;
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** Where the first packet came to, listening or not; undefined if it was lost on the way. */
  readonly endpoint?: WalkEndpoint;
  /** The client's address as that host sees it. */
  readonly sourceSeen?: Addr;
  /** Each visit of a packet to a host, in order: the client's packet, then the answer. */
  readonly hops: readonly Hop[];
  /** The step that decided; for `reached`, the last one that chose the endpoint, if any did. */
  readonly deciding?: DecidingStep;
}

export interface WalkEndpoint {
  readonly ip: Addr;
  readonly port: Port;
  /** Its {@link Host.name}. */
  readonly host: string;
}

export interface DecidingStep {
  readonly host: string;
  readonly step: Step;
}

export interface Hop {
  readonly host: string;
  readonly direction: Direction;
  readonly steps: readonly Step[];
}

/** `reply` is whatever goes back: an answer, a RST, an ICMP error. */
export type Direction = 'forward' | 'reply';

/** One thing that was done to a packet, or that decided where it goes. */
export interface Step {
  readonly kind: StepKind;
  /** For a person, without the changes. */
  readonly detail: string;
  /** The rule, route or entry as its tool prints it, with where it stands before it: `nft ip fairlead services: …`. */
  readonly rule?: string;
  /** `file:line` of a rule that was read from a file. */
  readonly place?: string;
  readonly changes: readonly Change[];
}

export type StepKind =
  /** A packet is made or comes in. */
  | 'send'
  | 'receive'
  /** A rule of nftables or iptables, or the policy of a chain. */
  | 'rule'
  /** Rewritten because its connection is. */
  | 'conntrack'
  | 'ipvs'
  | 'route'
  /** By a bridge. */
  | 'switch'
  | 'encapsulate'
  | 'decapsulate'
  /** A process, or the lack of one. */
  | 'deliver'
  /** The end of a packet that no rule dropped. */
  | 'drop'
  | 'unknown';

export interface Change {
  readonly field: ChangedField;
  readonly from: string;
  readonly to: string;
}

export type ChangedField = 'source' | 'destination' | 'mark' | 'connection mark';

export const REASONS = [
  /** The client got its answer. */
  'answered',
  'noListener',
  'droppedByRule',
  'rejectedByRule',
  /** The fabric: a source the sender does not own. */
  'sourceCheck',
  /** The fabric: an address inside that has no elastic address, or a destination that is none. */
  'noElasticAddress',
  /** The source is an address of the receiving host itself. */
  'martianSource',
  /** A loopback address from outside. */
  'martianDestination',
  'reversePathFilter',
  'noRoute',
  'blackholeRoute',
  'unreachableRoute',
  'broadcastDestination',
  /** For another host, at one that does not forward. */
  'notForwarding',
  'timeToLiveExceeded',
  /** Nobody on the link has the address of the next hop. */
  'noNeighbour',
  /** A bridge would have to send it back by the port it came by, and that is not in hairpin mode. */
  'noHairpin',
  /** A VXLAN device whose other end is an address of its own host. */
  'tunnelToItself',
  /** A VXLAN device without an entry for the next hop. */
  'noForwardingEntry',
  /** The frame is for another Ethernet address. */
  'otherHost',
  /** Nothing is at the other end. */
  'noLink',
  /** An IPVS virtual server without a destination. */
  'emptyVirtualServer',
  /** The answer came past the host that rewrote the request, so nobody undid that. */
  'replyNotTranslated',
  /** The answer came back rewritten, but not to the addresses the client dialled. */
  'replySourceMismatch',
  /** The answer went to another host than the client. */
  'replyMisdelivered',
  /** What follows the answer meets a host that saw one direction only, and takes it for invalid. */
  'handshakeInvalid',
  /** The bound address is not the client's. */
  'sourceNotLocal',
  'loop',
  'unmodelled',
  /** More random choices than are followed. */
  'tooManyBranches',
] as const;

/** Why a walk ended as it did: a closed list that causes are built on. */
export type Reason = (typeof REASONS)[number];
