import type { Family } from '../../ip/ip.ts';
import type { IptablesRule } from './rule.ts';

export type IptablesTableName = 'raw' | 'mangle' | 'nat' | 'filter' | 'security';

/** The tables of one family: what iptables-save (or ip6tables-save) prints. */
export interface IptablesRuleset {
  readonly kind: 'IptablesRuleset';
  readonly family: Family;
  readonly tables: ReadonlyMap<IptablesTableName, IptablesTable>;
}
export const IptablesRuleset = (family: Family, tables: Iterable<IptablesTable>): IptablesRuleset => ({
  kind: 'IptablesRuleset',
  family,
  tables: new Map([...tables].map((table) => [table.name, table])),
});

/** Chains by name, in the order they are printed. */
export interface IptablesTable {
  readonly kind: 'IptablesTable';
  readonly name: IptablesTableName;
  readonly chains: ReadonlyMap<string, IptablesChain>;
}
export const IptablesTable = (name: IptablesTableName, chains: Iterable<IptablesChain>): IptablesTable => ({
  kind: 'IptablesTable',
  name,
  chains: new Map([...chains].map((chain) => [chain.name, chain])),
});

/** A chain; the kernel's own ones have a policy, which decides what falls off their end. */
export interface IptablesChain {
  readonly kind: 'IptablesChain';
  readonly name: string;
  readonly policy?: 'ACCEPT' | 'DROP';
  readonly rules: readonly IptablesRule[];
  /** `file:line` of a chain that was read from a file. */
  readonly place?: string;
}
export const IptablesChain = (
  name: string,
  rules: readonly IptablesRule[],
  policy?: 'ACCEPT' | 'DROP',
): IptablesChain =>
  policy === undefined
    ? { kind: 'IptablesChain', name, rules }
    : { kind: 'IptablesChain', name, policy, rules };

/** The chains the kernel itself calls, a table each. */
export const BUILT_IN_CHAINS: Readonly<Record<IptablesTableName, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};
