/** Endpoints and EndpointSlices (upstream: pkg/apis/core and pkg/apis/discovery validation). */
import type { EndpointHints, EndpointSlice, Endpoints, SliceEndpoint } from '../objects.ts';
import {
  checkAddress,
  checkFormat,
  checkNotSpecialAddress,
  checkPortNumber,
  checkProtocol,
  familyOf,
} from './checks.ts';
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooMany,
} from './field-error.ts';
import { dns1123Label, dns1123Subdomain, qualifiedName } from './formats.ts';
import { checkImmutable } from './same.ts';

export function checkEndpoints(endpoints: Endpoints): FieldError[] {
  return (endpoints.subsets ?? []).flatMap((subset, at) => {
    const path = `subsets[${at}]`;
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    const errors: FieldError[] = [];
    if (addresses.length + notReadyAddresses.length === 0) {
      errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const key of ['addresses', 'notReadyAddresses'] as const) {
      const list = subset[key] ?? [];
      errors.push(...list.flatMap((one, oneAt) => checkEndpointAddress(`${path}.${key}[${oneAt}]`, one)));
    }
    return [
      ...errors,
      ...ports.flatMap((port, portAt) => checkSubsetPort(`${path}.ports[${portAt}]`, port, ports.length > 1)),
    ];
  });
}

interface EndpointAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
}

function checkEndpointAddress(field: string, address: EndpointAddress): FieldError[] {
  const { ip = '', hostname = '', nodeName } = address;
  const malformed = checkAddress(`${field}.ip`, ip);
  return [
    ...malformed,
    ...(hostname === '' ? [] : checkFormat(`${field}.hostname`, hostname, dns1123Label)),
    ...(nodeName === undefined ? [] : checkFormat(`${field}.nodeName`, nodeName, dns1123Subdomain)),
    ...checkNotSpecialAddress(`${field}.ip`, ip),
  ];
}

interface SubsetPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
  readonly appProtocol?: string;
}

function checkSubsetPort(field: string, port: SubsetPort, named: boolean): FieldError[] {
  const { name = '', appProtocol } = port;
  const naming =
    name === ''
      ? named
        ? [required(`${field}.name`)]
        : []
      : checkFormat(`${field}.name`, name, dns1123Label);
  return [
    ...naming,
    ...checkPortNumber(`${field}.port`, port.port ?? 0),
    ...checkProtocol(`${field}.protocol`, port.protocol),
    ...(appProtocol === undefined ? [] : checkFormat(`${field}.appProtocol`, appProtocol, qualifiedName)),
  ];
}

/** What one slice may hold; more goes into further slices. */
const MAX_ENDPOINTS = 1000;
const MAX_PORTS = 20_000;
const MAX_ADDRESSES = 100;
const MAX_HINTS = 8;
const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];

export function checkEndpointSlice(slice: EndpointSlice): FieldError[] {
  const type = slice.addressType ?? '';
  const errors: FieldError[] = [];
  if (type === '') errors.push(required('addressType'));
  else if (!ADDRESS_TYPES.includes(type)) {
    errors.push(notSupported('addressType', type, ADDRESS_TYPES));
  }
  return [...errors, ...checkSliceEndpoints(slice.endpoints ?? [], type), ...checkSlicePorts(slice.ports)];
}

export const checkEndpointSliceUpdate = (slice: EndpointSlice, old: EndpointSlice): FieldError[] =>
  checkImmutable('addressType', slice.addressType, old.addressType);

function checkSliceEndpoints(endpoints: readonly SliceEndpoint[], type: string): FieldError[] {
  if (endpoints.length > MAX_ENDPOINTS) return [tooMany('endpoints', endpoints.length, MAX_ENDPOINTS)];
  return endpoints.flatMap((endpoint, at) => checkSliceEndpoint(`endpoints[${at}]`, endpoint, type));
}

function checkSliceEndpoint(path: string, endpoint: SliceEndpoint, type: string): FieldError[] {
  const { addresses = [], hostname, nodeName, hints } = endpoint;
  const errors: FieldError[] = [];
  if (addresses.length === 0) {
    errors.push(required(`${path}.addresses`, 'must contain at least 1 address'));
  } else if (addresses.length > MAX_ADDRESSES) {
    errors.push(tooMany(`${path}.addresses`, addresses.length, MAX_ADDRESSES));
  }
  errors.push(
    ...addresses.flatMap((address, at) => checkSliceAddress(`${path}.addresses[${at}]`, address, type)),
  );
  if (nodeName !== undefined) errors.push(...checkFormat(`${path}.nodeName`, nodeName, dns1123Subdomain));
  for (const key of Object.keys(endpoint.deprecatedTopology ?? {})) {
    const field = `${path}.deprecatedTopology`;
    errors.push(...checkFormat(field, key, qualifiedName));
    if (key === 'topology.kubernetes.io/zone') {
      errors.push(forbidden(`${field}[${key}]`, 'use `zone` instead'));
    }
  }
  if (hostname !== undefined) errors.push(...checkFormat(`${path}.hostname`, hostname, dns1123Label));
  const { forZones = [], forNodes = [] }: EndpointHints = hints ?? {};
  errors.push(...checkHints(`${path}.hints.forZones`, forZones));
  errors.push(...checkHints(`${path}.hints.forNodes`, forNodes));
  for (const [at, { name }] of forNodes.entries()) {
    errors.push(...checkFormat(`${path}.hints.forNodes[${at}].name`, name, dns1123Subdomain));
  }
  return errors;
}

function checkHints(path: string, hints: readonly { readonly name: string }[]): FieldError[] {
  const errors = hints.length > MAX_HINTS ? [tooMany(path, hints.length, MAX_HINTS)] : [];
  const seen = new Set<string>();
  for (const [at, { name }] of hints.entries()) {
    if (seen.has(name)) errors.push(duplicate(`${path}[${at}].name`, name));
    seen.add(name);
  }
  return errors;
}

function checkSliceAddress(field: string, address: string, type: string): FieldError[] {
  if (type === 'FQDN') return checkFullyQualified(field, address);
  if (type !== 'IPv4' && type !== 'IPv6') return [];
  const wanted = type === 'IPv4' ? 4 : 6;
  const malformed = checkAddress(field, address);
  if (malformed.length > 0) return malformed;
  return familyOf(address) === wanted
    ? checkNotSpecialAddress(field, address)
    : [invalid(field, address, `must be a valid ${type} address`), ...checkNotSpecialAddress(field, address)];
}

function checkFullyQualified(field: string, address: string): FieldError[] {
  const name = address.replace(/\.$/, '');
  if (name === '') return [required(field)];
  const malformed = dns1123Subdomain(name);
  if (malformed.length > 0) return [invalid(field, name, malformed.join(','))];
  return name.includes('.')
    ? []
    : [invalid(field, name, 'should be a domain with at least two segments separated by dots')];
}

function checkSlicePorts(ports: EndpointSlice['ports'] = []): FieldError[] {
  if (ports.length > MAX_PORTS) return [tooMany('ports', ports.length, MAX_PORTS)];
  const names = new Set<string>();
  return ports.flatMap(({ name = '', protocol, port, appProtocol }, at) => {
    const path = `ports[${at}]`;
    const errors = name === '' ? [] : checkFormat(`${path}.name`, name, dns1123Label);
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    return [
      ...errors,
      ...checkProtocol(`${path}.protocol`, protocol),
      ...(port === undefined ? [] : checkPortNumber(`${path}.port`, port)),
      ...(appProtocol === undefined ? [] : checkFormat(`${path}.appProtocol`, appProtocol, qualifiedName)),
    ];
  });
}
