/**
 * What the network itself does to packets, beside routing: the VPC router's source check, elastic addresses, and the
 * masquerading of a network model. Each is one small value that says what holds; `compilePolicy` makes
 * the nftables table of it that both the kernel and a walk run.
 */
import type { Addr, Prefix } from '../ip/ip.ts';

export type Policy = SourceCheck | ElasticAddresses | Masquerade | EntryMark;

/** Drops what comes in by one of these interfaces from a source that is not listed beside it. */
export interface SourceCheck {
  readonly kind: 'source-check';
  readonly owned: readonly { readonly interface: string; readonly prefixes: readonly Prefix[] }[];
}

/**
 * A 1:1 NAT between elastic and inside addresses. To an elastic address: the destination becomes the inside one. What
 * leaves by an interface of `outside`, or came by an elastic address, has its source changed to the elastic one of its inside address.
 * Whatever would have to be changed and has no elastic address is dropped, and so is what comes from outside to any
 * other address.
 */
export interface ElasticAddresses {
  readonly kind: 'elastic-addresses';
  readonly outside: readonly string[];
  readonly pairs: readonly { readonly elastic: Addr; readonly inside: Addr }[];
}

/** What goes out from `from` to anywhere but `except` takes an address of the interface it leaves by. */
export interface Masquerade {
  readonly kind: 'masquerade';
  readonly from: Prefix;
  readonly except: readonly Prefix[];
}

/**
 * Connections that come in by `entry` for an address of the host are marked, and what comes in by an interface whose
 * name begins with `pods` bears the mark of its connection; a rule of the host routes by it.
 */
export interface EntryMark {
  readonly kind: 'entry-mark';
  readonly entry: string;
  readonly pods: string;
  /** One bit. */
  readonly mark: number;
}
