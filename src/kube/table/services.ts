import type { EndpointSlice, Endpoints, Service } from '../objects.ts';
import { ageOf, labelsText, NONE, nameOf, shortList, UNKNOWN } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, type Printer, wide } from './column.ts';

export const servicePrinter: Printer<Service> = {
  columns: [
    NAME_COLUMN,
    column('Type', 'How the Service is exposed.'),
    column('Cluster-IP', 'The address inside the cluster.'),
    column('External-IP', 'Addresses the Service has outside: its balancer, or spec.externalIPs.'),
    column('Port(s)', 'Ports, with their node ports.'),
    AGE_COLUMN,
    wide('Selector', 'The labels of the pods behind the Service.'),
  ],
  cells: (service, now) => [
    nameOf(service),
    service.spec?.type ?? '',
    service.spec?.clusterIPs?.[0] || service.spec?.clusterIP || NONE,
    externalIPText(service),
    portsText(service),
    ageOf(service, now),
    labelsText(service.spec?.selector),
  ],
};

function externalIPText({ spec = {}, status }: Service): string {
  const externalIPs = spec.externalIPs ?? [];
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return externalIPs.join(',') || NONE;
    case 'LoadBalancer': {
      const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '');
      const balanced = [...new Set(ingress.filter((one) => one !== ''))].sort();
      return [...balanced, ...externalIPs].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return UNKNOWN;
  }
}

function portsText({ spec }: Service): string {
  const ports = (spec?.ports ?? []).map(({ port = 0, nodePort, protocol = 'TCP' }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.join(',') || NONE;
}

/** More addresses than this are counted, not listed. */
const LISTED = 3;

export const endpointsPrinter: Printer<Endpoints> = {
  columns: [NAME_COLUMN, column('Endpoints', 'Addresses and ports that are ready.'), AGE_COLUMN],
  cells: (endpoints, now) => [nameOf(endpoints), endpointsText(endpoints), ageOf(endpoints, now)],
};

function endpointsText({ subsets = [] }: Endpoints): string {
  if (subsets.length === 0) return NONE;
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    // A headless Service need not have ports.
    ports.length === 0
      ? addresses.map(({ ip = '' }) => ip)
      : ports.flatMap(({ port = 0 }) => addresses.map(({ ip = '' }) => hostPort(ip, port))),
  );
  return shortList(all, LISTED);
}

const hostPort = (ip: string, port: number): string =>
  ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;

export const endpointSlicePrinter: Printer<EndpointSlice> = {
  columns: [
    NAME_COLUMN,
    column('AddressType', 'The type of the addresses.'),
    column('Ports', 'Port numbers.'),
    column('Endpoints', 'Addresses, ready or not.'),
    AGE_COLUMN,
  ],
  cells: (slice, now) => [
    nameOf(slice),
    slice.addressType ?? '',
    shortList(
      (slice.ports ?? []).map(({ port, name }) => String(port ?? (name || '*'))),
      LISTED,
    ) || '<unset>',
    shortList(
      (slice.endpoints ?? []).flatMap(({ addresses }) => addresses ?? []),
      LISTED,
    ) || '<unset>',
    ageOf(slice, now),
  ],
};
