import { type Addr, Endpoint, type Family, type Port, type Protocol, portOf } from '../../ip/ip.ts';
import { type EndpointSlice, keyOf, type Node, type Service, type ServicePort } from '../../kube/objects.ts';
import { type ForwardingPlan, type PortPlan, planService } from '../../proxy/proxy.ts';
import {
  type Addressed,
  type BalancerFacts,
  inFamily,
  type MachineAddresses,
  type NodeAddresses,
  type NodeFacts,
} from '../facts.ts';
import type { BalancerListener, Forward } from '../policy.ts';
import { type ClusterProfile, familiesOf, rangesOf } from '../profile.ts';
import { balancerNameOf, CLOUD_FACTS, holds } from './cloud-facts.ts';
import type { IngressBackend, IngressNote } from './ingress.ts';
import type { Inventory, Problem } from './inventory.ts';
import { type CloudAddresses, listAddresses } from './kinds.ts';
import { handlingOf, memberLabelsOf, rangesOf as portRangesOf } from './listener-annotations.ts';
import type { ServiceView } from './service-view.ts';

/** A node that may be a member of a balancer. */
export interface MemberNode {
  readonly node: NodeFacts;
  readonly labels: Readonly<Record<string, string>>;
  readonly plan: ForwardingPlan;
}

export interface BalancingInput {
  readonly inventory: Inventory;
  readonly profile: ClusterProfile;
  readonly views: readonly ServiceView[];
  readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly nodes: readonly MemberNode[];
  /** An address of the VPC that nothing has. */
  readonly freeAddress: (family: Family) => Addr;
}

export interface Balancing {
  readonly balancers: readonly BalancerFacts[];
  readonly forwards: readonly Forward[];
  /** The balancer of each Service that has one, by `namespace/name`. */
  readonly balancerOf: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';
const TO_BE_DELETED = 'ToBeDeletedByClusterAutoscaler';

/** Whether the service controller puts the node behind balancers. */
export const isMember = ({ metadata, spec }: Node): boolean =>
  metadata?.labels?.[EXCLUDED] === undefined &&
  metadata?.deletionTimestamp === undefined &&
  !(spec?.taints ?? []).some(({ key }) => key === TO_BE_DELETED);

/** The balancers and forwards of a cluster's Services, over what the cloud has beside them. */
export function balancingOf(input: BalancingInput): Balancing {
  const { inventory, profile } = input;
  const drafts = new Drafts(input);
  const forwards: Forward[] = inventory.gateways.flatMap(({ dnat }) => dnat);
  const facts = CLOUD_FACTS[profile.cloud];
  for (const view of input.views) {
    if (view.service.spec?.type !== 'LoadBalancer') continue;
    if (holds(facts.natGateway, view.service, profile)) forwards.push(...forwardsOf(input, view));
    else drafts.add(view);
  }
  for (const ingress of inventory.ingresses) drafts.addIngress(ingress);
  return { ...drafts.finish(), forwards };
}

/** A NAT gateway sends to one node: that of the first ready pod. */
function forwardsOf({ nodes, slices }: BalancingInput, { service, cloudAddresses }: ServiceView): Forward[] {
  const endpoints = (slices.get(keyOf(service)) ?? []).flatMap((slice) => slice.endpoints ?? []);
  const ready = endpoints.find(({ conditions }) => conditions?.ready !== false);
  const member = nodes.find(({ node }) => node.name === ready?.nodeName) ?? nodes[0];
  if (member === undefined) return [];
  return (service.spec?.ports ?? []).flatMap(({ port, nodePort, protocol }) =>
    nodePort === undefined
      ? []
      : cloudAddresses.flatMap((elastic) => {
          const to = inFamily<NodeAddresses>(member.node, elastic.family);
          if (to === undefined) return [];
          return [
            {
              elastic,
              protocol: protocolOf(protocol),
              port: portOf(port),
              to: new Endpoint(to.address, portOf(nodePort)),
            },
          ];
        }),
  );
}

const protocolOf = (text: string | undefined): Protocol => (text === 'UDP' || text === 'SCTP' ? text : 'TCP');

interface DraftAddresses {
  address?: Addr;
  elastic?: Addr;
  /** Further private ones. */
  others?: readonly Addr[];
}

interface Draft {
  readonly name: string;
  readonly addresses: Map<Family, DraftAddresses>;
  /** Somebody says what addresses it has, and not its Services alone. */
  readonly isDescribed?: true;
  /** What somebody says of the balancer as a whole. */
  readonly keepClientAddress?: boolean;
  /** What its first Service brings, for listeners nobody says anything of. */
  usuallyKeeps?: boolean;
  /** By protocol and port. */
  readonly listeners: Map<string, BalancerListener>;
}

class Drafts {
  readonly #input: BalancingInput;
  readonly #drafts: Draft[];
  readonly #balancerOf = new Map<string, string>();
  readonly #problems: Problem[] = [];

  constructor(input: BalancingInput) {
    this.#input = input;
    this.#drafts = input.inventory.balancers.map((balancer) => {
      const { name, addresses, keepClientAddress } = balancer;
      const listeners = balancer.listeners.map((one) => [keyOfListener(one), one] as const);
      return {
        name,
        addresses: new Map(listAddresses(addresses).flatMap(draftAddresses)),
        isDescribed: true,
        ...(keepClientAddress === undefined ? {} : { keepClientAddress }),
        listeners: new Map(listeners),
      };
    });
  }

  add(view: ServiceView): void {
    const { service } = view;
    const draft = this.#draftOf(view);
    if (draft === undefined) {
      this.#note(view, 'has no address in status.loadBalancer: it has no balancer here');
      return;
    }
    for (const addr of view.cloudAddresses) this.#claim(draft, addr, view);
    this.#balancerOf.set(keyOf(service), draft.name);
    for (const listener of this.#listenersOf(service, draft)) {
      const key = keyOfListener(listener);
      if (draft.listeners.has(key)) this.#note(view, `finds port ${key} of '${draft.name}' taken`);
      else draft.listeners.set(key, listener);
    }
  }

  /** The listeners of an Ingress whose balancer the cloud made or was told of; those of a controller in the cluster are its Service's. */
  addIngress(ingress: IngressNote): void {
    const { annotations, addresses, ports, isSecure, backends } = ingress;
    const draft = this.#drafts.find(
      (one) =>
        Object.values(annotations).includes(one.name) || addresses.some((addr) => hasAddress(one, addr)),
    );
    if (draft === undefined) return;
    for (const number of ports) {
      const listener = { protocol: 'TCP', port: portOf(number) } as const;
      const key = keyOfListener(listener);
      if (draft.listeners.has(key)) continue;
      const members = backends.flatMap((backend) => this.#backendMembers(backend));
      if (members.length === 0) {
        const message = `ingress '${ingress.name}': where port ${number} of '${draft.name}' leads is not known`;
        this.#problems.push({ place: `ingress/${ingress.name}`, message });
        continue;
      }
      const ends = number === 80 || !isSecure ? 'HTTP' : 'HTTPS';
      draft.listeners.set(key, { ...listener, members, ends, keepClientAddress: false });
    }
  }

  finish(): Omit<Balancing, 'forwards'> {
    const balancers = this.#drafts.map((draft) => {
      const usual = draft.keepClientAddress ?? draft.usuallyKeeps ?? true;
      const all = [...draft.listeners.values()];
      const keeps = (one: BalancerListener) => one.keepClientAddress ?? usual;
      const keepClientAddress = all.length === 0 ? usual : all.some(keeps);
      const listeners = all.map((one) => {
        const { keepClientAddress: _, ...plain } = one;
        return keepClientAddress && !keeps(one) ? { ...plain, keepClientAddress: false } : plain;
      });
      return { name: draft.name, ...this.#addressesOf(draft), keepClientAddress, listeners };
    });
    return { balancers, balancerOf: this.#balancerOf, problems: this.#problems };
  }

  /** What is known of its families; of the cluster's first one if nothing is. */
  #addressesOf({ addresses }: Draft): Addressed<MachineAddresses> {
    const families = familiesOf(this.#input.profile);
    const known = families.filter((family) => addresses.has(family));
    const own = (known.length > 0 ? known : families.slice(0, 1)).map((family): MachineAddresses => {
      const { address = this.#input.freeAddress(family), ...more } = addresses.get(family) ?? {};
      return { address, ...more };
    });
    const [first, second] = own;
    if (first === undefined) throw new TypeError('a cluster has a family');
    return second === undefined ? first : { ...first, dual: second };
  }

  /** The balancer of that name, or the one that has one of the addresses, or a new one. */
  #draftOf({ service, cloudAddresses }: ServiceView): Draft | undefined {
    const named = balancerNameOf(service, this.#input.profile.cloud);
    const has = (draft: Draft) => cloudAddresses.some((addr) => hasAddress(draft, addr));
    const found = this.#drafts.find(({ name }) => name === named) ?? this.#drafts.find(has);
    const [first] = cloudAddresses;
    if (found !== undefined || first === undefined) return found;
    const name = named ?? `balancer-${first.text.replaceAll(':', '-')}`;
    const draft: Draft = { name, addresses: new Map(), listeners: new Map() };
    this.#drafts.push(draft);
    return draft;
  }

  #claim(draft: Draft, addr: Addr, view: ServiceView): void {
    const isPrivate = rangesOf(this.#input.profile).some(({ vpcCIDR }) => vpcCIDR.contains(addr));
    const own = draft.addresses.get(addr.family) ?? {};
    draft.addresses.set(addr.family, own);
    const known = isPrivate ? own.address : own.elastic;
    if (hasAddress(draft, addr)) return;
    if (known !== undefined && isPrivate && draft.isDescribed !== true) {
      own.others = [...(own.others ?? []), addr];
    } else if (known !== undefined) {
      this.#note(view, `says ${addr}, but its balancer '${draft.name}' has ${known}`);
    } else if (isPrivate) own.address = addr;
    else own.elastic = addr;
  }

  #listenersOf(service: Service, draft: Draft): BalancerListener[] {
    const { profile } = this.#input;
    const { cloud } = profile;
    const ports = service.spec?.ports ?? [];
    const listed = new Set(ports.map(({ port }) => port));
    draft.usuallyKeeps ??= holds(CLOUD_FACTS[cloud].keepsClientAddress, service, profile);
    const keepClientAddress =
      draft.keepClientAddress ?? holds(CLOUD_FACTS[cloud].keepsClientAddress, service, profile);
    return ports.flatMap((port) => {
      const listener: BalancerListener = {
        protocol: protocolOf(port.protocol),
        port: portOf(port.port),
        members: this.#membersOf(service, port),
        keepClientAddress,
        ...handlingOf(service, port, cloud),
      };
      const ranges = portRangesOf(service, port, cloud, listed);
      return [listener, ...ranges.map((range) => ({ ...listener, ...range }))];
    });
  }

  /** Where a balancer sends for a port of a Service. */
  #membersOf(service: Service, { protocol, port, nodePort }: ServicePort): Endpoint[] {
    const { profile, nodes } = this.#input;
    const { toPods, weighsByPods } = CLOUD_FACTS[profile.cloud];
    const wanted = { protocol: protocolOf(protocol), port: portOf(port) };
    if (holds(toPods, service, profile)) return this.#podMembers(service, wanted);
    const labels = memberLabelsOf(service, profile.cloud) ?? [];
    const chosen = nodes.filter((node) => labels.every(([key, value]) => node.labels[key] === value));
    const members = chosen.flatMap((node) => nodeMember(node, service, wanted, nodePort));
    return members.flatMap(({ to, pods }) =>
      Array.from({ length: holds(weighsByPods, service, profile) ? weightOf(pods, members) : 1 }, () => to),
    );
  }

  #backendMembers({ service: name, port }: IngressBackend): Endpoint[] {
    const service = this.#input.views.find((view) => keyOf(view.service) === name)?.service;
    const found = (service?.spec?.ports ?? []).find((one) => one.port === port || one.name === port);
    return service === undefined || found === undefined ? [] : this.#membersOf(service, found);
  }

  #podMembers(service: Service, listener: Wanted): Endpoint[] {
    const slices = this.#input.slices.get(keyOf(service)) ?? [];
    // Seen from no node, so that no topology hint takes an endpoint away.
    const { plan } = planService({ name: '', ips: [], podCIDRs: [] }, service, slices);
    return portsOfPlan(plan?.ports, listener).flatMap(({ cluster }) =>
      cluster.map(({ endpoint }) => endpoint),
    );
  }

  #note({ source }: ServiceView, message: string): void {
    const place = this.#input.inventory.place(source, ['status']);
    this.#problems.push({ place, message: `service '${keyOf(source)}' ${message}` });
  }
}

interface Wanted {
  readonly protocol: Protocol;
  readonly port: Port;
}

const keyOfListener = ({ protocol, port, lastPort }: Wanted & { readonly lastPort?: Port }): string =>
  `${port}${lastPort === undefined ? '' : `-${lastPort}`}/${protocol}`;

/** The port in each family that the Service has. */
const portsOfPlan = (
  ports: readonly PortPlan[] | undefined,
  { protocol, port }: Wanted,
): readonly PortPlan[] =>
  (ports ?? []).filter((one) => one.protocol === protocol && one.clusterIP.port === port);

const draftAddresses = (one: Omit<CloudAddresses, 'dual'>): [Family, DraftAddresses][] => {
  const family = (one.private ?? one.public)?.family;
  if (family === undefined) return [];
  const address = {
    ...(one.private === undefined ? {} : { address: one.private }),
    ...(one.others === undefined ? {} : { others: one.others }),
  };
  return [[family, one.public === undefined ? address : { ...address, elastic: one.public }]];
};

function hasAddress({ addresses }: Draft, addr: Addr): boolean {
  const { address, elastic, others = [] } = addresses.get(addr.family) ?? {};
  return [address, elastic, ...others].some((one) => one?.equals(addr));
}

/**
 * A node as member by its node port. With policy Local the balancer's health check takes out the nodes without an endpoint,
 * if its controller has not left them out already.
 */
function nodeMember(
  { node, plan }: MemberNode,
  service: Service,
  listener: Wanted,
  nodePort: number | undefined,
): { readonly to: Endpoint; readonly pods: number }[] {
  if (nodePort === undefined) return [];
  return portsOfPlan(plan.services.get(keyOf(service))?.ports, listener).flatMap((port) => {
    const own = inFamily<NodeAddresses>(node, port.family);
    if (own === undefined || (port.external === 'Local' && port.local.length === 0)) return [];
    return [{ to: new Endpoint(own.address, portOf(nodePort)), pods: port.local.length }];
  });
}

/** By the number of pods, in the smallest whole numbers. */
function weightOf(pods: number, all: readonly { readonly pods: number }[]): number {
  const divisor = all.reduce((most, one) => greatestDivisor(most, one.pods), 0);
  return divisor === 0 ? 1 : pods / divisor;
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
