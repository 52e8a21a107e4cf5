import { Fault } from '../../fault/fault.ts';
import { Addr, type Family, type Prefix } from '../../ip/ip.ts';
import { keyOf, type Node, nameOf, namespaceOf, type Pod } from '../../kube/objects.ts';
import { isFinished } from '../../kube/pod-state.ts';
import { podName } from '../attachment.ts';
import {
  type Addressed,
  addressesOf,
  externalClient,
  type MachineAddresses,
  type MachineFacts,
  type NodeAddresses,
  type NodeFacts,
  type PodFacts,
} from '../facts.ts';
import { type ClusterProfile, familiesOf, type Ranges, rangesOf } from '../profile.ts';
import { EXTERNAL, vpcGateway } from '../wiring.ts';
import { hostPortsOf } from './host-ports.ts';
import type { Inventory, Problem } from './inventory.ts';
import { type HostObject, listAddresses } from './kinds.ts';
import { type ExpectedPorts, listenersOf } from './listeners.ts';
import { podIPsOf } from './pod-addresses.ts';
import { type BlocksByNode, blocksOf, podRangeOf } from './pod-blocks.ts';

export interface KnownNode {
  readonly node: Node;
  readonly facts: NodeFacts;
  readonly zone?: string;
}

export interface KnownPod extends Addressed<{ readonly address: Addr }> {
  readonly pod: Pod;
  readonly node: string;
  /** The host whose network it has: its own, or its node. */
  readonly host: string;
  /** Its sockets were read; else what is known of its processes is what its containers declare. */
  readonly hasSockets?: true;
}

/** All hosts but the balancers. */
export interface Machines {
  readonly nodes: readonly KnownNode[];
  readonly pods: readonly PodFacts[];
  /** Those of {@link Machines.pods}, and those of the host network. */
  readonly known: readonly KnownPod[];
  readonly vpcHosts: readonly MachineFacts[];
  readonly outside: readonly MachineFacts[];
  readonly problems: readonly Problem[];
}

/** The client class `vpc-host` where no Host is given. */
const VPC_HOST = 'vpc-host';
const ZONE = 'topology.kubernetes.io/zone';

/** The addresses of the VPC that nothing has, from its end. */
export class AddressPool {
  readonly #taken: Set<string>;
  readonly #next = new Map<Family, Addr>();

  constructor(inventory: Inventory, profile: ClusterProfile) {
    const { nodes, pods, balancers, hosts } = inventory;
    this.#taken = new Set([
      ...rangesOf(profile).map((ranges) => vpcGateway(ranges).text),
      ...nodes.flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)),
      ...pods.flatMap(podIPsOf),
      ...[...balancers, ...hosts].flatMap(({ addresses }) =>
        listAddresses(addresses).flatMap((one) => one.private?.text ?? []),
      ),
      ...inventory.services.flatMap(({ status }) =>
        (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []),
      ),
      ...inventory.slices.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses)),
    ]);
    // The last one of IPv4 is the broadcast address.
    for (const { vpcCIDR } of rangesOf(profile)) this.#next.set(vpcCIDR.family, vpcCIDR.last.plus(-1));
  }

  /** Throws a TypeError for a family that the cluster does not have. */
  take(family: Family): Addr {
    let addr = this.#next.get(family);
    if (addr === undefined) throw new TypeError(`the cluster has no addresses of IPv${family}`);
    do addr = addr.plus(-1);
    while (this.#taken.has(addr.text));
    this.#next.set(family, addr);
    return addr;
  }
}

export function machinesOf(
  inventory: Inventory,
  profile: ClusterProfile,
  expected: ExpectedPorts,
  pool: AddressPool,
): Machines {
  const reader = new Reader(inventory, profile, expected, pool);
  const nodes = reader.nodes();
  const known = reader.pods(nodes);
  const shared = Map.groupBy(
    known.filter(({ host, node }) => host === node),
    ({ node }) => node,
  );
  const processes = ({ pod }: KnownPod) => inventory.sockets?.get(keyOf(pod)) ?? listenersOf(pod, expected);
  const withProcesses = nodes.map(({ facts, ...one }) => {
    const listeners = (shared.get(facts.name) ?? []).flatMap(processes);
    const hostPorts = known
      .filter(({ node, host }) => node === facts.name && host !== node)
      .flatMap((pod) => hostPortsOf(pod, facts, profile));
    const more = {
      ...(listeners.length === 0 ? {} : { listeners }),
      ...(hostPorts.length === 0 ? {} : { hostPorts }),
    };
    return { ...one, facts: { ...facts, ...more } };
  });
  const pods = known
    .filter(({ host, node }) => host !== node)
    .map((one) => ({
      namespace: namespaceOf(one.pod),
      name: nameOf(one.pod),
      node: one.node,
      address: one.address,
      ...(one.dual === undefined ? {} : { dual: one.dual }),
      listeners: processes(one),
    }));
  return { ...reader.others(known, nodes), nodes: withProcesses, pods, known, problems: reader.problems };
}

class Reader {
  readonly #inventory: Inventory;
  readonly #profile: ClusterProfile;
  readonly #expected: ExpectedPorts;
  readonly #pool: AddressPool;
  readonly problems: Problem[] = [];
  readonly #blocks: ReadonlyMap<Family, BlocksByNode>;

  constructor(inventory: Inventory, profile: ClusterProfile, expected: ExpectedPorts, pool: AddressPool) {
    this.#inventory = inventory;
    this.#profile = profile;
    this.#expected = expected;
    this.#pool = pool;
    this.#blocks = this.#findBlocks();
  }

  #findBlocks(): ReadonlyMap<Family, BlocksByNode> {
    const { nodes, pods } = this.#inventory;
    const found = rangesOf(this.#profile).map(
      (ranges) => [ranges.podCIDR.family, blocksOf(this.#profile, ranges, nodes, pods)] as const,
    );
    for (const [family, blocks] of found) {
      const node = nodes.find((one) => blocks.has(nameOf(one)));
      if (node === undefined) continue;
      const what = `podCIDR${family === 4 ? '' : ' of IPv6'}`;
      const why =
        podRangeOf(node, family) === undefined ? `has no ${what}` : `has pods outside of its ${what}`;
      this.problems.push({
        place: this.#inventory.place(node, ['spec', 'podCIDR']),
        message: `node '${nameOf(node)}' ${why}: what it carries is taken from the addresses of pods`,
      });
    }
    return new Map(found);
  }

  nodes(): KnownNode[] {
    return this.#inventory.nodes.flatMap((node) => {
      const addresses = dualOf(rangesOf(this.#profile).flatMap((ranges) => this.#addressesOf(node, ranges)));
      if (addresses === undefined) {
        this.#leaveOut(node, ['status', 'addresses'], `node '${nameOf(node)}' has no InternalIP`);
        return [];
      }
      const zone = node.metadata?.labels?.[ZONE];
      const facts: NodeFacts = { name: nameOf(node), ...addresses };
      return [{ node, facts, ...(zone === undefined ? {} : { zone }) }];
    });
  }

  /** What the node has of one family; nothing without an InternalIP. */
  #addressesOf(node: Node, ranges: Ranges): NodeAddresses[] {
    const { family } = ranges.vpcCIDR;
    const address = this.#nodeAddress(node, 'InternalIP', family);
    if (address === undefined) return [];
    const elastic = this.#nodeAddress(node, 'ExternalIP', family);
    const others = this.#nodeAddresses(node, 'InternalIP', family).filter(
      (one) => !one.equals(address) && ranges.vpcCIDR.contains(one),
    );
    return [
      {
        address,
        ...(others.length === 0 ? {} : { others }),
        ...(elastic === undefined ? {} : { elastic }),
        ...this.#rangeOf(node, ranges),
        ...(this.#profile.network === 'eni' ? { second: this.#pool.take(family) } : {}),
      },
    ];
  }

  /** What has an address and a node; pods that wait for one or have ended are passed over. */
  pods(nodes: readonly KnownNode[]): KnownPod[] {
    const names = new Map(nodes.map(({ facts }) => [facts.name, facts]));
    return this.#inventory.pods.flatMap((pod) => {
      const { nodeName, hostNetwork } = pod.spec ?? {};
      const isWaiting = pod.status?.phase === 'Pending' || isFinished(pod);
      const what = `pod '${keyOf(pod)}'`;
      const on = nodeName === undefined ? undefined : names.get(nodeName);
      if (nodeName === undefined || on === undefined) {
        const why = nodeName === undefined ? 'is on no node' : `is on the unknown node '${nodeName}'`;
        if (!isWaiting) this.#leaveOut(pod, ['spec', 'nodeName'], `${what} ${why}`, nodeName !== undefined);
        return [];
      }
      const own = hostNetwork ? addressesOf(on) : this.#podAddresses(pod, on);
      if (isFinished(pod)) return [];
      const address = dualOf(own.map((addr) => ({ address: addr })));
      if (address === undefined) {
        if (!isWaiting) this.#leaveOut(pod, ['status'], `${what} has no address`);
        return [];
      }
      const host = hostNetwork ? nodeName : podName({ namespace: namespaceOf(pod), name: nameOf(pod) });
      const read = this.#inventory.sockets?.has(keyOf(pod)) ? { hasSockets: true as const } : {};
      return [{ pod, ...address, node: nodeName, host, ...read }];
    });
  }

  /** Of the families that its node has. */
  #podAddresses(pod: Pod, node: NodeFacts): Addr[] {
    const { podIPs = [] } = pod.status ?? {};
    const all = podIPsOf(pod).map((text, at) =>
      this.#parse(pod, podIPs.length > 0 ? ['status', 'podIPs', at, 'ip'] : ['status', 'podIP'], text),
    );
    const families = addressesOf(node).map(({ family }) => family);
    return families.flatMap((family) => all.find((addr) => addr.family === family) ?? []);
  }

  /** The machines that are no nodes: those the files tell of, those that slices point to, and one client a class. */
  others(known: readonly KnownPod[], nodes: readonly KnownNode[]): Pick<Machines, 'vpcHosts' | 'outside'> {
    const ranges = rangesOf(this.#profile);
    const isInside = ({ addresses }: HostObject) =>
      listAddresses(addresses).some(
        (one) => one.private !== undefined && ranges.some(({ vpcCIDR }) => holds(vpcCIDR, one.private)),
      );
    const hosts = this.#inventory.hosts;
    const inside = hosts.filter(isInside).map(machineOf);
    const outside = hosts.filter((host) => !isInside(host)).map(machineOf);
    const there = [...known, ...nodes.map(({ facts }) => facts), ...inside, ...outside];
    const pointed = this.#pointedAt(new Set(there.flatMap(addressesOf).map(({ text }) => text)));
    return {
      vpcHosts: [...inside, ...pointed, ...this.#idleClient(inside)],
      outside: outside.length > 0 ? outside : [externalClient(this.#profile, EXTERNAL)],
    };
  }

  /** A client of the VPC, where no machine is given that does nothing but ask. */
  #idleClient(inside: readonly MachineFacts[]): MachineFacts[] {
    if (inside.some(({ listeners = [] }) => listeners.length === 0)) return [];
    const own = dualOf(familiesOf(this.#profile).map((family) => ({ address: this.#pool.take(family) })));
    return own === undefined ? [] : [{ name: VPC_HOST, ...own }];
  }

  /** Endpoints that are no pod's: the API server behind `kubernetes`, a database behind a Service without selector. */
  #pointedAt(there: ReadonlySet<string>): MachineFacts[] {
    return [...this.#expected].flatMap(([text, listeners]) => {
      if (there.has(text) || !Addr.isAddr(text)) return [];
      const address = Addr.parse(text);
      const isMachine = rangesOf(this.#profile).some(
        ({ vpcCIDR, podCIDR }) => vpcCIDR.contains(address) && !podCIDR.contains(address),
      );
      // A colon could not be part of a namespace's name.
      return isMachine ? [{ name: `host-${text.replaceAll(':', '-')}`, address, listeners }] : [];
    });
  }

  #nodeAddress(node: Node, type: string, family: Family): Addr | undefined {
    return this.#nodeAddresses(node, type, family)[0];
  }

  #nodeAddresses(node: Node, type: string, family: Family): Addr[] {
    return (node.status?.addresses ?? []).flatMap((one, at) =>
      one.type === type && isWrittenAs(family, one.address)
        ? [this.#parse(node, ['status', 'addresses', at, 'address'], one.address)]
        : [],
    );
  }

  #rangeOf(node: Node, { podCIDR }: Ranges): Pick<NodeAddresses, 'podCIDR' | 'blocks' | 'tunnel'> {
    const { family } = podCIDR;
    const blocks = this.#blocks.get(family)?.get(nameOf(node));
    if (blocks !== undefined) return blocks;
    const range = podRangeOf(node, family);
    // With `eni` the range of a node means nothing: pods have addresses of the VPC.
    const { network, podLinks } = this.#profile;
    if (range === undefined || (network === 'eni' && !podCIDR.covers(range))) return {};
    // A range of routed links is one large block: nothing of it shares a bridge.
    return network === 'vpc' && podLinks === 'routed' ? { blocks: [range] } : { podCIDR: range };
  }

  #parse(object: object, path: readonly (string | number)[], text: string): Addr {
    if (Addr.isAddr(text)) return Addr.parse(text);
    const place = this.#inventory.place(object, path);
    throw new Fault('FE006', `${place}: '${text}' is not an IP address`, 'write it like 192.0.2.1');
  }

  #leaveOut(
    object: object,
    path: readonly (string | number)[],
    message: string,
    isContradiction = false,
  ): void {
    const problem = { place: this.#inventory.place(object, path), message: `${message}: left out` };
    this.problems.push(isContradiction ? { ...problem, isContradiction } : problem);
  }
}

/** What is known of each family as one, the first family first; `undefined` if there is none. */
function dualOf<A extends { readonly address: Addr }>([first, second]: readonly A[]):
  | Addressed<A>
  | undefined {
  if (first === undefined) return undefined;
  return second === undefined ? first : { ...first, dual: second };
}

const isWrittenAs = (family: Family, text: string): boolean => text.includes(':') === (family === 6);

const holds = (range: Prefix, addr: Addr | undefined): boolean => addr !== undefined && range.contains(addr);

function machineOf({ name, addresses, listeners }: HostObject): MachineFacts {
  const own = listAddresses(addresses).flatMap((one): MachineAddresses[] => {
    const { private: inside, public: elastic, others } = one;
    const address = inside ?? elastic;
    if (address === undefined) return [];
    const more = others === undefined ? {} : { others };
    return [{ address, ...more, ...(inside === undefined || elastic === undefined ? {} : { elastic }) }];
  });
  const machine = dualOf(own);
  if (machine === undefined) throw new TypeError(`readHost let pass '${name}' without an address`);
  return { name, ...machine, listeners };
}
