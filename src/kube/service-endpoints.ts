/** From a Service and its pods to the endpoints they make. Pure. */
import { Addr } from '../ip/addr.ts';
import {
  type EndpointHints,
  type EndpointPort,
  type EndpointSlice,
  isDeleting,
  type Node,
  nameOf,
  namespaceOf,
  type Pod,
  type Service,
  type ServicePort,
  type SliceEndpoint,
} from './objects.ts';
import { isFinished, isReady } from './pod-state.ts';

export type AddressType = 'IPv4' | 'IPv6';

/** Endpoints that listen on the same ports: what one EndpointSlice can hold. */
export interface PortGroup {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

/** The label of an EndpointSlice that names who writes it, and what the controller of Services with a selector calls itself. */
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

const ZONE = 'topology.kubernetes.io/zone';

/** A Service whose endpoints are made from pods: it has a selector, and is not but another name. */
export const hasSelector = ({ spec }: Service): boolean =>
  spec?.type !== 'ExternalName' && Object.keys(spec?.selector ?? {}).length > 0;

/** Whether a Service selects the pod: namespaces are the same and the pod's labels hold every pair of the selector. */
export function selectsPod(service: Service, pod: Pod): boolean {
  if (!hasSelector(service) || namespaceOf(service) !== namespaceOf(pod)) return false;
  const labels = pod.metadata?.labels ?? {};
  return Object.entries(service.spec?.selector ?? {}).every(([key, value]) => labels[key] === value);
}

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';

/** The families a Service has slices for: those it says, else that of its address. */
export function addressTypesOf({ spec }: Service): AddressType[] {
  const families = (spec?.ipFamilies ?? []).filter((one) => one === 'IPv4' || one === 'IPv6');
  if (families.length > 0) return families;
  return [spec?.clusterIP?.includes(':') ? 'IPv6' : 'IPv4'];
}

const familyOf = (ip: string): AddressType => (ip.includes(':') ? 'IPv6' : 'IPv4');

/** The pod's address of the family, if it has one. */
export function addressOf(pod: Pod, type: AddressType): string | undefined {
  const { podIP, podIPs = [] } = pod.status ?? {};
  const all = podIPs.length > 0 ? podIPs.map(({ ip }) => ip) : [podIP];
  return all.find((ip) => ip !== undefined && familyOf(ip) === type && Addr.isAddr(ip));
}

/** A Service's endpoints of one family, grouped by the ports they resolve to. */
export function groupsOf(
  service: Service,
  pods: readonly Pod[],
  type: AddressType,
  nodeOf: (name: string) => Node | undefined,
): PortGroup[] {
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: SliceEndpoint[] }>();
  for (const pod of pods) {
    const address = isFinished(pod) ? undefined : addressOf(pod, type);
    if (address === undefined) continue;
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod, address, nodeOf));
    groups.set(key, group);
  }
  return [...groups.values()];
}

function endpointOf(
  service: Service,
  pod: Pod,
  address: string,
  nodeOf: (name: string) => Node | undefined,
): SliceEndpoint {
  const serving = isReady(pod);
  const terminating = isDeleting(pod);
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const { nodeName } = pod.spec ?? {};
  const zone = nodeName === undefined ? undefined : nodeOf(nodeName)?.metadata?.labels?.[ZONE];
  const hostname = hostnameOf(service, pod);
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: targetRefOf(pod),
    ...(zone === undefined ? {} : { zone }),
    ...(ready ? hintsFor(service, nodeName, zone) : {}),
  };
}

/**
 * spec.trafficDistribution as hints: the endpoint is for its own zone (KEP-4444), or for its own node and, for proxies that
 * know no nodes, its zone (KEP-3015). Endpoints that are not ready have none, as nobody is to be sent there.
 */
function hintsFor(
  { spec }: Service,
  node: string | undefined,
  zone: string | undefined,
): { readonly hints?: EndpointHints } {
  const wish = spec?.trafficDistribution;
  const forNodes = wish === 'PreferSameNode' && node !== undefined ? { forNodes: [{ name: node }] } : {};
  const forZones = wish !== undefined && zone !== undefined ? { forZones: [{ name: zone }] } : {};
  const hints = { ...forNodes, ...forZones };
  return Object.keys(hints).length === 0 ? {} : { hints };
}

/** A pod whose subdomain is the Service's name has a name of its own there (DNS specification, 2.4.1). */
export function hostnameOf(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === nameOf(service) ? hostname : undefined;
}

export function targetRefOf(pod: Pod): { kind: string; namespace: string; name: string; uid?: string } {
  const { uid } = pod.metadata ?? {};
  return {
    kind: 'Pod',
    namespace: namespaceOf(pod),
    name: nameOf(pod),
    ...(uid === undefined ? {} : { uid }),
  };
}

/** The Service's ports as this pod serves them; a named port that the pod does not have is left out. */
export function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetPortOf(port, pod);
    if (number === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function targetPortOf({ targetPort, port, protocol = 'TCP' }: ServicePort, pod: Pod): number | undefined {
  if (targetPort === undefined || targetPort === 0 || targetPort === '') return port;
  if (typeof targetPort === 'number') return targetPort;
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  // Init containers that restart always are sidecars and serve for the pod's life (KEP-753).
  const sidecars = initContainers.filter((container) => container.restartPolicy === 'Always');
  return [...containers, ...sidecars]
    .flatMap((container) => container.ports ?? [])
    .find((one) => one.name === targetPort && (one.protocol ?? 'TCP') === protocol)?.containerPort;
}

/**
 * The slices a cluster would hold for a Service with a selector, one a family and group of ports; `pods` are those it
 * selects. They are not packed to a maximum: who reads them cannot tell.
 */
export function slicesOf(
  service: Service,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): EndpointSlice[] {
  const labels = { 'kubernetes.io/service-name': nameOf(service) };
  return addressTypesOf(service).flatMap((addressType) =>
    groupsOf(service, pods, addressType, nodeOf).map(({ ports, endpoints }, at) => ({
      metadata: {
        name: `${nameOf(service)}-${addressType.toLowerCase()}-${at}`,
        namespace: namespaceOf(service),
        labels,
      },
      addressType,
      ports: [...ports],
      endpoints: [...endpoints],
    })),
  );
}
