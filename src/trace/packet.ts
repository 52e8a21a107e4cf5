import type { Addr, Family } from '../ip/ip.ts';
import type { Connection } from './connection.ts';
import { endText, type Transport, type Tuple } from './tuple.ts';

/**
 * What a packet is in its conversation. `request`: SYN or first datagram. `answer`: SYN-ACK or the datagram back. `confirm`:
 * what the client sends once it has the answer. `reset`: a RST. `error`: an ICMP error that quotes a packet.
 */
export type Content = 'request' | 'answer' | 'confirm' | 'reset' | 'error';

/** What an ICMP error says: the code, and the header of the packet it is about. */
export interface ErrorQuote extends Tuple {
  readonly protocol: Transport;
  readonly code: ErrorCode;
}
export type ErrorCode = 'port' | 'host' | 'net' | 'prohibited';

/** `unseen`: connection tracking has not had it yet; rules that ask take it for invalid. `untracked`: a rule has said so. */
export type ConnectionState = 'new' | 'established' | 'related' | 'invalid' | 'untracked' | 'unseen';

/** A packet on its way; everything that hosts rewrite or know of it can be written. */
export class Packet implements Tuple {
  source: Addr;
  sourcePort: number;
  destination: Addr;
  destinationPort: number;
  readonly protocol: Transport;
  readonly content: Content;
  readonly quote: ErrorQuote | undefined;
  /** What a VXLAN packet carries. */
  readonly inner: Packet | undefined;
  mark = 0;
  ttl = 64;
  connection: Connection | undefined = undefined;
  state: ConnectionState = 'unseen';
  /** Whether it goes against the direction of its connection's first packet. */
  isReply = false;
  /** IPVS has had it, and lets it pass. */
  balanced = false;

  constructor(
    protocol: Transport,
    content: Content,
    tuple: Readonly<Tuple>,
    more: { readonly quote?: ErrorQuote; readonly inner?: Packet } = {},
  ) {
    this.source = tuple.source;
    this.sourcePort = tuple.sourcePort;
    this.destination = tuple.destination;
    this.destinationPort = tuple.destinationPort;
    this.protocol = protocol;
    this.content = content;
    this.quote = more.quote;
    this.inner = more.inner;
  }

  /** The state as rules see it (conntrack_mt in xt_conntrack.c, nft_ct_get_eval). */
  get stateToRules(): Exclude<ConnectionState, 'unseen'> {
    return this.state === 'unseen' ? 'invalid' : this.state;
  }

  get family(): Family {
    return this.source.family;
  }

  /** Another host's kernel knows nothing of what this one noted (skb_scrub_packet in net/core/skbuff.c). */
  forget(): void {
    this.mark = 0;
    this.untrack();
  }

  untrack(): void {
    this.connection = undefined;
    this.state = 'unseen';
    this.isReply = false;
    this.balanced = false;
  }

  toString(): string {
    const what =
      this.content === 'error'
        ? `${this.family === 4 ? 'icmp' : 'icmpv6'} error`
        : `${this.protocol} ${this.content}`;
    return `${what} ${endText(this.source, this.sourcePort)} -> ${endText(this.destination, this.destinationPort)}`;
  }
}
