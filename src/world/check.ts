import { Fault } from '../fault/fault.ts';
import { rangesOf } from './profile.ts';
import type { Host, Interface, LinkEnd, World } from './world.ts';

/**
 * Gives the World back if it can be built. Throws {@link Fault} FE011 that names what contradicts what: two hosts with one
 * address or namespace, a link without an end, an interface without a link, a route by an interface that is not there.
 */
export function checkWorld(world: World): World {
  checkNamespaces(world);
  checkAddresses(world);
  for (const host of world.hosts.values()) checkHost(host);
  checkLinks(world);
  return world;
}

function contradiction(message: string, cure: string): Fault {
  return new Fault('FE011', message, cure);
}

function checkNamespaces(world: World): void {
  const seen = new Map<string, string>();
  for (const { name, netns } of world.hosts.values()) {
    const other = seen.get(netns);
    if (other !== undefined) {
      throw contradiction(`'${name}' and '${other}' are both the namespace '${netns}'`, 'rename one');
    }
    // Linux file names; ip-netns(8) makes one file a namespace.
    if (!/^[\w.-]{1,255}$/.test(netns) || netns === '.' || netns === '..') {
      throw contradiction(`'${netns}' cannot name a namespace`, 'use letters, digits, dots and dashes');
    }
    seen.set(netns, name);
  }
}

/** Hosts that were read may share an address, such as that of a bridge no other machine ever sees. */
const isShared = (world: World, one: string, other: string): boolean =>
  [one, other].every((name) => world.hosts.get(name)?.readFrom !== undefined);

/** No two machines have one address, nor has one of them that of a Service or an elastic one. */
function checkAddresses(world: World): void {
  const owners = new Map<string, string>();
  const serviceRanges = rangesOf(world.profile).map(({ serviceCIDR }) => serviceCIDR);
  const claim = (addr: string, owner: string) => {
    const other = owners.get(addr);
    if (other !== undefined && other !== owner && !isShared(world, owner, other)) {
      throw contradiction(
        `'${owner}' and '${other}' both have the address ${addr}`,
        'give one another address',
      );
    }
    owners.set(addr, owner);
  };
  for (const host of world.hosts.values()) {
    // What a dummy holds, every node may hold: the addresses of Services and balancers under IPVS.
    const own = host.interfaces.filter((each) => each.kind !== 'dummy');
    for (const { addr } of own.flatMap((each) => each.addresses)) {
      const service = serviceRanges.find((range) => range.contains(addr));
      if (service !== undefined) {
        throw contradiction(
          `'${host.name}' has the address ${addr} of the serviceCIDR ${service}`,
          'move one of them',
        );
      }
      claim(addr.text, host.name);
    }
    for (const policy of host.policies) {
      if (policy.kind !== 'elastic-addresses') continue;
      for (const { elastic, inside } of policy.pairs) {
        // An address that is reached from everywhere as it is, as those of IPv6 often are.
        if (!elastic.equals(inside)) claim(elastic.text, `elastic address of ${inside}`);
      }
    }
  }
}

function checkHost(host: Host): void {
  const links = new Map<string, Interface>();
  for (const each of host.interfaces) {
    if (each.name.length > 15 || !/^[\w.-]+$/.test(each.name)) {
      throw contradiction(
        `'${each.name}' of '${host.name}' cannot name an interface`,
        'use at most 15 letters',
      );
    }
    if (links.has(each.name)) {
      throw contradiction(`'${host.name}' has two interfaces '${each.name}'`, 'rename one');
    }
    links.set(each.name, each);
  }
  const named = [
    ...host.routes.flatMap((route) => (route.kind === 'unicast' ? [route.interface] : [])),
    ...host.neighbours.map((each) => each.interface),
    ...host.interfaces.flatMap((each) => (each.kind === 'vxlan' ? [each.underlay] : [])),
  ];
  const gone = named.find((name) => !links.has(name));
  if (gone !== undefined) throw contradiction(`'${host.name}' has no interface '${gone}'`, 'add it');
  for (const each of host.interfaces) {
    if (each.kind !== 'veth' || each.bridge === undefined) continue;
    if (links.get(each.bridge)?.kind !== 'bridge') {
      throw contradiction(`'${host.name}' has no bridge '${each.bridge}'`, 'add it');
    }
  }
}

/** Every veth interface is the end of one link, but for those of which nobody knows the other end. */
function checkLinks(world: World): void {
  const key = (end: LinkEnd) => `${end.host} ${end.interface}`;
  const ends = new Set<string>();
  for (const end of world.links.flatMap(({ a, b }) => [a, b])) {
    const found = world.hosts.get(end.host)?.interfaces.find((each) => each.name === end.interface);
    if (found?.kind !== 'veth') {
      throw contradiction(`a link ends at '${end.interface}' of '${end.host}', which is not there`, 'add it');
    }
    if (ends.has(key(end))) throw contradiction(`two links end at '${key(end)}'`, 'remove one');
    ends.add(key(end));
  }
  for (const host of world.hosts.values()) {
    for (const each of host.interfaces) {
      if (each.kind !== 'veth' || each.unmodelled !== undefined) continue;
      if (!ends.has(key({ host: host.name, interface: each.name }))) {
        throw contradiction(`'${each.name}' of '${host.name}' is linked to nothing`, 'add a link');
      }
    }
  }
}
