import type { Addr, Endpoint, Port, Prefix, Protocol } from '../../ip/ip.ts';

/** One rule of a chain: every match must hold, then the target acts. Without a target the matches act alone (`recent`). */
export interface IptablesRule {
  readonly kind: 'IptablesRule';
  readonly matches: readonly IptablesMatch[];
  readonly target: IptablesTarget | undefined;
  /** `file:line` of a rule that was read from a file; no part of what it does. */
  readonly place?: string;
}
export const IptablesRule = (matches: readonly IptablesMatch[], target?: IptablesTarget): IptablesRule => ({
  kind: 'IptablesRule',
  matches,
  target,
});

/** The matches in the order iptables-save prints them; those with `not` are printed after an exclamation mark. */
export type IptablesMatch =
  | Source
  | Destination
  | InInterface
  | OutInterface
  | IpProtocol
  | Comment
  | TransportPorts
  | AddrType
  | Conntrack
  | ConntrackEnd
  | MultiPort
  | Mark
  | Statistic
  | Recent
  | MatchSet
  | BridgeInput
  | BalancedTo
  | UnmodelledMatch;

/** `-s`. */
export interface Source {
  readonly kind: 'Source';
  readonly prefix: Prefix;
  readonly not: boolean;
}
export const Source = (prefix: Prefix, not = false): Source => ({ kind: 'Source', prefix, not });

/** `-d`. */
export interface Destination {
  readonly kind: 'Destination';
  readonly prefix: Prefix;
  readonly not: boolean;
}
export const Destination = (prefix: Prefix, not = false): Destination => ({
  kind: 'Destination',
  prefix,
  not,
});

/** `-i`; a trailing `+` matches any ending. */
export interface InInterface {
  readonly kind: 'InInterface';
  readonly name: string;
  readonly not: boolean;
}
export const InInterface = (name: string, not = false): InInterface => ({ kind: 'InInterface', name, not });

/** `-o`; a trailing `+` matches any ending. */
export interface OutInterface {
  readonly kind: 'OutInterface';
  readonly name: string;
  readonly not: boolean;
}
export const OutInterface = (name: string, not = false): OutInterface => ({
  kind: 'OutInterface',
  name,
  not,
});

/** `-p`, in lower case as iptables-save prints it. */
export interface IpProtocol {
  readonly kind: 'IpProtocol';
  readonly protocol: string;
  readonly not: boolean;
}
export const IpProtocol = (protocol: string, not = false): IpProtocol => ({
  kind: 'IpProtocol',
  protocol,
  not,
});

/** `-m comment`. */
export interface Comment {
  readonly kind: 'Comment';
  readonly text: string;
}
export const Comment = (text: string): Comment => ({ kind: 'Comment', text });

/**
 * `-m tcp --dport`: a port or a range of the transport header, and `--tcp-flags`. Without any it only says which header
 * follows.
 */
export interface TransportPorts {
  readonly kind: 'TransportPorts';
  readonly module: 'tcp' | 'udp' | 'sctp';
  readonly source?: PortRange;
  readonly destination?: PortRange;
  readonly flags?: TcpFlags;
}
/** Of the flags of `among`, just those of `set` are up; `--syn` is a short form of it. */
export interface TcpFlags {
  readonly among: readonly string[];
  readonly set: readonly string[];
  readonly not: boolean;
}
/** Both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
  readonly not: boolean;
}
export const TransportPorts = (
  module: TransportPorts['module'],
  ports: Omit<TransportPorts, 'kind' | 'module'> = {},
): TransportPorts => ({ kind: 'TransportPorts', module, ...ports });

/** The range that holds one port. */
export const onePort = (port: Port): PortRange => ({ from: port, to: port, not: false });

/** `-m addrtype`: what the routing tables of this host say of an address. */
export interface AddrType {
  readonly kind: 'AddrType';
  readonly side: 'src' | 'dst';
  readonly type: string;
  readonly not: boolean;
}
export const AddrType = (side: AddrType['side'], type: string, not = false): AddrType => ({
  kind: 'AddrType',
  side,
  type,
  not,
});

/** `-m conntrack --ctstate`, or the older `-m state --state`. */
export interface Conntrack {
  readonly kind: 'Conntrack';
  readonly states: readonly ConntrackState[];
  readonly not: boolean;
  readonly module?: 'state';
}
export type ConntrackState = 'INVALID' | 'NEW' | 'RELATED' | 'ESTABLISHED' | 'UNTRACKED' | 'SNAT' | 'DNAT';
export const Conntrack = (states: readonly ConntrackState[], not = false): Conntrack => ({
  kind: 'Conntrack',
  states,
  not,
});

/** `-m conntrack --ctorigdst` and the like: an end of the connection, as its first packet or the answer to it has it. */
export interface ConntrackEnd {
  readonly kind: 'ConntrackEnd';
  readonly direction: 'original' | 'reply';
  readonly side: 'source' | 'destination';
  readonly prefix: Prefix;
  readonly not: boolean;
}
export const ConntrackEnd = (
  direction: ConntrackEnd['direction'],
  side: ConntrackEnd['side'],
  prefix: Prefix,
  not = false,
): ConntrackEnd => ({ kind: 'ConntrackEnd', direction, side, prefix, not });

/** `-m multiport`: one of several ports or ranges; `ports` asks for the source or the destination. */
export interface MultiPort {
  readonly kind: 'MultiPort';
  readonly side: 'sports' | 'dports' | 'ports';
  readonly ranges: readonly Omit<PortRange, 'not'>[];
  readonly not: boolean;
}
export const MultiPort = (side: MultiPort['side'], ranges: MultiPort['ranges'], not = false): MultiPort => ({
  kind: 'MultiPort',
  side,
  ranges,
  not,
});

/** `-m mark`: holds when the packet's mark and `mask` is `value`. */
export interface Mark {
  readonly kind: 'Mark';
  readonly value: number;
  readonly mask: number;
  readonly not: boolean;
}
export const Mark = (value: number, mask: number, not = false): Mark => ({ kind: 'Mark', value, mask, not });

/** `-m statistic --mode random`; the kernel keeps the probability in units of 2^-31. */
export interface Statistic {
  readonly kind: 'Statistic';
  readonly probability: number;
}
export const Statistic = (probability: number): Statistic => ({
  kind: 'Statistic',
  probability: Math.round(probability * 2 ** 31) / 2 ** 31,
});

/** `-m recent`: a named list of source addresses with the time each was last seen. `rcheck` reads, `set` writes. */
export interface Recent {
  readonly kind: 'Recent';
  readonly operation: 'rcheck' | 'set' | 'update' | 'remove';
  readonly list: string;
  /** With rcheck and update: how long ago at most. */
  readonly seconds?: number;
  readonly reap: boolean;
  readonly not: boolean;
}
export const Recent = (
  operation: Recent['operation'],
  list: string,
  rest: { readonly seconds?: number; readonly reap?: boolean; readonly not?: boolean } = {},
): Recent => ({ kind: 'Recent', operation, list, reap: false, not: false, ...rest });

/** `-m set --match-set`: membership of an ipset; `fields` says which header field each part of the entry is read from. */
export interface MatchSet {
  readonly kind: 'MatchSet';
  readonly set: string;
  readonly fields: readonly ('src' | 'dst')[];
  readonly not: boolean;
}
export const MatchSet = (set: string, fields: MatchSet['fields'], not = false): MatchSet => ({
  kind: 'MatchSet',
  set,
  fields,
  not,
});

/** `-m physdev --physdev-is-in`: the packet came in by a port of a bridge, and br_netfilter called the hook. */
export interface BridgeInput {
  readonly kind: 'BridgeInput';
  readonly not: boolean;
}
export const BridgeInput = (not = false): BridgeInput => ({ kind: 'BridgeInput', not });

/** `-m ipvs --vproto --vaddr --vport`: IPVS is sending the packet on for this virtual server (net/netfilter/xt_ipvs.c). */
export interface BalancedTo {
  readonly kind: 'BalancedTo';
  readonly protocol: Protocol;
  readonly virtual: Endpoint;
}
export const BalancedTo = (protocol: Protocol, virtual: Endpoint): BalancedTo => ({
  kind: 'BalancedTo',
  protocol,
  virtual,
});

/** A match of a foreign rule that is read but not modelled; a walk that meets it says "unknown" and names it. */
export interface UnmodelledMatch {
  readonly kind: 'UnmodelledMatch';
  readonly words: readonly string[];
}
export const UnmodelledMatch = (words: readonly string[]): UnmodelledMatch => ({
  kind: 'UnmodelledMatch',
  words,
});

export type IptablesTarget =
  | JumpTo
  | GotoChain
  | AcceptPacket
  | DropPacket
  | ReturnToCaller
  | RejectWith
  | DnatTo
  | SnatTo
  | MasqueradeTarget
  | SetMark
  | UnmodelledTarget;

/** `-j CHAIN`. */
export interface JumpTo {
  readonly kind: 'JumpTo';
  readonly chain: string;
}
export const JumpTo = (chain: string): JumpTo => ({ kind: 'JumpTo', chain });

/** `-g CHAIN`: the packet does not come back. */
export interface GotoChain {
  readonly kind: 'GotoChain';
  readonly chain: string;
}
export const GotoChain = (chain: string): GotoChain => ({ kind: 'GotoChain', chain });

export interface AcceptPacket {
  readonly kind: 'AcceptPacket';
}
export const AcceptPacket = (): AcceptPacket => ({ kind: 'AcceptPacket' });

export interface DropPacket {
  readonly kind: 'DropPacket';
}
export const DropPacket = (): DropPacket => ({ kind: 'DropPacket' });

export interface ReturnToCaller {
  readonly kind: 'ReturnToCaller';
}
export const ReturnToCaller = (): ReturnToCaller => ({ kind: 'ReturnToCaller' });

/** `-j REJECT`; `icmp-port-unreachable` for IPv4 and `icmp6-port-unreachable` for IPv6 unless said. */
export interface RejectWith {
  readonly kind: 'RejectWith';
  readonly with: string;
}
export const RejectWith = (how: string): RejectWith => ({ kind: 'RejectWith', with: how });

/** `-j DNAT --to-destination`. */
export interface DnatTo {
  readonly kind: 'DnatTo';
  readonly to: Endpoint | Addr;
}
export const DnatTo = (to: Endpoint | Addr): DnatTo => ({ kind: 'DnatTo', to });

/** `-j SNAT --to-source`. */
export interface SnatTo {
  readonly kind: 'SnatTo';
  readonly to: Endpoint | Addr;
}
export const SnatTo = (to: Endpoint | Addr): SnatTo => ({ kind: 'SnatTo', to });

/** `-j MASQUERADE`. */
export interface MasqueradeTarget {
  readonly kind: 'MasqueradeTarget';
  readonly randomFully: boolean;
}
export const MasqueradeTarget = (randomFully = true): MasqueradeTarget => ({
  kind: 'MasqueradeTarget',
  randomFully,
});

/** `-j MARK --set-xmark value/mask`: clears the bits of the mask, then flips those of the value. */
export interface SetMark {
  readonly kind: 'SetMark';
  readonly value: number;
  readonly mask: number;
}
export const SetMark = (value: number, mask: number): SetMark => ({ kind: 'SetMark', value, mask });

/** A target of a foreign rule that is read but not modelled. */
export interface UnmodelledTarget {
  readonly kind: 'UnmodelledTarget';
  readonly words: readonly string[];
}
export const UnmodelledTarget = (words: readonly string[]): UnmodelledTarget => ({
  kind: 'UnmodelledTarget',
  words,
});
