/**
 * Cluster IPs and node ports of Services.
 *
 * Promises: no address and no port belongs to two Services, also under concurrent creates; what a failed or dry-run request
 * reserved is free again; what a deleted Service had is free at once; the books are made from the stored Services at start.
 * Refuses: an address or port that is taken or out of range, in upstream's words.
 *
 * @example
 * const reservation = allocator.reserve(RESOURCES.services, service, undefined); // fills in spec.clusterIP, nodePort, …
 * reservation.confirm(); // or cancel()
 */
import { Addr } from '../../ip/addr.ts';
import type { Prefix } from '../../ip/prefix.ts';
import type { Service } from '../../kube/objects.ts';
import { RESOURCES, type Resource } from '../../kube/resources.ts';
import {
  clusterIPInUse,
  clusterIPOutOfRange,
  dualStackNotConfigured,
  familyNotConfigured,
  NO_CLUSTER_IP_LEFT,
  NO_NODE_PORT_LEFT,
  nodePortInUse,
  nodePortOutOfRange,
} from '../../kube/validation/allocation.ts';
import { type FieldError, toStatus } from '../../kube/validation/validation.ts';
import type { AnyObject } from '../registry/stored.ts';
import { internal, StatusError } from '../status.ts';
import { AddressPool, PortPool, type PortRange } from './pools.ts';
import {
  dropForType,
  joinClusterIPs,
  keepAllocated,
  mayHaveNodePorts,
  needsClusterIP,
  needsHealthCheckNodePort,
  needsNodePorts,
} from './service-transitions.ts';

type Spec = NonNullable<Service['spec']>;
type IPFamily = 'IPv4' | 'IPv6';

/** What a request took out of the pools until it is known whether it succeeds. */
export interface Reservation {
  /** The Service is stored: gives back what it had before and has no more. */
  confirm(): void;
  /** The Service is not stored: gives back what was taken for it. Does nothing after `confirm`. */
  cancel(): void;
}

const NOTHING: Reservation = { confirm: () => undefined, cancel: () => undefined };

export interface ServiceAllocatorOptions {
  /** One range, or one of each family; the first is the default. */
  readonly ranges: readonly Prefix[];
  readonly nodePorts: PortRange;
  /** From 0 up to 1. */
  readonly random?: () => number;
}

/** What one Service has. */
interface Claims {
  readonly addresses: ReadonlySet<string>;
  readonly ports: ReadonlySet<number>;
}

export class ServiceAllocator {
  readonly families: readonly IPFamily[];
  readonly #pools: readonly AddressPool[];
  readonly #ports: PortPool;

  constructor(options: ServiceAllocatorOptions) {
    const random = options.random ?? Math.random;
    this.#pools = options.ranges.map((prefix) => new AddressPool(prefix, random));
    this.families = options.ranges.map(({ family }) => `IPv${family}` as const);
    this.#ports = new PortPool(options.nodePorts, random);
  }

  /** Enters stored Services into the books, oldest first. Returns what two of them claim, for the log. */
  adopt(services: readonly AnyObject[]): string[] {
    const age = (one: AnyObject) => one.metadata.creationTimestamp ?? '';
    const oldestFirst = [...services].sort((a, b) => age(a).localeCompare(age(b)));
    return oldestFirst.flatMap((service) => {
      const { addresses, ports } = claimsOf(service);
      const owner = ownerOf(service);
      const who = `${service.metadata.namespace}/${service.metadata.name}`;
      return [
        ...[...addresses]
          .filter((text) => this.#poolOf(text)?.take(Addr.parse(text), owner) === false)
          .map((text) => `${who}: cluster IP ${text} belongs to another Service`),
        ...[...ports]
          .filter((port) => !this.#ports.take(port, owner))
          .map((port) => `${who}: node port ${port} belongs to another Service`),
      ];
    });
  }

  /** Before an update is judged: what it leaves out stays, what its type has no use for goes. Changes `object`. */
  adoptAddresses(resource: Resource, object: AnyObject, old: AnyObject): void {
    if (resource.plural !== RESOURCES.services.plural) return;
    const spec = specOf(object);
    const before = specOf(old);
    joinClusterIPs(spec, before);
    keepAllocated(spec, before);
    dropForType(spec, before);
  }

  /** Allocates what the Service needs and lacks, and fills it in. Throws Invalid. */
  reserve(resource: Resource, object: AnyObject, old: AnyObject | undefined): Reservation {
    if (resource.plural !== RESOURCES.services.plural) return NOTHING;
    const owner = ownerOf(object);
    const before = old === undefined ? NO_CLAIMS : claimsOf(old);
    const taken: Taking = { addresses: new Set(), ports: new Set() };
    const cancel = () => this.#give(taken, before, owner);
    try {
      this.#allocate(object, owner, taken);
    } catch (error) {
      cancel();
      throw error;
    }
    let open = true;
    return {
      confirm: () => {
        open = false;
        this.#give(before, claimsOf(object), owner);
      },
      cancel: () => {
        if (open) cancel();
        open = false;
      },
    };
  }

  /** The object is deleted. */
  release(resource: Resource, object: AnyObject): void {
    if (resource.plural !== RESOURCES.services.plural) return;
    this.#give(claimsOf(object), NO_CLAIMS, ownerOf(object));
  }

  /** Gives back what is in `some` and not in `kept`. */
  #give(some: Claims, kept: Claims, owner: string): void {
    for (const text of some.addresses)
      if (!kept.addresses.has(text)) this.#poolOf(text)?.release(text, owner);
    for (const port of some.ports) if (!kept.ports.has(port)) this.#ports.release(port, owner);
  }

  #allocate(object: AnyObject, owner: string, taken: Taking): void {
    const spec = specOf(object);
    const refuse = (error: FieldError): StatusError =>
      StatusError.from(toStatus(RESOURCES.services, object.metadata.name ?? '', [error]));
    if (needsClusterIP(spec)) this.#allocateAddresses(spec, owner, taken, refuse);
    if (mayHaveNodePorts(spec)) this.#allocatePorts(spec, owner, taken, refuse);
    if (needsHealthCheckNodePort(spec)) {
      const field = 'spec.healthCheckNodePort';
      spec.healthCheckNodePort = this.#port(spec.healthCheckNodePort, field, owner, taken, refuse);
    }
  }

  #allocateAddresses(spec: Spec, owner: string, taken: Taking, refuse: Refuse): void {
    joinClusterIPs(spec);
    // Its endpoints are somebody else's, so what the cluster's ranges hold does not bind it (KEP-563).
    if (spec.clusterIP === 'None' && Object.keys(spec.selector ?? {}).length === 0) return;
    const families = this.#familiesOf(spec);
    const strange = families.findIndex((family) => !this.families.includes(family));
    if (strange >= 0) throw refuse(familyNotConfigured(families[strange] ?? '', strange));
    if (spec.ipFamilyPolicy === 'RequireDualStack' && this.families.length < 2) {
      throw refuse(dualStackNotConfigured());
    }
    spec.ipFamilies = [...families];
    spec.ipFamilyPolicy ??= families.length > 1 ? 'PreferDualStack' : 'SingleStack';
    if (spec.clusterIP === 'None') return;
    const asked = spec.clusterIPs ?? [];
    spec.clusterIPs = families.map((family, at) => this.#address(asked[at], family, owner, taken, refuse));
    spec.clusterIP = spec.clusterIPs[0] ?? '';
  }

  /** What the Service says, else the families of its addresses, else those of the ranges as its policy wants. */
  #familiesOf({ ipFamilies = [], ipFamilyPolicy, clusterIPs = [] }: Spec): readonly IPFamily[] {
    if (ipFamilies.length > 0) return ipFamilies as IPFamily[];
    const chosen = clusterIPs
      .filter((text) => text !== 'None')
      .map((text) => `IPv${Addr.parse(text).family}` as const);
    const all = [...new Set([...chosen, ...this.families])];
    const dual = ipFamilyPolicy === 'PreferDualStack' || ipFamilyPolicy === 'RequireDualStack';
    return all.slice(0, dual ? this.families.length : Math.max(1, chosen.length));
  }

  #address(
    asked: string | undefined,
    family: IPFamily,
    owner: string,
    taken: Taking,
    refuse: Refuse,
  ): string {
    const pool = this.#pools.find(({ prefix }) => `IPv${prefix.family}` === family);
    if (asked !== undefined && asked !== '') {
      const address = Addr.parse(asked);
      if (!pool?.holds(address)) throw refuse(clusterIPOutOfRange(asked, this.#rangesOf(address)));
      if (!pool.take(address, owner)) throw refuse(clusterIPInUse(asked));
      taken.addresses.add(address.text);
      return asked;
    }
    const found = pool?.allocate(owner);
    if (found === undefined) throw internal(NO_CLUSTER_IP_LEFT);
    taken.addresses.add(found);
    return found;
  }

  #allocatePorts(spec: Spec, owner: string, taken: Taking, refuse: Refuse): void {
    const ports = spec.ports ?? [];
    for (const [at, port] of ports.entries()) {
      if (port.nodePort) this.#port(port.nodePort, `spec.ports[${at}].nodePort`, owner, taken, refuse);
      else delete port.nodePort;
    }
    if (!needsNodePorts(spec)) return;
    for (const [at, port] of ports.entries()) {
      // DNS on UDP and TCP: one number serves both, as upstream.
      const twin = ports.find(
        (other) =>
          other.nodePort &&
          other.port === port.port &&
          (other.protocol ?? 'TCP') !== (port.protocol ?? 'TCP'),
      );
      port.nodePort ??=
        twin?.nodePort ?? this.#port(undefined, `spec.ports[${at}].nodePort`, owner, taken, refuse);
    }
  }

  #port(asked: number | undefined, field: string, owner: string, taken: Taking, refuse: Refuse): number {
    const { from, to } = this.#ports.range;
    if (asked) {
      if (!this.#ports.holds(asked)) throw refuse(nodePortOutOfRange(field, asked, `${from}-${to}`));
      if (!this.#ports.take(asked, owner)) throw refuse(nodePortInUse(field, asked));
      taken.ports.add(asked);
      return asked;
    }
    const found = this.#ports.allocate(owner);
    if (found === undefined) throw internal(NO_NODE_PORT_LEFT);
    taken.ports.add(found);
    return found;
  }

  #rangesOf(address: Addr): string[] {
    const same = this.#pools.filter(({ prefix }) => prefix.family === address.family);
    return (same.length > 0 ? same : this.#pools).map(({ prefix }) => prefix.text);
  }

  #poolOf(text: string): AddressPool | undefined {
    const address = Addr.parse(text);
    return this.#pools.find((pool) => pool.holds(address));
  }
}

interface Taking {
  readonly addresses: Set<string>;
  readonly ports: Set<number>;
}

type Refuse = (error: FieldError) => StatusError;

const NO_CLAIMS: Claims = { addresses: new Set(), ports: new Set() };

const ownerOf = (object: AnyObject): string => object.metadata.uid ?? '';

/** The Service's spec, to be changed in place. */
function specOf(object: AnyObject): Spec {
  object.spec ??= {};
  return object.spec as Spec;
}

function claimsOf(object: AnyObject): Claims {
  const { clusterIPs = [], ports = [], healthCheckNodePort } = specOf(object);
  const numbers = [...ports.map(({ nodePort }) => nodePort), healthCheckNodePort];
  return {
    addresses: new Set(clusterIPs.filter((text) => Addr.isAddr(text)).map((text) => Addr.parse(text).text)),
    ports: new Set(numbers.flatMap((port) => (port ? [port] : []))),
  };
}
