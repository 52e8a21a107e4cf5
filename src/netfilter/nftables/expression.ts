import type { Addr, Prefix } from '../../ip/ip.ts';

/**
 * What an nftables rule reads from the packet, and what it compares that with. The words are those of nft(8) and of
 * libnftables-json(5).
 */
export type NftExpression =
  | Payload
  | Meta
  | Ct
  | Fib
  | Numgen
  | Concat
  | Bitwise
  | Lookup
  | NftConstant
  | SetReference
  | AnonymousSet
  | UnmodelledExpression;

/** A value that stands in the rule or in a set. */
export type NftConstant = NumberValue | AddressValue | PrefixValue | RangeValue | Word;

/** A header field: `ip daddr`, `th dport`. `th` is whatever transport header follows (TCP, UDP, SCTP). */
export interface Payload {
  readonly kind: 'Payload';
  readonly protocol: string;
  readonly field: string;
}
export const Payload = (protocol: string, field: string): Payload => ({ kind: 'Payload', protocol, field });

/** What the kernel knows about the packet besides its bytes: `meta mark`, `meta l4proto`, `iifname`. */
export interface Meta {
  readonly kind: 'Meta';
  readonly key: string;
}
export const Meta = (key: string): Meta => ({ kind: 'Meta', key });

/** The packet's connection: `ct state`, `ct status`, `ct original ip daddr`. */
export interface Ct {
  readonly kind: 'Ct';
  readonly key: string;
  readonly direction?: 'original' | 'reply';
}
export const Ct = (key: string, direction?: 'original' | 'reply'): Ct =>
  direction === undefined ? { kind: 'Ct', key } : { kind: 'Ct', key, direction };

/** A look into the routing tables: `fib daddr type`. */
export interface Fib {
  readonly kind: 'Fib';
  readonly flags: readonly string[];
  readonly result: string;
}
export const Fib = (flags: readonly string[], result: string): Fib => ({ kind: 'Fib', flags, result });

/** A number from `offset` to `offset + mod - 1`, drawn anew for every packet that meets it. */
export interface Numgen {
  readonly kind: 'Numgen';
  readonly mode: 'random' | 'inc';
  readonly mod: number;
  readonly offset: number;
}
export const Numgen = (mod: number, mode: 'random' | 'inc' = 'random', offset = 0): Numgen => ({
  kind: 'Numgen',
  mode,
  mod,
  offset,
});

/** Several values side by side, as one key: `ip daddr . th dport`. */
export interface Concat<T extends NftExpression = NftExpression> {
  readonly kind: 'Concat';
  readonly of: readonly T[];
}
export const Concat = <const T extends readonly NftExpression[]>(...of: T): Concat<T[number]> => ({
  kind: 'Concat',
  of,
});

export interface Bitwise {
  readonly kind: 'Bitwise';
  readonly operator: '&' | '|' | '^';
  readonly left: NftExpression;
  readonly right: NftExpression;
}
export const Bitwise = (
  left: NftExpression,
  operator: Bitwise['operator'],
  right: NftExpression,
): Bitwise => ({ kind: 'Bitwise', operator, left, right });

/** The value a named map holds under a key. A key the map does not hold ends the rule without a match. */
export interface Lookup {
  readonly kind: 'Lookup';
  readonly key: NftExpression;
  readonly map: SetReference;
}
export const Lookup = (key: NftExpression, map: string): Lookup => ({
  kind: 'Lookup',
  key,
  map: SetReference(map),
});

export interface NumberValue {
  readonly kind: 'NumberValue';
  readonly value: number;
}
export const NumberValue = (value: number): NumberValue => ({ kind: 'NumberValue', value });

export interface AddressValue {
  readonly kind: 'AddressValue';
  readonly addr: Addr;
}
export const AddressValue = (addr: Addr): AddressValue => ({ kind: 'AddressValue', addr });

export interface PrefixValue {
  readonly kind: 'PrefixValue';
  readonly prefix: Prefix;
}
export const PrefixValue = (prefix: Prefix): PrefixValue => ({ kind: 'PrefixValue', prefix });

/** Both ends included. */
export interface RangeValue {
  readonly kind: 'RangeValue';
  readonly from: AddressValue | NumberValue;
  readonly to: AddressValue | NumberValue;
}
export const RangeValue = (from: RangeValue['from'], to: RangeValue['to']): RangeValue => ({
  kind: 'RangeValue',
  from,
  to,
});

/** A constant by its name: `tcp`, `local`, `new`, an interface name (a trailing `*` matches any ending). */
export interface Word {
  readonly kind: 'Word';
  readonly text: string;
}
export const Word = (text: string): Word => ({ kind: 'Word', text });

/** A named set or map of the same table. */
export interface SetReference {
  readonly kind: 'SetReference';
  readonly name: string;
}
export const SetReference = (name: string): SetReference => ({ kind: 'SetReference', name });

/** A set written into the rule. */
export interface AnonymousSet {
  readonly kind: 'AnonymousSet';
  readonly elements: readonly NftExpression[];
}
export const AnonymousSet = (elements: readonly NftExpression[]): AnonymousSet => ({
  kind: 'AnonymousSet',
  elements,
});

/** Something of a foreign rule that is read but not modelled; a walk that needs it says "unknown" and names it. */
export interface UnmodelledExpression {
  readonly kind: 'UnmodelledExpression';
  readonly name: string;
  /** As `nft -j` printed it. */
  readonly json: unknown;
}
export const UnmodelledExpression = (name: string, json: unknown): UnmodelledExpression => ({
  kind: 'UnmodelledExpression',
  name,
  json,
});
