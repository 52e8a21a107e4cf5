import type { KubeClient } from '../client/client.ts';
import { Fault } from '../fault/fault.ts';
import { type EndpointSlice, type KubeObject, keyOf, type Node, type Pod } from '../kube/objects.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';

/**
 * Waits until the named nodes are Ready, the cluster DNS has an endpoint that is, and no pod is called ready that an
 * earlier run of the cluster left in the store: its containers went with that run. Throws {@link Fault} FE003 past the
 * bound, with what is still missing.
 * @param began when this run did, in milliseconds since 1970
 */
export async function clusterReady(
  client: KubeClient,
  nodes: readonly string[],
  began: number,
  boundMs: number,
): Promise<void> {
  // Times in the API are whole seconds.
  const since = Math.floor(began / 1000) * 1000;
  const missing = new Set([...nodes.map((name) => `node ${name}`), 'the cluster DNS']);
  const mark = (what: string, isMissing: boolean) => (isMissing ? missing.add(what) : missing.delete(what));
  const none = (prefix: string) => () => ![...missing].some((what) => what.startsWith(prefix));
  const bound = AbortSignal.timeout(boundMs);
  const nodesReady = untilSeen<Node>(client, RESOURCES.nodes, bound, none('node '), (node) => {
    if (isReadySince(node, since)) missing.delete(`node ${keyOf(node)}`);
  });
  const dnsAddresses = new Set<string>();
  const podsSeen = () => none('pod ')() && dnsAddresses.size > 0;
  const podsOfThisRun = untilSeen<Pod>(client, RESOURCES.pods, bound, podsSeen, (pod, isGone) => {
    mark(`pod ${keyOf(pod)}`, !isGone && isReadyFromBefore(pod, since));
    const { podIP } = pod.status ?? {};
    if (podIP !== undefined && isDnsPod(pod) && isReadyPod(pod) && !isReadyFromBefore(pod, since))
      dnsAddresses.add(podIP);
  });
  try {
    await Promise.all([nodesReady, podsOfThisRun]);
    const { endpointslices } = RESOURCES;
    await untilSeen<EndpointSlice>(client, endpointslices, bound, none('the cluster DNS'), (slice) => {
      // A slice may still hold, as ready, the address a pod had in the run before.
      const serving = (slice.endpoints ?? []).filter(({ conditions }) => conditions?.ready);
      const ofThisRun = serving.some(({ addresses }) =>
        addresses.some((address) => dnsAddresses.has(address)),
      );
      if (isDns(slice) && ofThisRun) missing.delete('the cluster DNS');
    });
  } catch (error) {
    if (!bound.aborted) throw error;
    const what = [...missing].join(', ');
    throw new Fault(
      'FE003',
      `not ready within ${boundMs} ms: ${what}`,
      'fairlead status and the logs say why',
    );
  }
}

/** Shows what there is and then every change, until there is enough. */
async function untilSeen<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  signal: AbortSignal,
  enough: () => boolean,
  see: (object: T, isGone: boolean) => void,
): Promise<void> {
  const { items, resourceVersion } = await client.list<T>(resource, { signal });
  for (const item of items) see(item, false);
  if (enough()) return;
  for await (const event of client.watch<T>(resource, { resourceVersion, signal })) {
    if (event.type !== 'BOOKMARK' && event.type !== 'ERROR') see(event.object, event.type === 'DELETED');
    if (enough()) return;
  }
  signal.throwIfAborted();
  return untilSeen(client, resource, signal, enough, see);
}

const isDns = (slice: EndpointSlice): boolean =>
  slice.metadata?.labels?.['kubernetes.io/service-name'] === 'kube-dns';

const isReadySince = (node: Node, since: number): boolean =>
  (node.status?.conditions ?? []).some(
    ({ type, status, lastHeartbeatTime }) =>
      type === 'Ready' && status === 'True' && Date.parse(lastHeartbeatTime ?? '') >= since,
  );

const isDnsPod = (pod: Pod): boolean => pod.metadata?.labels?.['k8s-app'] === 'kube-dns';

const isReadyPod = ({ status }: Pod): boolean =>
  (status?.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True');

function isReadyFromBefore(pod: Pod, since: number): boolean {
  const started = (pod.status?.containerStatuses ?? []).map(({ state }) => state?.running?.startedAt ?? '');
  return isReadyPod(pod) && started.some((time) => Date.parse(time) < since);
}
