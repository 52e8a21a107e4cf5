import { Fault } from '../../fault/fault.ts';
import type { Addr } from '../../ip/ip.ts';
import { NftRuleset } from '../../netfilter/netfilter.ts';
import { addressesOf, type NodeFacts } from '../facts.ts';
import type { KnownPod, Problem } from '../from-objects/from-objects.ts';
import { KUBE_PROXY, rangesOf } from '../profile.ts';
import { bareHost, ETH0, ROUTER, routerMac, vpcGateway } from '../wiring.ts';
import { type Host, hostOf, type Link, type LinkEnd, type World } from '../world.ts';
import type { Device } from './devices.ts';
import type { Dump } from './dump.ts';
import { hostFrom, type Wire } from './host.ts';
import { deviceOfPod, dumpOfPod, isPodEnd, pairOf, podBehind } from './pods.ts';
import { facing, without } from './router.ts';

/** What the World takes a node to be, and whom it runs. */
export interface ReadNode {
  readonly dump: Dump;
  readonly facts: NodeFacts;
  /** Those with a network of their own. */
  readonly pods: readonly KnownPod[];
}

/** A World in which one node after another takes the place of what was compiled for it. */
export class Join {
  readonly #world: World;
  readonly #hosts: Map<string, Host>;
  #links: Link[];
  readonly problems: Problem[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#hosts = new Map(world.hosts);
    this.#links = [...world.links];
  }

  get world(): World {
    return { ...this.#world, hosts: this.#hosts, links: this.#links };
  }

  add({ dump, facts, pods }: ReadNode): void {
    const { name } = facts;
    const node = hostOf(this.#world, name);
    const ends = this.#take(name);
    const wires = new Map<string, Wire>();
    for (const { own, other } of ends) {
      if (other.host === ROUTER) this.#connect(dump, facts, own.interface, other.interface, wires);
    }
    this.#addPods(dump, name, pods, wires);
    this.#joinInside(dump, name, wires);
    const host = hostFrom(dump, node, wires);
    const { serviceProxy } = this.#world.profile;
    this.#hosts.set(name, serviceProxy === KUBE_PROXY ? host : withReplacement(host, node));
    this.problems.push(...dump.notes);
  }

  /** The links of a host, which are no longer. */
  #take(host: string): { readonly own: LinkEnd; readonly other: LinkEnd }[] {
    const isOwn = ({ a, b }: Link) => a.host === host || b.host === host;
    const taken = this.#links.filter(isOwn);
    this.#links = this.#links.filter((link) => !isOwn(link));
    return taken.map(({ a, b }) => (a.host === host ? { own: a, other: b } : { own: b, other: a }));
  }

  /** Puts the device that has the node's address where the compiled node had its interface. */
  #connect(dump: Dump, facts: NodeFacts, compiled: string, port: string, wires: Map<string, Wire>): void {
    const router = hostOf(this.world, ROUTER);
    const isFirst = compiled === ETH0;
    const taken = isFirst ? addressesOf(facts) : secondsOf(facts);
    const device = deviceWith(dump, taken) ?? (isFirst ? undefined : this.#secondCard(dump, wires));
    if (device === undefined && isFirst) {
      const what = `${dump.path}: no device of node '${facts.name}' has its address ${facts.address}`;
      throw new Fault('FE011', what, 'name the folder as the node is named, or correct its InternalIP');
    }
    if (device?.mac === undefined) {
      this.#hosts.set(ROUTER, without(router, port));
      return;
    }
    const end = cardOf(dump, device);
    const gateways = rangesOf(this.#world.profile).map(vpcGateway);
    wires.set(end.name, { kind: 'fabric', gateways, mac: routerMac(this.#world.profile) });
    if (end !== device)
      wires.set(device.name, { kind: 'fabric', gateways, mac: routerMac(this.#world.profile) });
    const addresses = taken.flatMap((one) => {
      const is = device.addresses.find(({ addr }) => addr.family === one.family)?.addr;
      const isThere = device.addresses.some(({ addr }) => addr.equals(one));
      return is === undefined || isThere ? [] : [{ taken: one, is }];
    });
    this.#hosts.set(ROUTER, facing(router, port, { mac: device.mac, addresses }));
    this.#links.push({ a: { host: ROUTER, interface: port }, b: { host: facts.name, interface: end.name } });
  }

  /** Of the network `eni`: a card with an address of the VPC that is not the first one. */
  #secondCard({ devices }: Dump, wires: ReadonlyMap<string, Wire>): Device | undefined {
    const { vpcCIDR } = this.#world.profile;
    return devices.find(
      ({ name, kind, isUp, addresses }) =>
        (kind === 'device' || kind === 'veth') &&
        isUp &&
        !wires.has(name) &&
        addresses.some(({ addr }) => vpcCIDR.contains(addr)),
    );
  }

  #addPods(dump: Dump, node: string, pods: readonly KnownPod[], wires: Map<string, Wire>): void {
    const waiting: { pod: KnownPod; before: Host }[] = [];
    for (const pod of pods) {
      const before = hostOf(this.#world, pod.host);
      const known = { name: pod.host, addresses: ownAddresses(before) };
      const inside = dumpOfPod(dump, known);
      const pair = inside === undefined ? undefined : pairOf(dump, inside);
      if (inside !== undefined && pair !== undefined) {
        this.#link(node, pair.outer, pod.host, pair.inner.name, wires);
        this.#hosts.set(pod.host, hostFrom(inside, before, new Map([[pair.inner.name, { kind: 'link' }]])));
        continue;
      }
      const device = deviceOfPod(dump, known);
      if (device === undefined || wires.has(device.name)) waiting.push({ pod, before });
      else this.#putBehind(dump, node, device, before, wires);
    }
    this.#guess(dump, node, waiting, wires);
  }

  #putBehind(dump: Dump, node: string, device: Device, before: Host, wires: Map<string, Wire>): void {
    this.#link(node, device, before.name, ETH0, wires);
    this.#hosts.set(before.name, podBehind(dump, device, before, ownAddresses(before)));
  }

  /** Pods of whom the node has heard nothing yet: behind ports of a bridge, which are all alike. */
  #guess(
    dump: Dump,
    node: string,
    waiting: readonly { readonly pod: KnownPod; readonly before: Host }[],
    wires: Map<string, Wire>,
  ): void {
    const free = dump.devices.filter(
      (device) => isPodEnd(device) && device.master !== undefined && !wires.has(device.name),
    );
    for (const [at, { before }] of waiting.entries()) {
      const device = free[at];
      if (device === undefined) {
        this.problems.push({
          place: dump.path,
          message: `no device of '${node}' leads to pod '${before.name}'`,
        });
        this.#hosts.set(before.name, cutOff(before, `no device of ${node} leads to it`));
        continue;
      }
      this.problems.push({
        place: device.place,
        message: `'${node}' has heard nothing of pod '${before.name}' yet: taken to be behind ${device.name}`,
      });
      this.#putBehind(dump, node, device, before, wires);
    }
  }

  #link(node: string, device: Device, pod: string, inner: string, wires: Map<string, Wire>): void {
    wires.set(device.name, { kind: 'link' });
    this.#links.push({ a: { host: node, interface: device.name }, b: { host: pod, interface: inner } });
  }

  /** Pairs of which both ends are in the node's own namespace, and namespaces that are no pod anybody knows. */
  #joinInside(dump: Dump, node: string, wires: Map<string, Wire>): void {
    for (const device of dump.devices) {
      const other = dump.devices.find(
        (one) => one.index === device.peer?.index && one.peer?.index === device.index,
      );
      const isPair = device.kind === 'veth' && device.peer?.isElsewhere === false && other?.kind === 'veth';
      if (!isPair || other === undefined || wires.has(device.name)) continue;
      this.#link(node, device, node, other.name, wires);
      wires.set(other.name, { kind: 'link' });
    }
    for (const inside of dump.pods) {
      const pair = pairOf(dump, inside);
      if (pair === undefined || wires.has(pair.outer.name)) continue;
      const name = inside.name.replace('_', '/');
      if (this.#hosts.has(name)) continue;
      this.#link(node, pair.outer, name, pair.inner.name, wires);
      const bare = bareHost(name, 'pod');
      this.#hosts.set(name, hostFrom(inside, bare, new Map([[pair.inner.name, { kind: 'link' }]])));
    }
  }
}

/** What forwards Services in the place of kube-proxy prints no rules: what stands for it in a World stays. */
function withReplacement(host: Host, { packetFilter }: Host): Host {
  const standing = packetFilter?.nftables?.tables ?? [];
  const read = host.packetFilter?.nftables?.tables ?? [];
  const tables = [...standing.filter((table) => !read.includes(table)), ...read];
  return { ...host, packetFilter: { ...host.packetFilter, nftables: NftRuleset(tables) } };
}

const ownAddresses = ({ interfaces }: Host): Addr[] =>
  interfaces.flatMap((each) => (each.kind === 'veth' ? each.addresses.map(({ addr }) => addr) : []));

function secondsOf({ second, dual }: NodeFacts): Addr[] {
  return [second, dual?.second].filter((addr) => addr !== undefined);
}

const deviceWith = ({ devices }: Dump, addresses: readonly Addr[]): Device | undefined =>
  devices.find((device) => device.addresses.some(({ addr }) => addresses.some((own) => own.equals(addr))));

/** Where a bridge has the address, a card that is its port leads out. */
function cardOf({ devices }: Dump, device: Device): Device {
  if (device.kind !== 'bridge') return device;
  return devices.find(({ master, kind }) => master === device.name && kind === 'device') ?? device;
}

/** A pod that nothing leads to. */
function cutOff(pod: Host, unmodelled: string): Host {
  return {
    ...pod,
    interfaces: pod.interfaces.map((each) => (each.kind === 'veth' ? { ...each, unmodelled } : each)),
  };
}
