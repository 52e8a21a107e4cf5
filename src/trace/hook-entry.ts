import type { HookName, Passage, Ruling } from './passage.ts';

/**
 * Who is called at a hook, and when: lower priorities first. Chains of type nat are called from within NAT, which has a
 * place of its own (nf_nat_inet_fn in net/netfilter/nf_nat_core.c).
 */
export interface HookEntry {
  readonly hook: HookName;
  readonly priority: number;
  readonly type: 'filter' | 'nat' | 'route';
  readonly run: (passage: Passage) => Ruling;
}

/** What a part of a host brings to its hooks. */
export interface HookEntries {
  readonly entries: readonly HookEntry[];
  /** Whether it needs connections to be tracked. */
  readonly tracks: boolean;
}
