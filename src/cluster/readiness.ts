import type { KubeClient } from '../client/client.ts';
import { Fault } from '../fault/fault.ts';
import { type EndpointSlice, type KubeObject, keyOf, type Node } from '../kube/objects.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';

/**
 * Waits until the named nodes are Ready and the cluster DNS has an endpoint that is. Throws {@link Fault} FE003 past the
 * bound, with what is still missing.
 */
export async function clusterReady(
  client: KubeClient,
  nodes: readonly string[],
  boundMs: number,
): Promise<void> {
  const missing = new Set([...nodes.map((name) => `node ${name}`), 'the cluster DNS']);
  const bound = AbortSignal.timeout(boundMs);
  const nodeReady = untilEach<Node>(client, RESOURCES.nodes, bound, (node) => {
    if (isReady(node)) missing.delete(`node ${keyOf(node)}`);
    return nodes.every((name) => !missing.has(`node ${name}`));
  });
  const dnsReady = untilEach<EndpointSlice>(client, RESOURCES.endpointslices, bound, (slice) => {
    const named = slice.metadata?.labels?.['kubernetes.io/service-name'] === 'kube-dns';
    if (named && (slice.endpoints ?? []).some(({ conditions }) => conditions?.ready))
      missing.delete('the cluster DNS');
    return !missing.has('the cluster DNS');
  });
  try {
    await Promise.all([nodeReady, dnsReady]);
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

/** Lists, then watches, until `enough` says so of what it has been shown. */
async function untilEach<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  signal: AbortSignal,
  enough: (object: T) => boolean,
): Promise<void> {
  const { items, resourceVersion } = await client.list<T>(resource, { signal });
  if (items.some((item) => enough(item))) return;
  for await (const event of client.watch<T>(resource, { resourceVersion, signal })) {
    if ((event.type === 'ADDED' || event.type === 'MODIFIED') && enough(event.object)) return;
  }
  signal.throwIfAborted();
  return untilEach(client, resource, signal, enough);
}

const isReady = (node: Node): boolean =>
  (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
