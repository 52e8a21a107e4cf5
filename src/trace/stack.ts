import type { Addr, Family } from '../ip/ip.ts';
import { type Host, hostOf, type Interface, type World } from '../world/world.ts';
import { type Hook, hooksOf } from './hook.ts';
import type { HookName } from './passage.ts';
import { Routing } from './routing.ts';
import { transportOf } from './tuple.ts';

/** One interface of a {@link Stack}. */
export interface StackInterface {
  readonly stack: Stack;
  readonly name: string;
  readonly is: Interface;
  /** The larger of the host's setting and the interface's. */
  readonly rpFilter: number;
  /** The Ethernet address; empty for loopback. */
  readonly mac: string;
  /** The other end of its link. */
  readonly peer: { readonly host: string; readonly interface: string } | undefined;
  /** The Ethernet addresses of the permanent neighbours, by address. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** What asking the link has found (ARP, neighbour discovery), by address; filled as it is asked. */
  readonly resolved: Map<string, string | undefined>;
}

/**
 * A host worked out for walking: tables indexed, rules turned into functions. It is made once and holds nothing of a walk.
 */
export class Stack {
  readonly host: Host;
  readonly name: string;
  readonly interfaces: ReadonlyMap<string, StackInterface>;
  readonly loopback: StackInterface;
  readonly routing: Routing;
  readonly hooks: Readonly<Record<HookName, Hook>>;
  readonly #listeners = new Map<string, (Addr | undefined)[]>();

  constructor(host: Host, links: ReadonlyMap<string, StackInterface['peer']>) {
    this.host = host;
    this.name = host.name;
    const interfaces = host.interfaces.map((each) => [each.name, this.#interface(each, links)] as const);
    this.interfaces = new Map(interfaces);
    const loopback = interfaces.find(([, { is }]) => is.kind === 'loopback')?.[1];
    this.loopback = loopback ?? this.#interface({ kind: 'loopback', name: 'lo', addresses: [] }, links);
    this.routing = new Routing(host);
    this.hooks = hooksOf(host);
    for (const { protocol, port, addr } of host.listeners) {
      const key = `${transportOf(protocol)}/${port}`;
      const at = this.#listeners.get(key) ?? [];
      at.push(addr);
      this.#listeners.set(key, at);
    }
  }

  #interface(each: Interface, links: ReadonlyMap<string, StackInterface['peer']>): StackInterface {
    const { sysctls, neighbours } = this.host;
    const known = neighbours.filter((one) => one.interface === each.name);
    return {
      stack: this,
      name: each.name,
      is: each,
      rpFilter: Math.max(sysctls.rpFilter, each.rpFilter ?? sysctls.rpFilter),
      mac: each.kind === 'loopback' ? '' : each.mac.text,
      peer: links.get(endKey(this.host.name, each.name)),
      neighbours: new Map(known.map(({ addr, mac }) => [addr.text, mac.text])),
      resolved: new Map(),
    };
  }

  /** Whether what comes in goes on to others (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding). */
  forwards(family: Family): boolean {
    const { ipForward, ipv6Forwarding } = this.host.sysctls;
    return family === 4 ? ipForward : ipv6Forwarding === true;
  }

  /** Whether what a bridge switches passes the family's hooks. */
  filtersSwitched(family: Family): boolean {
    const { bridgeNfCallIptables, bridgeNfCallIp6tables } = this.host.sysctls;
    return family === 4 ? bridgeNfCallIptables : bridgeNfCallIp6tables === true;
  }

  /** Whether a process takes what comes to this address and port. */
  listens(protocol: string, addr: Addr, port: number): boolean {
    const at = this.#listeners.get(`${protocol}/${port}`);
    return (
      at?.some((one) => one === undefined || one.text === addr.text || isAnyOf(one, addr.family)) ?? false
    );
  }

  portsOf(bridge: string): StackInterface[] {
    return [...this.interfaces.values()].filter(({ is }) => is.kind === 'veth' && is.bridge === bridge);
  }
}

/** The unspecified address stands for all of its family. */
const isAnyOf = (one: Addr, family: Addr['family']): boolean => one.isUnspecified && one.family === family;

const endKey = (host: string, name: string): string => `${host} ${name}`;

/** The hosts of a World, each worked out when a packet first comes to it. */
export class Stage {
  readonly world: World;
  readonly #links = new Map<string, StackInterface['peer']>();
  readonly #stacks = new Map<string, Stack>();

  constructor(world: World) {
    this.world = world;
    for (const { a, b } of world.links) {
      this.#links.set(endKey(a.host, a.interface), b);
      this.#links.set(endKey(b.host, b.interface), a);
    }
  }

  /** Throws {@link Fault} FE011 for a host that is not in the World. */
  stack(name: string): Stack {
    let stack = this.#stacks.get(name);
    if (stack === undefined) {
      stack = new Stack(hostOf(this.world, name), this.#links);
      this.#stacks.set(name, stack);
    }
    return stack;
  }

  /** The other end of an interface's link. */
  peerOf({ peer }: StackInterface): StackInterface | undefined {
    return peer === undefined ? undefined : this.stack(peer.host).interfaces.get(peer.interface);
  }
}
