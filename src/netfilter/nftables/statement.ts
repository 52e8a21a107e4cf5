import type { NftExpression, SetReference } from './expression.ts';

/** One step of an nftables rule, in the order of the rule; a match that fails ends the rule. */
export type NftStatement =
  | Match
  | VerdictMap
  | NftVerdict
  | Reject
  | Dnat
  | Snat
  | Masquerade
  | Redirect
  | Notrack
  | Mangle
  | SetUpdate
  | Counter
  | UnmodelledStatement;

/** `==` with a set means membership; `in` tests flags, as `ct state new` does. */
export interface Match {
  readonly kind: 'Match';
  readonly left: NftExpression;
  readonly operator: '==' | '!=' | '<' | '>' | '<=' | '>=' | 'in';
  readonly right: NftExpression;
}
export const Match = (
  left: NftExpression,
  right: NftExpression,
  operator: Match['operator'] = '==',
): Match => ({ kind: 'Match', left, operator, right });

/** The verdict found under a key; without one the rule goes on. */
export interface VerdictMap {
  readonly kind: 'VerdictMap';
  readonly key: NftExpression;
  readonly verdicts: SetReference | AnonymousVerdicts;
}
export const VerdictMap = (key: NftExpression, verdicts: VerdictMap['verdicts']): VerdictMap => ({
  kind: 'VerdictMap',
  key,
  verdicts,
});

export interface AnonymousVerdicts {
  readonly kind: 'AnonymousVerdicts';
  readonly entries: readonly (readonly [key: NftExpression, verdict: NftVerdict])[];
}
export const AnonymousVerdicts = (entries: AnonymousVerdicts['entries']): AnonymousVerdicts => ({
  kind: 'AnonymousVerdicts',
  entries,
});

/** Where the packet goes on. `jump` comes back, `goto` does not; `return` goes back to the caller. */
export type NftVerdict = Accept | Drop | Return | Jump | Goto;

export interface Accept {
  readonly kind: 'Accept';
}
export const Accept = (): Accept => ({ kind: 'Accept' });

export interface Drop {
  readonly kind: 'Drop';
}
export const Drop = (): Drop => ({ kind: 'Drop' });

export interface Return {
  readonly kind: 'Return';
}
export const Return = (): Return => ({ kind: 'Return' });

export interface Jump {
  readonly kind: 'Jump';
  readonly chain: string;
}
export const Jump = (chain: string): Jump => ({ kind: 'Jump', chain });

export interface Goto {
  readonly kind: 'Goto';
  readonly chain: string;
}
export const Goto = (chain: string): Goto => ({ kind: 'Goto', chain });

/** Drops and tells the sender: ICMP or ICMPv6 port unreachable unless `with` says a TCP reset. */
export interface Reject {
  readonly kind: 'Reject';
  readonly with: 'port-unreachable' | 'tcp reset';
}
export const Reject = (how: Reject['with'] = 'port-unreachable'): Reject => ({ kind: 'Reject', with: how });

/** Rewrites the destination of the connection. `to` gives an address, and a port when `port` says or when it is a pair. */
export interface Dnat {
  readonly kind: 'Dnat';
  /** Written when `to` is a lookup, which does not say its family. */
  readonly family?: 'ip' | 'ip6';
  readonly to: NftExpression;
  readonly port?: NftExpression;
}
export const Dnat = (to: NftExpression, rest: Omit<Dnat, 'kind' | 'to'> = {}): Dnat => ({
  kind: 'Dnat',
  to,
  ...rest,
});

/** Rewrites the source of the connection. */
export interface Snat {
  readonly kind: 'Snat';
  readonly family?: 'ip' | 'ip6';
  readonly to: NftExpression;
  readonly port?: NftExpression;
}
export const Snat = (to: NftExpression, rest: Omit<Snat, 'kind' | 'to'> = {}): Snat => ({
  kind: 'Snat',
  to,
  ...rest,
});

/** Rewrites the source to the address of the interface the packet leaves by. */
export interface Masquerade {
  readonly kind: 'Masquerade';
  readonly fullyRandom: boolean;
}
export const Masquerade = (fullyRandom = true): Masquerade => ({ kind: 'Masquerade', fullyRandom });

/** Rewrites the destination to the host itself, and to another port where one is said. */
export interface Redirect {
  readonly kind: 'Redirect';
  readonly port?: NftExpression;
}
export const Redirect = (port?: NftExpression): Redirect => ({
  kind: 'Redirect',
  ...(port === undefined ? {} : { port }),
});

/** No connection is kept of the packet. */
export interface Notrack {
  readonly kind: 'Notrack';
}
export const Notrack = (): Notrack => ({ kind: 'Notrack' });

/** Writes to the packet or to what the kernel knows about it: `meta mark set …`. */
export interface Mangle {
  readonly kind: 'Mangle';
  readonly key: NftExpression;
  readonly value: NftExpression;
}
export const Mangle = (key: NftExpression, value: NftExpression): Mangle => ({ kind: 'Mangle', key, value });

/** Puts an element into a dynamic set; `update` also starts its timeout anew. */
export interface SetUpdate {
  readonly kind: 'SetUpdate';
  readonly operation: 'add' | 'update' | 'delete';
  readonly set: SetReference;
  readonly element: NftExpression;
}
export const SetUpdate = (
  operation: SetUpdate['operation'],
  set: SetReference,
  element: NftExpression,
): SetUpdate => ({ kind: 'SetUpdate', operation, set, element });

/** Counts; changes nothing. What it has counted is not part of the rule. */
export interface Counter {
  readonly kind: 'Counter';
}
export const Counter = (): Counter => ({ kind: 'Counter' });

/** A statement of a foreign rule that is read but not modelled. */
export interface UnmodelledStatement {
  readonly kind: 'UnmodelledStatement';
  readonly name: string;
  /** As `nft -j` printed it. */
  readonly json: unknown;
}
export const UnmodelledStatement = (name: string, json: unknown): UnmodelledStatement => ({
  kind: 'UnmodelledStatement',
  name,
  json,
});
