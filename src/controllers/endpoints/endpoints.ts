/** Endpoints: what EndpointSlices replaced and `kubectl get endpoints` still shows. */
import { ApiError } from '../../client/client.ts';
import type { Endpoints, Service } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { hasSelector, isHeadless } from '../../kube/service-endpoints.ts';
import { type Context, queueOf } from '../context.ts';
import { isDeleting, keyPartsOf, nameOf, namespaceOf, splitKey } from '../metadata.ts';
import { OwnWrites } from '../own-writes.ts';
import { sameJson } from '../same-json.ts';
import { HEADLESS } from './endpoint-slice.ts';
import { subsetsOf } from './endpoint-subsets.ts';
import { followServices, podsOf } from './service-pods.ts';

export const MANAGED_BY_ENDPOINTS = 'endpoints.kubernetes.io/managed-by';
const MANAGER = 'endpoint-controller';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

export function startEndpoints(context: Context): void {
  const { client, informers } = context;
  const writes = new OwnWrites(informers.endpoints);
  const queue = queueOf(context, 'endpoints', sync, 8);
  followServices(informers, (key) => queue.add(key));
  informers.endpoints.subscribe({ updated: repair, deleted: repair });

  function repair(endpoints: Endpoints): void {
    if (informers.services.get(`${namespaceOf(endpoints)}/${nameOf(endpoints)}`)) {
      queue.add(`${namespaceOf(endpoints)}/${nameOf(endpoints)}`);
    }
  }

  async function sync(key: string): Promise<void> {
    await Promise.all([informers.services.synced, informers.pods.synced, informers.endpoints.synced]);
    const service = informers.services.get(key);
    if (service === undefined) return remove(key);
    if (isDeleting(service) || !hasSelector(service)) return;
    const wanted = endpointsOf(service, subsetsOf(service, podsOf(informers, service)));
    const held = writes.get(key);
    if (held === undefined) {
      writes.put(await client.create<Endpoints>(RESOURCES.endpoints, wanted, namespaceOf(service)));
      return;
    }
    if (isSame(held, wanted)) return;
    const next = { ...wanted, metadata: { ...held.metadata, ...wanted.metadata } };
    writes.put(await client.update<Endpoints>(RESOURCES.endpoints, next));
  }

  /** The Service is gone. Endpoints that somebody wrote by hand go with it, as upstream's do. */
  async function remove(key: string): Promise<void> {
    const held = writes.get(key) ?? { metadata: splitKey(key) };
    try {
      await client.delete(RESOURCES.endpoints, keyPartsOf(held));
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

function endpointsOf(
  service: Service,
  { subsets, truncated }: ReturnType<typeof subsetsOf>,
): Endpoints & { metadata: { annotations: Record<string, string> } } {
  return {
    metadata: {
      name: nameOf(service),
      namespace: namespaceOf(service),
      labels: {
        ...service.metadata?.labels,
        [MANAGED_BY_ENDPOINTS]: MANAGER,
        ...(isHeadless(service) ? { [HEADLESS]: '' } : {}),
      },
      annotations: truncated ? { [OVER_CAPACITY]: 'truncated' } : {},
    },
    subsets,
  };
}

const isSame = (a: Endpoints, b: Endpoints): boolean =>
  sameJson(a.subsets ?? [], b.subsets ?? []) &&
  sameJson(a.metadata?.labels ?? {}, b.metadata?.labels ?? {}) &&
  sameJson(a.metadata?.annotations ?? {}, b.metadata?.annotations ?? {});
