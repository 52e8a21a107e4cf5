/**
 * EndpointSlice: the addresses behind each Service with a selector. Every change of a pod is written at once: how soon a
 * client stops being sent to a pod that is going away hangs on it.
 */
import type { Node } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import {
  addressTypesOf,
  groupsOf,
  hasSelector,
  isHeadless,
  SLICE_CONTROLLER,
} from '../../kube/service-endpoints.ts';
import { BY_NODE, type Context, queueOf } from '../context.ts';
import { isDeleting, nameOf } from '../metadata.ts';
import { sameJson } from '../same-json.ts';
import { followServices, podsOf } from './service-pods.ts';
import { SliceWriter } from './slice-writer.ts';

export const HEADLESS = 'service.kubernetes.io/headless';

export function startEndpointSlices(context: Context): void {
  const { informers } = context;
  const writer = new SliceWriter(context, SLICE_CONTROLLER);
  const queue = queueOf(context, 'endpointslice', sync, 16);

  followServices(informers, (key) => queue.add(key));
  informers.endpointslices.subscribe({ updated: repair, deleted: repair });
  informers.nodes.subscribe({ added: rezone, updated: (node, old) => rezone(node, old), deleted: rezone });

  /** Somebody else may have written or deleted a slice of ours. */
  function repair(slice: Parameters<typeof writer.manages>[0]): void {
    const service = slice.metadata?.labels?.['kubernetes.io/service-name'];
    if (writer.manages(slice) && service !== undefined) queue.add(`${slice.metadata?.namespace}/${service}`);
  }

  function rezone(node: Node, old?: Node): void {
    if (old !== undefined && sameJson(node.metadata?.labels, old.metadata?.labels)) return;
    const pods = informers.pods.lookup(BY_NODE, nameOf(node));
    if (pods.length === 0) return;
    const labels = pods.map((pod) => pod.metadata?.labels ?? {});
    for (const service of informers.services.values()) {
      const selector = Object.entries(service.spec?.selector ?? {});
      const isTouched = labels.some((one) => selector.every(([key, value]) => one[key] === value));
      if (hasSelector(service) && isTouched) queue.add(`${service.metadata?.namespace}/${nameOf(service)}`);
    }
  }

  async function sync(key: string): Promise<void> {
    // Endpoints made before every pod is known would drop the pods not heard of yet.
    await Promise.all([
      informers.services.synced,
      informers.pods.synced,
      informers.nodes.synced,
      informers.endpointslices.synced,
    ]);
    const service = informers.services.get(key);
    // Without the Service its slices are garbage, and the collector's.
    if (service === undefined || isDeleting(service)) return;
    if (!hasSelector(service)) {
      await Promise.all(writer.slicesOf(key).map((slice) => writer.remove(slice)));
      return;
    }
    const pods = podsOf(informers, service);
    const node = (name: string) => informers.nodes.get(name);
    const groups = addressTypesOf(service).map(
      (type) => [type, groupsOf(service, pods, type, node)] as const,
    );
    const labels = { ...service.metadata?.labels, ...(isHeadless(service) ? { [HEADLESS]: '' } : {}) };
    await writer.write({
      owner: service,
      ownerResource: RESOURCES.services,
      groups: new Map(groups),
      labels,
    });
  }
}
