import { type Addr, bitsOf, Prefix } from '../ip/ip.ts';
import type { Host } from '../world/world.ts';

/** The default policy table of RFC 6724 2.1 as Linux has it, longest prefix first (net/ipv6/addrlabel.c). */
const LABELS: readonly (readonly [Prefix, number])[] = (
  [
    ['::1/128', 0],
    ['::ffff:0:0/96', 4],
    ['::/96', 3],
    ['2001::/32', 6],
    ['2001:10::/28', 7],
    ['3ffe::/16', 12],
    ['2002::/16', 2],
    ['fec0::/10', 11],
    ['fc00::/7', 5],
    ['::/0', 1],
  ] as const
).map(([text, label]) => [Prefix.parse(text), label] as const);

/** The scopes of RFC 4291 as numbers: link-local is smaller than global; a unique local address is global. */
const LINK_LOCAL_SCOPE = 2;
const GLOBAL_SCOPE = 14;

const scopeOf = (addr: Addr): number =>
  addr.isLoopback || addr.isLinkLocal ? LINK_LOCAL_SCOPE : GLOBAL_SCOPE;
const labelOf = (addr: Addr): number => LABELS.find(([prefix]) => prefix.contains(addr))?.[1] ?? 1;

/**
 * The address a host sends from to an IPv6 destination (ipv6_dev_get_saddr in net/ipv6/addrconf.c, RFC 6724): of all its
 * addresses, on whichever interface, the one that wins rule by rule; of equals the first. Link-local ones are no part of a
 * World and win against no other. `undefined`: it has none.
 */
export function sourceOfIpv6({ interfaces }: Host, output: string, destination: Addr): Addr | undefined {
  const label = labelOf(destination);
  const scope = scopeOf(destination);
  /** Of two ranks the larger one at the first difference wins. */
  const rankOf = (name: string, addr: Addr, length: number): number[] => {
    const own = scopeOf(addr);
    return [
      Number(addr.equals(destination)),
      // A scope that holds the destination's before one that does not; the smallest of those, the largest of these.
      own >= scope ? GLOBAL_SCOPE * 2 - own : own,
      Number(name === output),
      Number(labelOf(addr) === label),
      Math.min(length, sharedBits(addr, destination)),
    ];
  };
  let best: { readonly addr: Addr; readonly rank: number[] } | undefined;
  for (const { name, addresses } of interfaces) {
    // Of one scope the kernel puts the address that came last before the others (ipv6_link_dev_addr).
    for (const { addr, length } of addresses.toReversed()) {
      if (addr.family !== 6) continue;
      const rank = rankOf(name, addr, length);
      if (best === undefined || isAbove(rank, best.rank)) best = { addr, rank };
    }
  }
  return best?.addr;
}

function isAbove(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0);
}

function sharedBits(a: Addr, b: Addr): number {
  const bits = bitsOf(a.family);
  const differing = (a.value ^ b.value).toString(2).length;
  return a.equals(b) ? bits : bits - differing;
}
