/**
 * What the network itself does to packets, beside routing: the VPC router's source check, elastic addresses, and the
 * masquerading of a network model. Each is one small value that says what holds for one address family; `compilePolicy` makes
 * the nftables table of it that both the kernel and a walk run.
 */
import type { Addr, Endpoint, Family, Port, Prefix, Protocol } from '../ip/ip.ts';

export type Policy =
  | SourceCheck
  | ElasticAddresses
  | Masquerade
  | EntryMark
  | ReturnPath
  | Balance
  | HostPorts;

interface OfFamily {
  readonly family: Family;
}

/** Drops what comes in by one of these interfaces from a source that is not listed beside it. */
export interface SourceCheck extends OfFamily {
  readonly kind: 'source-check';
  readonly owned: readonly { readonly interface: string; readonly prefixes: readonly Prefix[] }[];
}

/**
 * A 1:1 NAT between elastic and inside addresses. To an elastic address: the destination becomes the inside one. What
 * leaves by an interface of `outside`, or came by an elastic address, has its source changed to the elastic one of its inside address.
 * Whatever would have to be changed and has no elastic address is dropped, and so is what comes from outside to any
 * other address.
 */
export interface ElasticAddresses extends OfFamily {
  readonly kind: 'elastic-addresses';
  readonly outside: readonly string[];
  readonly pairs: readonly { readonly elastic: Addr; readonly inside: Addr }[];
  /**
   * Single ports of further elastic addresses, as a NAT gateway hands them out. What comes from outside has its destination
   * changed and keeps its source; nothing inside reaches such an address (the gateway does not hairpin).
   */
  readonly forwards?: readonly Forward[];
}

export interface Forward {
  readonly elastic: Addr;
  readonly protocol: Protocol;
  readonly port: Port;
  readonly to: Endpoint;
}

/** What goes out from `from` to anywhere but `except` takes an address of the interface it leaves by. */
export interface Masquerade extends OfFamily {
  readonly kind: 'masquerade';
  readonly from: Prefix;
  readonly except: readonly Prefix[];
}

/**
 * Connections that come in by `entry` for an address of the host are marked, and what comes in by an interface whose
 * name begins with `pods` bears the mark of its connection; a rule of the host routes by it.
 */
export interface EntryMark extends OfFamily {
  readonly kind: 'entry-mark';
  readonly entry: string;
  readonly pods: string;
  /** One bit. */
  readonly mark: number;
}

/**
 * What answers a connection that came in by one of these interfaces goes back by it, although its destination lies
 * elsewhere; a rule of the host routes by the mark. So a balancer that leaves the client's address alone sees the answers.
 */
export interface ReturnPath extends OfFamily {
  readonly kind: 'return-path';
  readonly ways: readonly { readonly interface: string; readonly mark: number }[];
}

/**
 * Ports of the host that lead to one pod each, as the plugin portmap of CNI makes them for `hostPort`. kube-proxy's rules
 * stand before them: where both have a port, the Service gets it.
 */
export interface HostPorts extends OfFamily {
  readonly kind: 'host-ports';
  readonly ports: readonly HostPort[];
}

export interface HostPort {
  readonly protocol: Protocol;
  readonly port: Port;
  /** Of the host; each of its addresses unless said. */
  readonly addr?: Addr;
  readonly to: Endpoint;
  /** Whose answers would not come back through the host: what shares a bridge with the pod, or the pod itself. */
  readonly near: Prefix;
}

/** What comes for an address of the host at one of these ports goes to one of the members, each with the same chance. */
export interface Balance extends OfFamily {
  readonly kind: 'balance';
  /** Without it the members see the balancer's address. */
  readonly keepClientAddress: boolean;
  readonly listeners: readonly BalancerListener[];
}

/** One without members refuses. */
export interface BalancerListener {
  readonly protocol: Protocol;
  readonly port: Port;
  /** With it, every port from {@link BalancerListener.port} to this one. */
  readonly lastPort?: Port;
  /** One that stands here several times is chosen as often more. */
  readonly members: readonly Endpoint[];
  /** The balancer's unless said. */
  readonly keepClientAddress?: boolean;
  /** What the balancer speaks with clients: it ends their connections and opens its own, so it keeps no address. */
  readonly ends?: EndedProtocol;
  /** It writes a PROXY header before what clients send. */
  readonly proxyProtocol?: boolean;
}

export type EndedProtocol = 'HTTP' | 'HTTPS' | 'TLS';
