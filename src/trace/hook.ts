import { compilePolicy } from '../world/compile-policy.ts';
import type { Host } from '../world/world.ts';
import type { HookEntry } from './hook-entry.ts';
import { iptablesEntries } from './iptables/table.ts';
import { ipvsEntries } from './ipvs.ts';
import { type NatHook, natOf } from './nat.ts';
import { nftEntries } from './nftables/table.ts';
import type { HookName, Passage, Ruling } from './passage.ts';

const CONNTRACK = -200;
const CONFIRM = 2 ** 31 - 1;
const NAT_DESTINATION = -100;
const NAT_SOURCE = 100;

/** All that is called at one hook of a host. */
export class Hook {
  readonly name: HookName;
  readonly #entries: readonly HookEntry[];

  constructor(name: HookName, entries: readonly HookEntry[]) {
    this.name = name;
    this.#entries = entries;
  }

  run(passage: Passage): Ruling {
    for (const entry of this.#entries) {
      const ruling = entry.run(passage);
      if (ruling !== 'accept') return ruling;
    }
    return 'accept';
  }
}

/** The hooks of a host: its policies first, then its packet filter, in the order in which the lab loads them. */
export function hooksOf(host: Host): Readonly<Record<HookName, Hook>> {
  const { nftables, laterNftables, iptables = [], ipsets = [], ipvs } = host.packetFilter ?? {};
  const parts = [
    ...host.policies.map((policy) => nftEntries(compilePolicy(policy), policy.kind)),
    ...(nftables?.tables ?? []).map((table) => nftEntries(table)),
    ...iptables.map((ruleset) => iptablesEntries(ruleset, ipsets)),
    ...(laterNftables?.tables ?? []).map((table) => nftEntries(table)),
    ipvsEntries(ipvs),
  ];
  // Of two with the same priority the kernel calls the later one first (nf_hook_entries_grow in net/netfilter/core.c).
  const all = parts.flatMap((part) => part.entries).reverse();
  const tracks = parts.some((part) => part.tracks);
  const make = (name: HookName) => new Hook(name, entriesOf(name, all, tracks));
  return {
    prerouting: make('prerouting'),
    input: make('input'),
    forward: make('forward'),
    output: make('output'),
    postrouting: make('postrouting'),
  };
}

function entriesOf(hook: HookName, all: readonly HookEntry[], tracks: boolean): HookEntry[] {
  const here = all.filter((entry) => entry.hook === hook).sort((a, b) => a.priority - b.priority);
  const nat = here.filter(({ type }) => type === 'nat');
  const others = here.filter(({ type }) => type !== 'nat');
  const own = tracks ? [...trackingOf(hook), ...natEntries(hook, nat)] : [];
  return [...own, ...others].sort((a, b) => a.priority - b.priority);
}

function trackingOf(hook: HookName): HookEntry[] {
  const entry = (priority: number, act: (passage: Passage) => void): HookEntry => ({
    hook,
    priority,
    type: 'filter',
    run: (passage) => {
      act(passage);
      return 'accept';
    },
  });
  switch (hook) {
    case 'prerouting':
    case 'output':
      return [entry(CONNTRACK, ({ state, packet }) => state.connections.track(packet))];
    case 'input':
    case 'postrouting':
      return [entry(CONFIRM, ({ state, packet }) => state.connections.confirm(packet))];
    case 'forward':
      return [];
  }
}

function natEntries(hook: HookName, chains: readonly HookEntry[]): HookEntry[] {
  if (hook === 'forward') return [];
  const which: NatHook = hook;
  const priority = hook === 'prerouting' || hook === 'output' ? NAT_DESTINATION : NAT_SOURCE;
  return [{ hook, priority, type: 'filter', run: natOf(which, chains) }];
}
