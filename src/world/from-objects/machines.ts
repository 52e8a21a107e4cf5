import { Fault } from '../../fault/fault.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import { keyOf, type Node, nameOf, namespaceOf, type Pod } from '../../kube/objects.ts';
import { isFinished } from '../../kube/pod-state.ts';
import { podName } from '../attachment.ts';
import { EXTERNAL_CLIENT, type MachineFacts, type NodeFacts, type PodFacts } from '../facts.ts';
import type { ClusterProfile } from '../profile.ts';
import { EXTERNAL, vpcGateway } from '../wiring.ts';
import type { Inventory, Problem } from './inventory.ts';
import type { HostObject } from './kinds.ts';
import { type ExpectedPorts, listenersOf } from './listeners.ts';

export interface KnownNode {
  readonly node: Node;
  readonly facts: NodeFacts;
  readonly zone?: string;
}

export interface KnownPod {
  readonly pod: Pod;
  readonly address: Addr;
  readonly node: string;
  /** The host whose network it has: its own, or its node. */
  readonly host: string;
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
  #next: Addr;

  constructor(inventory: Inventory, profile: ClusterProfile) {
    const { nodes, pods, balancers, hosts } = inventory;
    this.#taken = new Set([
      vpcGateway(profile).text,
      ...nodes.flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)),
      ...pods.flatMap(({ status }) => status?.podIP ?? []),
      ...[...balancers, ...hosts].flatMap(({ addresses }) => addresses.private?.text ?? []),
      ...inventory.services.flatMap(({ status }) =>
        (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []),
      ),
      ...inventory.slices.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses)),
    ]);
    // The last one is the broadcast address.
    this.#next = profile.vpcCIDR.last.plus(-1);
  }

  take(): Addr {
    do this.#next = this.#next.plus(-1);
    while (this.#taken.has(this.#next.text));
    return this.#next;
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
  const processes = ({ pod }: KnownPod) => listenersOf(pod, expected);
  const withProcesses = nodes.map((one) => {
    const listeners = (shared.get(one.facts.name) ?? []).flatMap(processes);
    return listeners.length === 0 ? one : { ...one, facts: { ...one.facts, listeners } };
  });
  const pods = known
    .filter(({ host, node }) => host !== node)
    .map((one) => ({
      namespace: namespaceOf(one.pod),
      name: nameOf(one.pod),
      node: one.node,
      address: one.address,
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

  constructor(inventory: Inventory, profile: ClusterProfile, expected: ExpectedPorts, pool: AddressPool) {
    this.#inventory = inventory;
    this.#profile = profile;
    this.#expected = expected;
    this.#pool = pool;
  }

  nodes(): KnownNode[] {
    return this.#inventory.nodes.flatMap((node) => {
      const address = this.#nodeAddress(node, 'InternalIP');
      if (address === undefined) {
        this.#leaveOut(node, ['status', 'addresses'], `node '${nameOf(node)}' has no InternalIP`);
        return [];
      }
      const elastic = this.#nodeAddress(node, 'ExternalIP');
      const zone = node.metadata?.labels?.[ZONE];
      const facts: NodeFacts = {
        name: nameOf(node),
        address,
        ...(elastic === undefined ? {} : { elastic }),
        ...this.#rangeOf(node),
        ...(this.#profile.network === 'eni' ? { second: this.#pool.take() } : {}),
      };
      return [{ node, facts, ...(zone === undefined ? {} : { zone }) }];
    });
  }

  /** What has an address and a node; pods that wait for one or have ended are passed over. */
  pods(nodes: readonly KnownNode[]): KnownPod[] {
    const names = new Set(nodes.map(({ facts }) => facts.name));
    return this.#inventory.pods.flatMap((pod) => {
      const { nodeName, hostNetwork } = pod.spec ?? {};
      const isWaiting = pod.status?.phase === 'Pending' || isFinished(pod);
      const what = `pod '${keyOf(pod)}'`;
      if (nodeName === undefined || !names.has(nodeName)) {
        const why = nodeName === undefined ? 'is on no node' : `is on the unknown node '${nodeName}'`;
        if (!isWaiting) this.#leaveOut(pod, ['spec', 'nodeName'], `${what} ${why}`);
        return [];
      }
      const own = nodes.find(({ facts }) => facts.name === nodeName)?.facts.address;
      const text = pod.status?.podIP;
      const address = hostNetwork
        ? own
        : text === undefined
          ? undefined
          : this.#parse(pod, ['status', 'podIP'], text);
      if (isFinished(pod)) return [];
      if (address === undefined) {
        if (!isWaiting) this.#leaveOut(pod, ['status'], `${what} has no address`);
        return [];
      }
      const host = hostNetwork ? nodeName : podName({ namespace: namespaceOf(pod), name: nameOf(pod) });
      return [{ pod, address, node: nodeName, host }];
    });
  }

  /** The machines that are no nodes: those the files tell of, those that slices point to, and one client a class. */
  others(known: readonly KnownPod[], nodes: readonly KnownNode[]): Pick<Machines, 'vpcHosts' | 'outside'> {
    const { vpcCIDR } = this.#profile;
    const isInside = ({ addresses }: HostObject) =>
      addresses.private !== undefined && vpcCIDR.contains(addresses.private);
    const hosts = this.#inventory.hosts;
    const inside = hosts.filter(isInside).map(machineOf);
    const outside = hosts.filter((host) => !isInside(host)).map(machineOf);
    const there = [...known, ...nodes.map(({ facts }) => facts), ...inside, ...outside];
    const pointed = this.#pointedAt(new Set(there.map(({ address }) => address.text)));
    const clients = inside.some(({ listeners = [] }) => listeners.length === 0)
      ? []
      : [{ name: VPC_HOST, address: this.#pool.take() }];
    return {
      vpcHosts: [...inside, ...pointed, ...clients],
      outside: outside.length > 0 ? outside : [{ name: EXTERNAL, address: EXTERNAL_CLIENT }],
    };
  }

  /** Endpoints that are no pod's: the API server behind `kubernetes`, a database behind a Service without selector. */
  #pointedAt(there: ReadonlySet<string>): MachineFacts[] {
    return [...this.#expected].flatMap(([text, listeners]) => {
      if (there.has(text) || !Addr.isAddr(text)) return [];
      const address = Addr.parse(text);
      if (!this.#profile.vpcCIDR.contains(address) || this.#profile.podCIDR.contains(address)) return [];
      return [{ name: `host-${text}`, address, listeners }];
    });
  }

  #nodeAddress(node: Node, type: string): Addr | undefined {
    const addresses = node.status?.addresses ?? [];
    const at = addresses.findIndex((one) => one.type === type && !one.address.includes(':'));
    const text = addresses[at]?.address;
    return text === undefined ? undefined : this.#parse(node, ['status', 'addresses', at, 'address'], text);
  }

  #rangeOf(node: Node): Pick<NodeFacts, 'podCIDR'> {
    const ranges = node.spec?.podCIDRs ?? [node.spec?.podCIDR];
    const text = ranges.find((one) => one !== undefined && !one.includes(':'));
    if (text === undefined) {
      if (this.#profile.network === 'eni') return {};
      const place = this.#inventory.place(node, ['spec', 'podCIDR']);
      throw new Fault('FE011', `${place}: node '${nameOf(node)}' has no podCIDR`, 'set its spec.podCIDR');
    }
    // With `eni` the range of a node means nothing: pods have addresses of the VPC.
    const range = Prefix.parse(text);
    return this.#profile.network === 'eni' && !this.#profile.podCIDR.covers(range) ? {} : { podCIDR: range };
  }

  #parse(object: object, path: readonly (string | number)[], text: string): Addr {
    if (Addr.isAddr(text)) return Addr.parse(text);
    const place = this.#inventory.place(object, path);
    throw new Fault('FE006', `${place}: '${text}' is not an IP address`, 'write it like 192.0.2.1');
  }

  #leaveOut(object: object, path: readonly (string | number)[], message: string): void {
    this.problems.push({ place: this.#inventory.place(object, path), message: `${message}: left out` });
  }
}

function machineOf({ name, addresses, listeners }: HostObject): MachineFacts {
  const address = addresses.private ?? addresses.public;
  if (address === undefined) throw new TypeError(`readHost let pass '${name}' without an address`);
  const elastic = addresses.private === undefined ? undefined : addresses.public;
  return { name, address, listeners, ...(elastic === undefined ? {} : { elastic }) };
}
