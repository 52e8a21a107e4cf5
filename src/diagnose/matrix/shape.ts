import { Addr, type Endpoint } from '../../ip/ip.ts';
import type { Service } from '../../kube/objects.ts';
import { isReady } from '../../kube/pod-state.ts';
import { selectsPod } from '../../kube/service-endpoints.ts';
import { isMember } from '../../world/from-objects/balancing.ts';
import type { Cluster, KnownNode } from '../../world/from-objects/from-objects.ts';
import type { Host, HostRole } from '../../world/world.ts';
import { type MembersAlike, membersAlike } from './members-alike.ts';
import { Names } from './names.ts';
import type { Client, Stage, Target } from './stage.ts';

/**
 * A Service and what surrounds it, with names for addresses and ports. Of two with the same key, exchanging what their names
 * stand for turns the part of the World that one's packets meet into the other's: what is walked for one holds for both.
 */
export interface Shape {
  readonly key: string;
  readonly names: Names;
  /** The members of its balancer that may be taken for one another. */
  readonly membersFor: (client: Client, target: Target) => MembersAlike | undefined;
}

/** What nobody reads; every other annotation may matter, and stands in the key as it is. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** Annotations that name ports, ranges or zones, which a name for a port or address would hide. */
const SAYS_WHERE = /port|range|topology/;
/** Ports that mean something by themselves: those of VXLAN, and those that walks send from. */
const RESERVED: ReadonlySet<number> = new Set([4789, 8472, 40000, 40001, 50000]);

/** Hosts that only ask, unless they are an endpoint themselves. */
const ASIDE: ReadonlySet<HostRole> = new Set(['pod', 'vpc-host', 'client']);

/**
 * The shapes of a cluster's Services. The World has to follow from objects and a profile ({@link isDerived}): rules that
 * somebody else wrote may tell apart what looks alike. A Service that shares an address, a port or a balancer with anything,
 * or whose answers depend on where an address lies, has no shape: it is walked by itself.
 */
export class Shapes {
  readonly #cluster: Cluster;
  /** How many Services claim an address, a node port or a balancer. */
  readonly #claims = new Map<string, number>();
  readonly #owners = new Map<string, Host>();
  /** Where processes listen on hosts that a Service's packets may end at by mistake; a pod's are looked at one by one. */
  readonly #taken = new Set<number>();
  readonly #isDisturbed: boolean;
  readonly #signatures: ReadonlyMap<string, string>;
  /** The balancers that Ingresses name, and the addresses of theirs. */
  readonly #marked: ReadonlySet<string>;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    for (const [key, service] of cluster.services) {
      for (const claim of claimsOf(cluster, key, service))
        this.#claims.set(claim, (this.#claims.get(claim) ?? 0) + 1);
    }
    for (const host of cluster.world.hosts.values()) {
      for (const { kind, addresses } of host.interfaces) {
        // What IPVS binds is every node's, and nobody's own.
        if (kind !== 'dummy') for (const { addr } of addresses) this.#owners.set(addr.text, host);
      }
      if (!ASIDE.has(host.role)) for (const { port } of host.listeners) this.#taken.add(port);
      for (const policy of host.policies) {
        if (policy.kind === 'host-ports') for (const { port } of policy.ports) this.#taken.add(port);
      }
    }
    // A host whose own address a Service takes treats all other packets by its own lights as well.
    this.#isDisturbed = [...this.#claims.keys()].some(
      (claim) => (this.#owners.get(claim)?.role ?? 'balancer') !== 'balancer',
    );
    this.#signatures = new Map(cluster.nodes.map((node) => [node.facts.name, signatureOf(cluster, node)]));
    this.#marked = new Set(
      cluster.ingresses.flatMap(({ annotations, addresses }) => [
        ...Object.values(annotations),
        ...addresses.map(({ text }) => text),
      ]),
    );
  }

  /** `undefined`: it is like no other. */
  shapeOf(stage: Stage, clients: readonly Client[]): Shape | undefined {
    const { key, service } = stage;
    if (this.#isDisturbed || !this.#mayBeAlike(key, service)) return undefined;
    const names = new Names();
    const slices = this.#slices(key, names);
    if (slices === undefined) return undefined;
    const parts = [
      this.#service(key, service, names),
      slices,
      this.#selected(service, names),
      clients.map(({ kind, host }) => [kind, this.#addresses(host, names)]),
      [stage.server, ...stage.others.slice(0, 2)].map((node) => node && names.give(node.address.text)),
      this.#nodes(names),
      this.#balancing(key, names),
    ];
    const membersFor = (client: Client, target: Target) => this.#membersFor(key, client, target);
    return { key: JSON.stringify(parts), names, membersFor };
  }

  #mayBeAlike(key: string, service: Service): boolean {
    const {
      clusterIP = '',
      clusterIPs = [],
      externalIPs = [],
      loadBalancerSourceRanges = [],
    } = service.spec ?? {};
    const { forwards, profile, balancerOf, cloudAddresses } = this.#cluster;
    const cloud = cloudAddresses.get(key) ?? [];
    const ports = (service.spec?.ports ?? []).flatMap(({ port, nodePort }) => [port, nodePort ?? port]);
    const isApart = (addr: Addr) =>
      addr.family === 4 &&
      !profile.podCIDR.contains(addr) &&
      !profile.serviceCIDR.contains(addr) &&
      (this.#owners.get(addr.text)?.role ?? 'balancer') === 'balancer' &&
      !forwards.some(({ elastic }) => elastic.equals(addr));
    return (
      Addr.isAddr(clusterIP) &&
      profile.serviceCIDR.contains(Addr.parse(clusterIP)) &&
      clusterIPs.length < 2 &&
      externalIPs.length === 0 &&
      loadBalancerSourceRanges.length === 0 &&
      [...claimsOf(this.#cluster, key, service)].every((claim) => this.#claims.get(claim) === 1) &&
      !Object.keys(service.metadata?.annotations ?? {}).some((name) => SAYS_WHERE.test(name)) &&
      !ports.some((port) => this.#isTaken(port)) &&
      cloud.every(isApart) &&
      !forwards.some(({ to }) => ports.some((port) => port === to.port)) &&
      ![balancerOf.get(key) ?? '', ...cloud.map(({ text }) => text)].some((one) => this.#marked.has(one))
    );
  }

  #isTaken(port: number): boolean {
    return this.#taken.has(port) || RESERVED.has(port);
  }

  #service(key: string, { metadata, spec = {}, status }: Service, names: Names): unknown {
    const balancer = this.#cluster.balancerOf.get(key);
    const { clusterIP = '', clusterIPs: _, selector = {}, ports = [], ...rest } = spec;
    const { loadBalancerIP: __, healthCheckNodePort, ...literal } = rest;
    return [
      literal,
      names.give(clusterIP),
      Object.keys(selector).length > 0,
      healthCheckNodePort !== undefined,
      Object.entries(metadata?.annotations ?? {})
        .filter(([name]) => name !== LAST_APPLIED)
        .map(([name, value]) => [name, value === balancer ? 'its balancer' : value])
        .sort(),
      // Kubernetes' own labels can take a Service out of kube-proxy's hands.
      Object.entries(metadata?.labels ?? {}).filter(([name]) => /^[^/]*kubernetes\.io\//.test(name)),
      ports.map(({ name, protocol, port, nodePort, targetPort: ___, ...others }, at) => [
        [name === undefined, at, protocol, others],
        [names.give(`:${port}`), nodePort === undefined ? '' : names.give(`:${nodePort}`)],
      ]),
      (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname, ...others }) => [
        ip === undefined ? '' : names.give(ip),
        hostname !== undefined,
        others,
      ]),
    ];
  }

  /** `undefined`: an endpoint is no pod of its node, or hints choose by zone. */
  #slices(key: string, names: Names): unknown {
    const portNames = (this.#cluster.services.get(key)?.spec?.ports ?? []).map(({ name = '' }) => name);
    const parts: unknown[] = [];
    for (const { addressType, endpoints, ports } of this.#cluster.slices.get(key) ?? []) {
      const listened = (ports ?? []).map(({ name = '', protocol = 'TCP', port = 0 }) => ({
        place: portNames.indexOf(name),
        protocol,
        port,
      }));
      if (listened.some(({ port }) => this.#isTaken(port))) return undefined;
      const known = (endpoints ?? []).map(({ addresses, conditions, nodeName, hints }) => {
        const [address = '', ...more] = addresses;
        const host = this.#owners.get(address);
        const node = host === undefined ? undefined : this.#cluster.pods.get(host.name)?.node;
        if (host?.role !== 'pod' || node !== nodeName || more.length > 0 || hints !== undefined)
          return undefined;
        const listens = listened.map(({ protocol, port }) =>
          host.listeners.some(
            (one) => one.addr === undefined && one.protocol === protocol && one.port === port,
          ),
        );
        return [names.give(address), this.#addresses(node ?? '', names), conditions, listens];
      });
      if (known.includes(undefined)) return undefined;
      parts.push([
        addressType,
        listened.map(({ place, protocol, port }) => [place, protocol, names.give(`:${port}`)]),
        known,
      ]);
    }
    return parts;
  }

  /** What a cause may be told by. */
  #selected(service: Service, names: Names): unknown {
    return [...this.#cluster.pods.values()]
      .filter(({ pod }) => selectsPod(service, pod))
      .map(({ pod, address, node }) => [
        names.give(address.text),
        this.#addresses(node, names),
        isReady(pod),
      ]);
  }

  /** The addresses of a host's own interfaces. */
  #addresses(host: string, names: Names): readonly string[] {
    return (this.#cluster.world.hosts.get(host)?.interfaces ?? []).flatMap(({ kind, addresses }) =>
      kind === 'dummy' ? [] : addresses.map(({ addr }) => names.give(addr.text)),
    );
  }

  /** Every node: those that have been named in that order, the others as they come. */
  #nodes(names: Names): unknown {
    const rank = ({ facts }: KnownNode) => names.rankOf(facts.address.text) ?? Number.POSITIVE_INFINITY;
    const inOrder = this.#cluster.nodes
      .map((node) => [rank(node), node] as const)
      .sort(([a], [b]) => (a === b ? 0 : a - b));
    return inOrder.map(([, { facts }]) => [
      this.#signatures.get(facts.name),
      this.#addresses(facts.name, names),
      facts.elastic === undefined ? '' : names.give(facts.elastic.text),
    ]);
  }

  #membersFor(key: string, client: Client, { addr, port, protocol }: Target): MembersAlike | undefined {
    const { balancers, balancerOf, slices } = this.#cluster;
    const balancer = balancers.find(({ name }) => name === balancerOf.get(key));
    const isIts = balancer?.address.equals(addr) || balancer?.elastic?.equals(addr);
    const listener = balancer?.listeners.find((one) => one.port === port && one.protocol === protocol);
    if (balancer === undefined || listener === undefined || !isIts) return undefined;
    const running = (slices.get(key) ?? []).flatMap(({ endpoints }) => endpoints ?? []);
    return membersAlike({
      cluster: this.#cluster,
      balancer: balancer.name,
      members: listener.members,
      apart: new Set([...running.flatMap(({ nodeName }) => nodeName ?? []), client.node ?? '']),
      signatureOf: (node) => this.#signatures.get(node) ?? '',
    });
  }

  #balancing(key: string, names: Names): unknown {
    const { balancers, balancerOf, cloudAddresses, profile } = this.#cluster;
    const balancer = balancers.find(({ name }) => name === balancerOf.get(key));
    const end = ({ addr, port }: Endpoint) => [names.give(addr.text), names.give(`:${port}`)];
    return [
      (cloudAddresses.get(key) ?? []).map((addr) => [names.give(addr.text), profile.vpcCIDR.contains(addr)]),
      balancer === undefined
        ? []
        : [
            names.give(balancer.address.text),
            balancer.elastic === undefined ? '' : names.give(balancer.elastic.text),
            balancer.keepClientAddress,
            balancer.listeners.map(({ port, members, ...literal }) => [
              literal,
              names.give(`:${port}`),
              // Whichever comes first, a balancer sends to all of them alike.
              members.map((member) => end(member).join(' ')).sort(),
            ]),
          ],
    ];
  }
}

/** What no two Services may have in common. */
function claimsOf(cluster: Cluster, key: string, { spec, status }: Service): Set<string> {
  const {
    clusterIP,
    clusterIPs = [],
    externalIPs = [],
    loadBalancerIP,
    ports = [],
    healthCheckNodePort,
  } = spec ?? {};
  const balancer = cluster.balancerOf.get(key);
  const ingress = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  const cloud = (cluster.cloudAddresses.get(key) ?? []).map(({ text }) => text);
  return new Set([
    ...[clusterIP, loadBalancerIP].flatMap((address) => address ?? []),
    ...[...clusterIPs, ...externalIPs, ...ingress, ...cloud],
    ...ports.flatMap(({ nodePort, protocol = 'TCP' }) => (nodePort ? `:${nodePort}/${protocol}` : [])),
    ...(healthCheckNodePort ? [`:${healthCheckNodePort}/TCP`] : []),
    ...(balancer === undefined ? [] : [`balancer ${balancer}`]),
  ]);
}

/** What tells nodes apart that run none of a Service's endpoints. */
function signatureOf({ profile, world }: Cluster, { node, facts }: KnownNode): string {
  const { podCIDR, blocks = [], second, tunnel, dual, listeners = [] } = facts;
  const processes = listeners.map(({ protocol, port, addr }) => `${protocol} ${addr ?? '*'}:${port}`).sort();
  const ranges = [podCIDR, dual?.podCIDR, ...blocks, ...(dual?.blocks ?? [])].map((range) => range?.length);
  const { nodePortAddresses } = profile;
  const own = (world.hosts.get(facts.name)?.interfaces ?? []).flatMap(({ kind, addresses }) =>
    kind === 'dummy' ? [] : addresses.map(({ addr }) => addr),
  );
  const listening =
    nodePortAddresses === 'primary'
      ? []
      : own.map((addr) => nodePortAddresses.map((range) => range.contains(addr)));
  return JSON.stringify([
    listening,
    ranges,
    second !== undefined,
    tunnel !== undefined,
    isMember(node),
    processes,
  ]);
}
