import { type Addr, type Mac, Prefix } from '../../ip/ip.ts';
import type { Policy } from '../policy.ts';
import type { Host, Route } from '../world.ts';

/** What turned out to be behind a port of the VPC's router. */
export interface Machine {
  readonly mac: Mac;
  /** What was taken for its addresses, and what they are. */
  readonly addresses: readonly { readonly taken: Addr; readonly is: Addr }[];
}

/** The router as it has to be for the machine that was read. */
export function facing(router: Host, port: string, { mac, addresses }: Machine): Host {
  const isOf = (addr: Addr) => addresses.find(({ taken }) => taken.equals(addr))?.is ?? addr;
  const moved = (prefix: Prefix) => (prefix.isHost ? Prefix.host(isOf(prefix.addr)) : prefix);
  return {
    ...router,
    neighbours: router.neighbours.map((one) =>
      one.interface === port ? { ...one, addr: isOf(one.addr), mac } : one,
    ),
    routes: router.routes.map((route): Route => {
      if (route.kind !== 'unicast' || route.interface !== port) return route;
      const to = moved(route.to);
      return route.via === undefined ? { ...route, to } : { ...route, to, via: isOf(route.via) };
    }),
    policies: router.policies.map((policy): Policy => {
      if (policy.kind !== 'source-check') return policy;
      const owned = policy.owned.map((one) =>
        one.interface === port ? { ...one, prefixes: one.prefixes.map(moved) } : one,
      );
      return { ...policy, owned };
    }),
  };
}

/** The router without a port behind which nothing turned out to be. */
export function without(router: Host, port: string): Host {
  const stays = (one: { readonly interface: string }) => one.interface !== port;
  return {
    ...router,
    interfaces: router.interfaces.filter(({ name }) => name !== port),
    neighbours: router.neighbours.filter(stays),
    routes: router.routes.filter((route) => route.kind !== 'unicast' || stays(route)),
    policies: router.policies.map((policy) =>
      policy.kind === 'source-check' ? { ...policy, owned: policy.owned.filter(stays) } : policy,
    ),
  };
}
