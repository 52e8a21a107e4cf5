import type { Concat, NftConstant } from './expression.ts';
import type { NftStatement, NftVerdict } from './statement.ts';

export type NftFamily = 'ip' | 'ip6' | 'inet' | 'bridge' | 'netdev' | 'arp';

/** The kernel's tables, in the order they were made. */
export interface NftRuleset {
  readonly kind: 'NftRuleset';
  readonly tables: readonly NftTable[];
}
export const NftRuleset = (tables: readonly NftTable[]): NftRuleset => ({ kind: 'NftRuleset', tables });

/** Chains and sets by name. Maps are sets whose elements have a value. */
export interface NftTable {
  readonly kind: 'NftTable';
  readonly family: NftFamily;
  readonly name: string;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
}
export const NftTable = (
  family: NftFamily,
  name: string,
  chains: Iterable<NftChain>,
  sets: Iterable<NftSet>,
): NftTable => ({
  kind: 'NftTable',
  family,
  name,
  chains: new Map([...chains].map((chain) => [chain.name, chain])),
  sets: new Map([...sets].map((set) => [set.name, set])),
});

/** A chain; with `base`, the kernel calls it at a hook. */
export interface NftChain {
  readonly kind: 'NftChain';
  readonly name: string;
  readonly base?: NftHook;
  readonly rules: readonly NftRule[];
  /** Where a chain that was read from a file stands there. */
  readonly place?: string;
}
export const NftChain = (name: string, rules: readonly NftRule[], base?: NftHook): NftChain =>
  base === undefined ? { kind: 'NftChain', name, rules } : { kind: 'NftChain', name, base, rules };

export interface NftHook {
  readonly kind: 'NftHook';
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress';
  /** Lower runs first; -100 is dstnat, 0 filter, 100 srcnat. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}
export const NftHook = (
  type: NftHook['type'],
  hook: NftHook['hook'],
  priority: number,
  policy: NftHook['policy'] = 'accept',
): NftHook => ({ kind: 'NftHook', type, hook, priority, policy });

export interface NftRule {
  readonly kind: 'NftRule';
  readonly statements: readonly NftStatement[];
  readonly comment?: string;
  /** Where a rule that was read from a file stands there; no part of what it does. */
  readonly place?: string;
}
export const NftRule = (statements: readonly NftStatement[], comment?: string): NftRule =>
  comment === undefined ? { kind: 'NftRule', statements } : { kind: 'NftRule', statements, comment };

/** The data types of set keys and values; `integer` is what numgen yields. */
export type NftDataType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'ifname'
  | 'ether_addr'
  | 'integer'
  | (string & {});

/**
 * A named set, or a map when `value` is given. `dynamic` sets are filled by packets: what they hold at run time is no
 * part of the tree, and an update of the rules leaves it alone.
 */
export interface NftSet {
  readonly kind: 'NftSet';
  readonly name: string;
  readonly key: readonly NftDataType[];
  readonly value?: 'verdict' | readonly NftDataType[];
  readonly flags: readonly NftSetFlag[];
  /**
   * Whose ports an `inet_service` is, where the types are said by example because one of them is `integer`. nft ties rules
   * that use the map to this protocol, so a map cannot serve several.
   */
  readonly transport?: 'tcp' | 'udp' | 'sctp';
  readonly timeoutSeconds?: number;
  /** How many elements it may hold; 0 for no bound of its own. */
  readonly size?: number;
  /** By the key's canonical text, see `printKey`. */
  readonly elements: ReadonlyMap<string, NftElement>;
  /** Why what a foreign set holds is not known; a walk that asks it says "unknown". */
  readonly unmodelled?: string;
}
export type NftSetFlag = 'interval' | 'dynamic' | 'timeout' | 'constant';

export const NftSet = (
  name: string,
  key: readonly NftDataType[],
  rest: Omit<Partial<NftSet>, 'kind' | 'name' | 'key'> = {},
): NftSet => ({ kind: 'NftSet', name, key, flags: [], elements: new Map(), ...rest });

export interface NftElement {
  readonly kind: 'NftElement';
  readonly key: NftKey;
  /** Only in maps. */
  readonly value?: NftVerdict | NftKey;
}
export const NftElement = (key: NftKey, value?: NftVerdict | NftKey): NftElement =>
  value === undefined ? { kind: 'NftElement', key } : { kind: 'NftElement', key, value };

/** One constant, or several side by side. */
export type NftKey = NftConstant | Concat<NftConstant>;
