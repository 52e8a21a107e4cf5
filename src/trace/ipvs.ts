import type { Host } from '../world/world.ts';
import type { HookEntries } from './hook-entry.ts';

/** IPVS at its hooks (net/netfilter/ipvs/ip_vs_core.c). */
export function ipvsEntries(_host: Host): HookEntries {
  return { entries: [], tracks: false };
}
