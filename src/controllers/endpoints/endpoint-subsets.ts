/** The legacy Endpoints of a Service: subsets of addresses that share all their ports. Pure. */
import type { Endpoints, Pod, Service } from '../../kube/objects.ts';
import { addressOf, addressTypesOf, hostnameOf, portsOf, targetRefOf } from '../../kube/service-endpoints.ts';
import { isDeleting } from '../metadata.ts';
import { isFinished, isReady } from '../pods.ts';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];
type Ports = NonNullable<Subset['ports']>;

/** Endpoints hold so many addresses at most (KEP-752); those ready come first. */
export const MAX_ADDRESSES = 1000;

interface Place {
  readonly address: Address;
  readonly ready: boolean;
  readonly ports: Ports;
}

/** Sorted by ports and addresses as upstream sorts (api/v1/endpoints, RepackSubsets). */
export function subsetsOf(service: Service, pods: readonly Pod[]): { subsets: Subset[]; truncated: boolean } {
  const all = pods.flatMap((pod) => placeOf(service, pod));
  const places = all.toSorted((a, b) => Number(b.ready) - Number(a.ready)).slice(0, MAX_ADDRESSES);
  const byPorts = Map.groupBy(places, ({ ports }) => JSON.stringify(ports));
  const subsets = [...byPorts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => subsetOf(group));
  return { subsets, truncated: all.length > places.length };
}

function placeOf(service: Service, pod: Pod): Place[] {
  const publishAll = service.spec?.publishNotReadyAddresses === true;
  const [type = 'IPv4'] = addressTypesOf(service);
  const ip = addressOf(pod, type);
  if (ip === undefined || isFinished(pod) || (isDeleting(pod) && !publishAll)) return [];
  const ports = portsOf(service, pod);
  if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) return [];
  const hostname = hostnameOf(service, pod);
  const { nodeName } = pod.spec ?? {};
  const address: Address = {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: targetRefOf(pod),
  };
  return [{ address, ready: publishAll || isReady(pod), ports: ports.map(unnamed) as Ports }];
}

/** An unnamed port has no name here, where a slice says the empty one. */
const unnamed = ({ name, ...port }: { name?: string }) => (name ? { name, ...port } : port);

function subsetOf(places: readonly Place[]): Subset {
  const sorted = places.toSorted((a, b) => byAddress(a.address, b.address));
  const addresses = sorted.filter(({ ready }) => ready).map(({ address }) => address);
  const notReady = sorted.filter(({ ready }) => !ready).map(({ address }) => address);
  const ports = places[0]?.ports ?? [];
  return {
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ...(ports.length > 0 ? { ports } : {}),
  };
}

/** By the text of the address, then by uid: upstream compares the bytes. */
function byAddress(a: Address, b: Address): number {
  if (a.ip !== b.ip) return a.ip < b.ip ? -1 : 1;
  return (a.targetRef?.uid ?? '') < (b.targetRef?.uid ?? '') ? -1 : 1;
}
