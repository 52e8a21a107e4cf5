import { type Addr, Prefix } from '../../ip/ip.ts';
import { DEFAULT_OF, ETH0, POD_GATEWAY, podLinkName, routeBy } from '../wiring.ts';
import type { Host, Neighbour, Veth } from '../world.ts';
import type { Device } from './devices.ts';
import type { Dump } from './dump.ts';

/** What is known of a pod beside what its node printed. */
export interface KnownAddresses {
  /** `namespace/name` */
  readonly name: string;
  readonly addresses: readonly Addr[];
}

/** What the pod's own namespace printed: a folder of its name, or one that has its address. */
export function dumpOfPod({ pods }: Dump, { name, addresses }: KnownAddresses): Dump | undefined {
  const has = ({ devices }: Dump) =>
    devices.some((device) => device.addresses.some(({ addr }) => addresses.some((own) => own.equals(addr))));
  return pods.find((pod) => pod.name === name.replace('/', '_')) ?? pods.find(has);
}

/** Both ends of the pair between a node and a namespace: each tells the other's index. */
export function pairOf(
  node: Dump,
  inside: Dump,
): { readonly outer: Device; readonly inner: Device } | undefined {
  for (const inner of inside.devices) {
    const { peer } = inner;
    if (peer?.isElsewhere !== true) continue;
    const outer = node.devices.find(
      (one) => one.index === peer.index && one.peer?.isElsewhere === true && one.peer.index === inner.index,
    );
    if (outer !== undefined) return { outer, inner };
  }
  return undefined;
}

/**
 * The node's device behind which a pod is, by what the node knows of its address: a route, or a neighbour and the port of the
 * bridge where that was seen. Fairlead's own pods have links that are named by their address.
 */
export function deviceOfPod(node: Dump, { addresses }: KnownAddresses): Device | undefined {
  const named = (name: string | undefined) => node.devices.find((one) => one.name === name && isPodEnd(one));
  for (const addr of addresses) {
    const routes = node.routes[addr.family].routes;
    const route = routes.find((one) => one.to.isHost && one.to.addr.equals(addr));
    const mac = node.neighbours.find((one) => one.addr.equals(addr))?.mac.text;
    const port = node.forwarding.find((one) => one.mac.text === mac && one.remote === undefined);
    const found =
      named(route?.kind === 'unicast' ? route.interface : undefined) ??
      named(port?.device) ??
      named(podLinkName(addr));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The end of a pair whose other end is in another namespace. */
export const isPodEnd = ({ kind, peer }: Device): boolean => kind === 'veth' && peer?.isElsewhere === true;

/** The pod as it has to be for its node to be as it is: behind a bridge the bridge is its gateway, else nobody in particular. */
export function podBehind(node: Dump, device: Device, pod: Host, addresses: readonly Addr[]): Host {
  const bridge = node.devices.find((one) => one.name === device.master);
  const known = node.neighbours.find(({ addr }) => addresses.some((own) => own.equals(addr)));
  const ends = addresses.map((addr) => {
    const range = bridge?.addresses.find((one) => Prefix.of(one.addr, one.length).contains(addr));
    return range === undefined
      ? { addr, length: Prefix.host(addr).length, gateway: POD_GATEWAY[addr.family] }
      : { addr, length: range.length, gateway: range.addr };
  });
  const gatewayMac = (ends.some(({ gateway }) => isOf(bridge, gateway)) ? bridge : device)?.mac;
  return {
    ...pod,
    interfaces: pod.interfaces.map((each) => {
      if (each.kind !== 'veth' || each.name !== ETH0) return each;
      const eth0: Veth = {
        ...each,
        mac: known?.mac ?? each.mac,
        addresses: ends.map(({ addr, length }) => ({ addr, length })),
      };
      return eth0;
    }),
    routes: ends.map(({ addr, gateway }) => routeBy(DEFAULT_OF[addr.family], ETH0, { via: gateway })),
    neighbours: ends.flatMap(({ gateway }): Neighbour[] =>
      gatewayMac === undefined ? [] : [{ interface: ETH0, addr: gateway, mac: gatewayMac }],
    ),
  };
}

const isOf = (device: Device | undefined, addr: Addr): boolean =>
  device?.addresses.some((one) => one.addr.equals(addr)) ?? false;
