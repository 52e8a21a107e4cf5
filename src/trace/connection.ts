import type { Addr } from '../ip/ip.ts';
import { endText, reversed, type Transport, type Tuple } from './tuple.ts';

/**
 * An entry of a host's connection tracking (net/netfilter/nf_conntrack_core.c). `reply` is what the answer is expected to
 * look like, so NAT is what keeps it from being the reverse of `original`.
 */
export class Connection {
  readonly protocol: Transport;
  readonly original: Readonly<Tuple>;
  reply: Tuple;
  mark = 0;
  seenReply = false;
  confirmed = false;
  /** Source and destination are decided once, by the first packet (IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE). */
  sourceDecided = false;
  destinationDecided = false;
  /** IPS_SRC_NAT and IPS_DST_NAT. */
  isSourceNat = false;
  isDestinationNat = false;

  constructor(protocol: Transport, tuple: Readonly<Tuple>) {
    const { source, sourcePort, destination, destinationPort } = tuple;
    this.protocol = protocol;
    this.original = { source, sourcePort, destination, destinationPort };
    this.reply = reversed(this.original);
  }

  /** What DNAT does. */
  rewriteDestination(addr: Addr, port: number): void {
    this.reply = { ...this.reply, source: addr, sourcePort: port };
    this.isDestinationNat =
      addr.text !== this.original.destination.text || port !== this.original.destinationPort;
  }

  /** What SNAT and masquerading do. */
  rewriteSource(addr: Addr, port: number): void {
    this.reply = { ...this.reply, destination: addr, destinationPort: port };
    this.isSourceNat = addr.text !== this.original.source.text || port !== this.original.sourcePort;
  }

  toString(): string {
    const { source, sourcePort, destination, destinationPort } = this.original;
    return `${this.protocol} ${endText(source, sourcePort)} -> ${endText(destination, destinationPort)}`;
  }

  /** IPVS says where the answer will come from, and rewrites it itself (ip_vs_update_conntrack in ip_vs_nfct.c). */
  expectReplyFrom(addr: Addr, port: number): void {
    this.reply = { ...this.reply, source: addr, sourcePort: port };
  }
}
