/**
 * EndpointSliceMirroring: Endpoints that somebody wrote by hand, for a Service without a selector, as EndpointSlices, which is
 * all that service proxies read.
 */
import { Addr } from '../../ip/addr.ts';
import { type Endpoints, keyOf, type SliceEndpoint } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import type { AddressType, PortGroup } from '../../kube/service-endpoints.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import { type Context, queueOf } from '../context.ts';
import { isDeleting } from '../metadata.ts';
import { MANAGED_BY_ENDPOINTS } from './endpoints.ts';
import { SliceWriter } from './slice-writer.ts';

const MANAGER = 'endpointslicemirroring-controller.k8s.io';
const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
/** Endpoints once served as the lock of a leader election. */
const LEADER = 'control-plane.alpha.kubernetes.io/leader';

export function startEndpointSliceMirroring(context: Context): void {
  const { informers } = context;
  const writer = new SliceWriter(context, MANAGER);
  const queue = queueOf(context, 'endpointslicemirroring', sync, 4);
  const wake = (object: Parameters<typeof keyOf>[0]) => queue.add(keyOf(object));
  informers.endpoints.subscribe({ added: wake, updated: wake, deleted: wake });
  informers.services.subscribe({ added: wake, updated: wake, deleted: wake });

  async function sync(key: string): Promise<void> {
    await Promise.all([
      informers.endpoints.synced,
      informers.services.synced,
      informers.endpointslices.synced,
    ]);
    const endpoints = informers.endpoints.get(key);
    const service = informers.services.get(key);
    if (endpoints === undefined || service === undefined || hasSelector(service) || !isMirrored(endpoints)) {
      await Promise.all(writer.slicesOf(key).map((slice) => writer.remove(slice)));
      return;
    }
    if (isDeleting(endpoints)) return;
    const groups = mirrorOf(endpoints);
    await writer.write({
      owner: endpoints,
      ownerResource: RESOURCES.endpoints,
      groups,
      labels: { ...endpoints.metadata?.labels },
    });
  }
}

function isMirrored({ metadata }: Endpoints): boolean {
  const { labels = {}, annotations = {} } = metadata ?? {};
  return labels[SKIP] !== 'true' && !(LEADER in annotations) && !(MANAGED_BY_ENDPOINTS in labels);
}

/** The addresses of each family, subset by subset. */
export function mirrorOf({ subsets = [] }: Endpoints): ReadonlyMap<AddressType, readonly PortGroup[]> {
  const groups = new Map<AddressType, PortGroup[]>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => mirrored(address, true)),
      ...notReadyAddresses.map((address) => mirrored(address, false)),
    ];
    const slicePorts = ports.map((port) => ({ name: '', protocol: 'TCP', ...port }));
    for (const [type, endpoints] of Map.groupBy(all, familyOf)) {
      groups.set(type, [...(groups.get(type) ?? []), { ports: slicePorts, endpoints }]);
    }
  }
  return groups;
}

const familyOf = ({ addresses }: SliceEndpoint): AddressType =>
  Addr.parse(addresses[0] ?? '').family === 4 ? 'IPv4' : 'IPv6';

type Address = NonNullable<NonNullable<Endpoints['subsets']>[number]['addresses']>[number];

const mirrored = ({ ip, hostname, nodeName, targetRef }: Address, ready: boolean): SliceEndpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(hostname === undefined ? {} : { hostname }),
  ...(nodeName === undefined ? {} : { nodeName }),
  ...(targetRef === undefined ? {} : { targetRef }),
});
