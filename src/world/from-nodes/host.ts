import { type Addr, type Family, Mac, Prefix } from '../../ip/ip.ts';
import {
  type Host,
  type Interface,
  type InterfaceAddress,
  type Listener,
  MAIN_TABLE,
  type Neighbour,
  type Route,
  type UnicastRoute,
} from '../world.ts';
import type { Device } from './devices.ts';
import type { Dump } from './dump.ts';
import { connectedKey } from './routes.ts';

/** Where a device leads; one that is not named leads nobody knows where. */
export type Wire =
  /** A link of the World ends here. */
  | { readonly kind: 'link' }
  /** To the VPC's router, the only neighbour there, whatever the real network has in its place. */
  | { readonly kind: 'fabric'; readonly gateways: readonly Addr[]; readonly mac: Mac };

export type Wires = ReadonlyMap<string, Wire>;

const FAMILIES = [4, 6] as const;
const NO_MAC = Mac.parse('00:00:00:00:00:00');

/** What a namespace printed as a host, in the place of one of which as much was taken for granted. */
export function hostFrom(dump: Dump, base: Host, wires: Wires): Host {
  const { packetFilter = base.packetFilter, sysctls } = dump;
  const { packetFilter: _, ...rest } = base;
  return {
    ...rest,
    interfaces: dump.devices.map((device) => ({
      ...interfaceOf(dump, device, wires),
      ...rpFilterOf(dump, device),
    })),
    routes: FAMILIES.flatMap((family) => routesOf(dump, family, wires)),
    routingRules: dump.routingRules,
    neighbours: neighboursOf(dump, wires),
    sysctls: sysctls?.sysctls ?? base.sysctls,
    // Rules that were read hold what the network's own policies would have been compiled to.
    policies: dump.packetFilter === undefined ? base.policies : [],
    ...(packetFilter === undefined ? {} : { packetFilter }),
    listeners: listenersOf(dump) ?? base.listeners,
    readFrom: dump.path,
  };
}

/** `ss` lists the kernel's own sockets of VXLAN devices as well, which no process holds. */
function listenersOf({ listeners, devices }: Dump): readonly Listener[] | undefined {
  const tunnels = new Set(devices.map(({ tunnel }) => tunnel?.port));
  return listeners?.filter(({ protocol, port }) => protocol !== 'UDP' || !tunnels.has(port));
}

const rpFilterOf = ({ sysctls }: Dump, { name }: Device): Pick<Interface, 'rpFilter'> => {
  const rpFilter = sysctls?.rpFilter.get(name);
  return rpFilter === undefined ? {} : { rpFilter };
};

function interfaceOf(dump: Dump, device: Device, wires: Wires): Interface {
  const { name, kind, mac = NO_MAC, mtu, program } = device;
  const addresses = addressesOf(dump, device, wires);
  const shape = {
    name,
    addresses,
    ...(mtu === undefined ? {} : { mtu }),
    ...(program === undefined ? {} : { unmodelled: program }),
  };
  const master = dump.devices.find((one) => one.name === device.master);
  if (kind === 'loopback') return { ...shape, kind };
  if (kind === 'bridge' && master === undefined) return { ...shape, kind, mac };
  if (master === undefined && !wires.has(name)) {
    // An ifb drops what is sent by it, as a dummy does.
    if (kind === 'dummy' || kind === 'ifb') return { ...shape, kind: 'dummy', mac };
    if (kind === 'vxlan') return vxlanOf(dump, device, mac, shape);
  }
  const bridge = master?.kind === 'bridge' ? { bridge: master.name } : {};
  const unmodelled = program ?? strangeness(device, master, wires);
  return { ...shape, ...bridge, kind: 'veth', mac, ...(unmodelled === undefined ? {} : { unmodelled }) };
}

/** Why nobody knows what becomes of what passes a device. */
function strangeness({ name, kind }: Device, master: Device | undefined, wires: Wires): string | undefined {
  if (master !== undefined && master.kind !== 'bridge') return `a port of ${master.name}, a ${master.kind}`;
  if (wires.has(name)) return undefined;
  if (kind === 'veth') return 'what is at its other end was not collected';
  return kind === 'device' ? 'where this network card leads is not known' : `a device of the kind ${kind}`;
}

function vxlanOf(
  { devices, forwarding }: Dump,
  { name, tunnel }: Device,
  mac: Mac,
  shape: Pick<Interface, 'name' | 'addresses' | 'mtu' | 'unmodelled'>,
): Interface {
  const carrier = devices.find((one) =>
    tunnel?.underlay === undefined
      ? one.addresses.some(({ addr }) => addr.text === tunnel?.local?.text)
      : one.name === tunnel.underlay,
  );
  const local = tunnel?.local ?? carrier?.addresses[0]?.addr;
  const entries = forwarding.flatMap((one) =>
    one.device === name && one.remote !== undefined ? [{ mac: one.mac, remote: one.remote }] : [],
  );
  const floods = entries.some((one) => one.mac.text === NO_MAC.text);
  const strange = tunnel?.unmodelled ?? (floods ? 'flooding' : undefined);
  if (tunnel === undefined || carrier === undefined || local === undefined || strange !== undefined) {
    const unmodelled = `a tunnel that goes by ${strange ?? 'what was not told'}`;
    return { ...shape, kind: 'veth', mac, unmodelled };
  }
  const { vni, port } = tunnel;
  return { ...shape, kind: 'vxlan', mac, vni, underlay: carrier.name, local, port, forwarding: entries };
}

/** A network that the kernel has no route to, as of a device that is down, is none the address leads to. */
function addressesOf({ routes }: Dump, device: Device, wires: Wires): InterfaceAddress[] {
  return device.addresses.flatMap(({ addr, length }) => {
    const { local, connected } = routes[addr.family];
    if (local !== undefined && !local.has(addr.text)) return [];
    const isNetwork =
      wires.get(device.name)?.kind !== 'fabric' &&
      connected.has(connectedKey(Prefix.of(addr, length), device.name));
    return [{ addr, length: isNetwork ? length : Prefix.host(addr).length }];
  });
}

function routesOf(dump: Dump, family: Family, wires: Wires): Route[] {
  const { routes, connected } = dump.routes[family];
  const derived = new Set(
    dump.devices.flatMap((device) =>
      addressesOf(dump, device, wires).map(({ addr, length }) =>
        connectedKey(Prefix.of(addr, length), device.name),
      ),
    ),
  );
  const written = [...connected].flatMap(([key, route]) => (derived.has(key) ? [] : [route]));
  const known = new Set(dump.devices.map(({ name }) => name));
  return [...written, ...routes]
    .filter((route) => route.kind !== 'unicast' || known.has(route.interface))
    .map((route) => (route.kind === 'unicast' ? byRouter(route, wires) : route));
}

/** In the VPC nobody is on the link but the router. */
function byRouter(route: UnicastRoute, wires: Wires): UnicastRoute {
  const wire = wires.get(route.interface);
  if (wire?.kind !== 'fabric' || route.via !== undefined) return route;
  const via = wire.gateways.find(({ family }) => family === route.to.family);
  return via === undefined ? route : { ...route, via };
}

function neighboursOf(dump: Dump, wires: Wires): Neighbour[] {
  const tunnels = new Set(dump.devices.filter(({ kind }) => kind === 'vxlan').map(({ name }) => name));
  const known = new Set(dump.devices.map(({ name }) => name));
  const told = dump.neighbours.flatMap(({ device, addr, mac, isPermanent }) => {
    const stays = isPermanent || tunnels.has(device);
    if (!stays || !known.has(device) || wires.get(device)?.kind === 'fabric') return [];
    return [{ interface: device, addr, mac }];
  });
  return [...told, ...[...wires].flatMap(([device, wire]) => routersOf(dump, device, wire))];
}

/** Whatever next hops there are on the link of the VPC, they are the router. */
function routersOf({ routes }: Dump, device: string, wire: Wire): Neighbour[] {
  if (wire.kind !== 'fabric') return [];
  const hops = FAMILIES.flatMap((family) =>
    routes[family].routes.flatMap((route) =>
      route.kind === 'unicast' && route.interface === device && route.via !== undefined ? [route.via] : [],
    ),
  );
  const all = new Map([...wire.gateways, ...hops].map((addr) => [addr.text, addr]));
  return [...all.values()].map((addr) => ({ interface: device, addr, mac: wire.mac }));
}

/** Where the host sends what nobody else has. */
export function defaultDevice({ routes }: Dump, family: Family): string | undefined {
  const route = routes[family].routes.find(
    (one): one is UnicastRoute => one.kind === 'unicast' && one.to.length === 0 && one.table === MAIN_TABLE,
  );
  return route?.interface;
}
