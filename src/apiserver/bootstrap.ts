/** What a cluster has from its first moment: its namespaces, and the `kubernetes` Service through which pods reach the API. */
import { isDeepStrictEqual } from 'node:util';
import { errorFields, type Log } from '../fault/log.ts';
import type { Prefix } from '../ip/prefix.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';
import type { Entry } from '../store/store.ts';
import type { Registry } from './registry/registry.ts';
import { type AnyObject, decode, encode, prefixOf, storeKeyOf } from './registry/stored.ts';

/** Upstream's interval of the controller for this Service. */
const ADVERTISE_EVERY_MS = 10_000;

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

export interface Advertised {
  /** An IP address that pods can reach. */
  readonly address: string;
  readonly port: number;
}

export async function bootstrap(
  registry: Registry,
  ranges: readonly Prefix[],
  advertised: Advertised,
  log: Log,
): Promise<void> {
  const stored = await adoptServices(registry, log);
  for (const name of NAMESPACES) {
    await ensure(registry, RESOURCES.namespaces, undefined, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    });
  }
  // The way to the API takes its own address before one is drawn for a Service that lacks it.
  await advertise(registry, ranges, advertised);
  await repairServices(registry, stored, log);
}

/** Looks as often as upstream does whether somebody has deleted or changed the way to the API; returns how to stop. */
export function keepAdvertised(
  registry: Registry,
  ranges: readonly Prefix[],
  advertised: Advertised,
  log: Log,
): () => void {
  const timer = setInterval(() => {
    advertise(registry, ranges, advertised).catch((error: unknown) =>
      log.error('the Service kubernetes stays as it is', errorFields(error)),
    );
  }, ADVERTISE_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/** The Service `kubernetes` and where it leads. */
async function advertise(
  registry: Registry,
  [primary]: readonly Prefix[],
  advertised: Advertised,
): Promise<void> {
  if (primary === undefined) return;
  await ensure(registry, RESOURCES.services, 'default', kubernetesService(primary, advertised.port));
  await keep(registry, RESOURCES.endpoints, kubernetesEndpoints(advertised));
  await keep(registry, RESOURCES.endpointslices, kubernetesSlice(advertised));
}

/** Enters what is stored into the allocator's books; gives what it found. */
async function adoptServices(registry: Registry, log: Log): Promise<readonly Entry[]> {
  const { entries } = await registry.store.list(prefixOf(RESOURCES.services));
  for (const problem of registry.services.adopt(entries.map(decode)))
    log.warn('two Services claim the same', { problem });
  return entries;
}

/** Gives a stored Service its address that lacks one. */
async function repairServices(registry: Registry, entries: readonly Entry[], log: Log): Promise<void> {
  for (const entry of entries) {
    const repaired = structuredClone(decode(entry));
    const reservation = registry.services.reserve(RESOURCES.services, repaired, decode(entry));
    if (isDeepStrictEqual(repaired, decode(entry))) continue;
    await registry.store.commit([{ key: entry.key, value: encode(repaired), expect: entry.modRevision }]);
    reservation.confirm();
    log.warn('a Service lacked what it is entitled to and was given it', { service: entry.key });
  }
}

/** Makes the object unless it is there. */
async function ensure(
  registry: Registry,
  resource: Resource,
  namespace: string | undefined,
  object: AnyObject,
) {
  const key = storeKeyOf({ resource, namespace, name: object.metadata.name ?? '' });
  if ((await registry.store.get(key)) === undefined) await registry.create(resource, namespace, object, {});
}

/** Makes the object or puts it right. */
async function keep(registry: Registry, resource: Resource, object: AnyObject): Promise<void> {
  await ensure(registry, resource, 'default', object);
  const { metadata, ...content } = object;
  const key = { resource, namespace: 'default', name: metadata.name ?? '' };
  await registry.update(
    key,
    (current) => ({ ...current, ...content, metadata: { ...current?.metadata } }),
    {},
  );
}

const PORTS = { name: 'https', protocol: 'TCP' } as const;

function kubernetesService(range: Prefix, targetPort: number): AnyObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: range.at(1).text,
      sessionAffinity: 'None',
      ports: [{ ...PORTS, port: 443, targetPort }],
    },
  };
}

const kubernetesEndpoints = ({ address, port }: Advertised): AnyObject => ({
  apiVersion: 'v1',
  kind: 'Endpoints',
  // Managed here, so that no controller mirrors it into a second slice.
  metadata: { name: 'kubernetes', labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
  subsets: [{ addresses: [{ ip: address }], ports: [{ ...PORTS, port }] }],
});

const kubernetesSlice = ({ address, port }: Advertised): AnyObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'kubernetes', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
  addressType: address.includes(':') ? 'IPv6' : 'IPv4',
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports: [{ ...PORTS, port }],
});
