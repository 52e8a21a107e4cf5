/**
 * What the cluster's zone knows: Services, the ready endpoints behind them, Namespaces; kept as the API server tells of
 * changes, found by the names and addresses that questions ask for. No network, no clock.
 */
import { Addr, type Family } from '../ip/ip.ts';
import type { EndpointSlice, Service } from '../kube/objects.ts';
import { keyOf } from '../kube/objects.ts';

export interface ZonePort {
  /** Empty for a port without a name. */
  readonly name: string;
  /** Lower case, as it stands in `_tcp`. */
  readonly protocol: string;
  readonly port: number;
}

export interface ZoneAddress {
  readonly family: Family;
  /** Canonical. */
  readonly text: string;
}

export interface ZoneEndpoint {
  /** The name below the Service's: the hostname, else the address with dashes. */
  readonly label: string;
  readonly address: ZoneAddress;
  readonly ports: readonly ZonePort[];
}

export interface ZoneService {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly ZoneAddress[];
  readonly headless: boolean;
  /** The name an ExternalName Service stands for, without the last dot. */
  readonly externalName?: string;
  readonly ports: readonly ZonePort[];
}

const SERVICE_NAME = 'kubernetes.io/service-name';
const NONE: readonly ZoneEndpoint[] = [];

export class Zone {
  /** Lower case, without dots at the ends. */
  readonly domain: string;
  /** Until the first lists are in, nothing can be said not to exist. */
  isSynced = false;
  /** Of the SOA record; whoever changes the zone raises it. */
  serial = 1;
  readonly #namespaces = new Set<string>();
  readonly #services = new Map<string, ZoneService>();
  readonly #byClusterIP = new Map<string, ZoneService>();
  /** Endpoints a slice, by the key of the Service and the name of the slice. */
  readonly #slices = new Map<string, Map<string, readonly ZoneEndpoint[]>>();
  readonly #endpoints = new Map<string, readonly ZoneEndpoint[]>();
  /** Keys of the Services that an address is an endpoint of. */
  readonly #byEndpoint = new Map<string, Set<string>>();

  constructor(domain: string) {
    this.domain = domain.toLowerCase().replace(/^\.+|\.+$/g, '');
  }

  setNamespace(name: string): void {
    this.#namespaces.add(name);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  setService(object: Service): void {
    this.removeService(object);
    const service = serviceOf(object);
    this.#services.set(keyOf(object), service);
    for (const address of service.addresses) this.#byClusterIP.set(address.text, service);
  }

  removeService(object: Service): void {
    const known = this.#services.get(keyOf(object));
    if (known === undefined) return;
    this.#services.delete(keyOf(object));
    for (const { text } of known.addresses) {
      // The address may have gone to another Service already.
      if (this.#byClusterIP.get(text) === known) this.#byClusterIP.delete(text);
    }
  }

  setSlice(slice: EndpointSlice): void {
    const key = serviceKeyOf(slice);
    if (key === undefined) return;
    const slices = this.#slices.get(key) ?? new Map<string, readonly ZoneEndpoint[]>();
    slices.set(slice.metadata?.name ?? '', endpointsOf(slice));
    this.#slices.set(key, slices);
    this.#merge(key);
  }

  removeSlice(slice: EndpointSlice): void {
    const key = serviceKeyOf(slice);
    if (key === undefined) return;
    this.#slices.get(key)?.delete(slice.metadata?.name ?? '');
    this.#merge(key);
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  service(namespace: string, name: string): ZoneService | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  /** The ready endpoints of a Service, each address once a label. */
  endpoints(service: ZoneService): readonly ZoneEndpoint[] {
    return this.#endpoints.get(`${service.namespace}/${service.name}`) ?? NONE;
  }

  serviceAt(clusterIP: string): ZoneService | undefined {
    return this.#byClusterIP.get(clusterIP);
  }

  /** The Services that have an endpoint at the address. */
  *servicesBehind(address: string): IterableIterator<ZoneService> {
    for (const key of this.#byEndpoint.get(address) ?? []) {
      const service = this.#services.get(key);
      if (service !== undefined) yield service;
    }
  }

  /** Makes one list of the Service's slices, and renews the index by address. */
  #merge(key: string): void {
    for (const { address } of this.#endpoints.get(key) ?? NONE) {
      const keys = this.#byEndpoint.get(address.text);
      keys?.delete(key);
      if (keys?.size === 0) this.#byEndpoint.delete(address.text);
    }
    const slices = this.#slices.get(key);
    const merged = mergedEndpoints([...(slices?.values() ?? [])].flat());
    if (merged.length === 0) this.#endpoints.delete(key);
    else this.#endpoints.set(key, merged);
    if (slices?.size === 0) this.#slices.delete(key);
    for (const { address } of merged) {
      const keys = this.#byEndpoint.get(address.text) ?? new Set();
      this.#byEndpoint.set(address.text, keys.add(key));
    }
  }
}

function serviceKeyOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata?.labels?.[SERVICE_NAME];
  return name === undefined ? undefined : `${slice.metadata?.namespace ?? 'default'}/${name}`;
}

function serviceOf(object: Service): ZoneService {
  const { metadata, spec } = object;
  const { type, clusterIP, clusterIPs = [], externalName, ports = [] } = spec ?? {};
  const addresses = clusterIPs.length > 0 ? clusterIPs : clusterIP === undefined ? [] : [clusterIP];
  return {
    namespace: metadata?.namespace ?? 'default',
    name: metadata?.name ?? '',
    headless: clusterIP === 'None',
    addresses: addressesOf(addresses),
    ...(type === 'ExternalName' &&
      externalName !== undefined && { externalName: externalName.replace(/\.$/, '') }),
    ports: ports.map((port) => portOf(port)),
  };
}

const portOf = (port: { name?: string; protocol?: string; port?: number }): ZonePort => ({
  name: (port.name ?? '').toLowerCase(),
  protocol: (port.protocol ?? 'TCP').toLowerCase(),
  port: port.port ?? 0,
});

/** `None` and what else is no address is left out. */
function addressesOf(texts: readonly string[]): ZoneAddress[] {
  return texts
    .filter((text) => Addr.isAddr(text))
    .map((text) => Addr.parse(text))
    .map(({ family, text }) => ({ family, text }));
}

/** An endpoint without the condition counts as ready (discovery/v1, EndpointConditions). */
function endpointsOf(slice: EndpointSlice): ZoneEndpoint[] {
  const ports = (slice.ports ?? []).map((port) => portOf(port));
  return (slice.endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .flatMap((endpoint) =>
      addressesOf(endpoint.addresses).map((address) => ({
        label: endpoint.hostname?.toLowerCase() ?? dashed(address.text),
        address,
        ports,
      })),
    );
}

/** As upstream names an endpoint or a pod by its address: `10-0-0-1`, `2001-db8--1`. */
export const dashed = (address: string): string => address.replace(/[.:]/g, '-');

/** While a controller moves an endpoint between slices it stands in both. */
function mergedEndpoints(endpoints: readonly ZoneEndpoint[]): readonly ZoneEndpoint[] {
  const merged = new Map<string, ZoneEndpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.label} ${endpoint.address.text}`;
    const known = merged.get(key);
    const ports = known === undefined ? endpoint.ports : unitedPorts(known.ports, endpoint.ports);
    merged.set(key, { ...endpoint, ports });
  }
  return [...merged.values()];
}

const unitedPorts = (some: readonly ZonePort[], more: readonly ZonePort[]): ZonePort[] => [
  ...new Map([...some, ...more].map((one) => [`${one.name} ${one.protocol} ${one.port}`, one])).values(),
];
