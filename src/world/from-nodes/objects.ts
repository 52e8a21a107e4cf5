import { type Addr, type Family, Prefix } from '../../ip/ip.ts';
import { type Inventory, inventoryOf, type Manifest } from '../from-objects/from-objects.ts';
import type { ProfileSpec } from '../profile.ts';
import type { Device } from './devices.ts';
import type { Dump } from './dump.ts';
import { defaultDevice } from './host.ts';
import { isPodEnd } from './pods.ts';

/** The nodes and pods as far as they tell of themselves, where no Kubernetes objects are given. */
export function inventoryOfNodes(dumps: readonly Dump[]): Inventory {
  return inventoryOf(
    dumps.flatMap((dump) => [nodeObject(dump, dumps), ...dump.pods.flatMap((pod) => podObject(dump, pod))]),
    'default',
  );
}

/** What the nodes tell of the network and of kube-proxy. */
export function signsOf(dumps: readonly Dump[]): ProfileSpec {
  const all = (is: (dump: Dump) => boolean) => dumps.some(is);
  const network = all(hasTunnel) ? 'tunnel' : all(routesBySource) ? 'eni' : 'vpc';
  const balances = all(({ packetFilter }) => packetFilter?.ipvs !== undefined);
  const hasTables = all(({ packetFilter }) =>
    (packetFilter?.nftables?.tables ?? []).some(({ name }) => name === 'kube-proxy' || name === 'fairlead'),
  );
  return { network, proxyMode: balances ? 'ipvs' : hasTables ? 'nftables' : 'iptables' };
}

const hasTunnel = ({ devices, routes }: Dump): boolean =>
  routes[4].routes.some(
    (route) =>
      route.kind === 'unicast' &&
      devices.some(({ name, kind }) => kind === 'vxlan' && name === route.interface),
  );

/** Pods have tables of their own for the way out. */
const routesBySource = ({ routingRules }: Dump): boolean =>
  routingRules.some(({ from, unmodelled }) => from?.isHost === true && unmodelled === undefined);

const object = (value: Manifest['value'], path: string): Manifest => ({ value, place: () => path });

function nodeObject(dump: Dump, dumps: readonly Dump[]): Manifest {
  const addresses = addressesOf(dump.devices.find(({ name }) => name === defaultDevice(dump, 4)));
  const range = rangeOf(dump, dumps);
  return object(
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: dump.name },
      spec: range === undefined ? {} : { podCIDR: range.text, podCIDRs: [range.text] },
      status: { addresses: addresses.slice(0, 1).map(({ text }) => ({ type: 'InternalIP', address: text })) },
    },
    dump.path,
  );
}

const addressesOf = (device: Device | undefined, family: Family = 4): Addr[] =>
  (device?.addresses ?? []).flatMap(({ addr }) => (addr.family === family ? [addr] : []));

/** Of the bridge its pods are on, of a route of another node to it, or around its pods. */
function rangeOf(dump: Dump, dumps: readonly Dump[]): Prefix | undefined {
  const bridges = new Set(dump.devices.filter(isPodEnd).map(({ master }) => master));
  const bridge = dump.devices.find(({ name, kind }) => kind === 'bridge' && bridges.has(name));
  const [own] = bridge?.addresses.filter(({ addr }) => addr.family === 4) ?? [];
  if (own !== undefined) return Prefix.of(own.addr, own.length);
  const tunnel = addressesOf(dump.devices.find(({ kind }) => kind === 'vxlan'))[0];
  const routed = dumps
    .flatMap(({ routes }) => routes[4].routes)
    .find(
      (route) =>
        route.kind === 'unicast' && tunnel !== undefined && !route.to.isHost && route.via?.equals(tunnel),
    );
  if (routed !== undefined) return routed.to;
  const some = tunnel ?? podRoutes(dump)[0];
  return some === undefined ? undefined : Prefix.of(some, 24);
}

const podRoutes = ({ devices, routes }: Dump): Addr[] =>
  routes[4].routes.flatMap((route) => {
    const isPod = route.kind === 'unicast' && route.to.isHost && route.via === undefined;
    return isPod && devices.some((one) => one.name === route.interface && isPodEnd(one))
      ? [route.to.addr]
      : [];
  });

/** A namespace that was asked, with the address of its first device. */
function podObject(node: Dump, pod: Dump): Manifest[] {
  const [namespace, name] = pod.name.includes('_') ? pod.name.split('_') : ['default', pod.name];
  const [address] = pod.devices.filter(({ kind }) => kind !== 'loopback').flatMap((one) => addressesOf(one));
  if (address === undefined) return [];
  const value = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name },
    spec: { nodeName: node.name, containers: [] },
    status: { phase: 'Running', podIP: address.text, podIPs: [{ ip: address.text }] },
  };
  return [object(value, pod.path)];
}
