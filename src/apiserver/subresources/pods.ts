import { type Answer, type Call, decodedBody, dryRunOf, keyOf, methodOf, success } from '../call.ts';
import { type DeleteOptions, deleteObject } from '../registry/deletion.ts';
import { timestamp } from '../registry/metadata.ts';
import type { AnyObject, Fields } from '../registry/stored.ts';
import { badRequest, conflict, methodNotAllowed, notFound } from '../status.ts';

/** POST pods/NAME/binding: the scheduler gives a pod to a node (registry/core/pod/storage, BindingREST). */
export async function handleBinding(call: Call): Promise<Answer> {
  if (methodOf(call) !== 'POST') throw methodNotAllowed();
  const key = keyOf(call);
  const dryRun = dryRunOf(call);
  const { object } = await decodedBody(call, { group: '', version: 'v1', kind: 'Binding' });
  const { kind = '', name: node = '' } = (object.target ?? {}) as { kind?: string; name?: string };
  if ((kind !== '' && kind !== 'Node') || node === '') throw badRequest('target: must name a Node');
  const bind = (pod: AnyObject | undefined): AnyObject => {
    if (pod === undefined) throw notFound(key.resource, key.name);
    refuseBinding(call, pod);
    const { resourceVersion: _, ...metadata } = pod.metadata;
    return { ...pod, metadata, spec: { ...pod.spec, nodeName: node }, status: scheduled(call, pod) };
  };
  await call.registry.update(key, bind, { dryRun, subresource: 'binding' });
  return success(201);
}

function refuseBinding({ route }: Call, pod: AnyObject): void {
  const about = { group: '', plural: 'pods/binding' };
  const name = route.name ?? '';
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw conflict(about, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  }
  const { nodeName } = pod.spec ?? {};
  if (nodeName !== undefined && nodeName !== '') {
    throw conflict(about, name, `pod ${name} is already assigned to node "${nodeName}"`);
  }
}

function scheduled({ registry }: Call, pod: AnyObject): Fields {
  const { conditions = [] } = (pod.status ?? {}) as { conditions?: { type: string }[] };
  const others = conditions.filter(({ type }) => type !== 'PodScheduled');
  const lastTransitionTime = timestamp(registry.now());
  const condition = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime };
  return { ...pod.status, conditions: [...others, condition] };
}

/** POST pods/NAME/eviction: a deletion that a disruption budget could refuse; there are none here. */
export async function handleEviction(call: Call): Promise<Answer> {
  if (methodOf(call) !== 'POST') throw methodNotAllowed();
  const dryRun = dryRunOf(call);
  const { object } = await decodedBody(call, { group: 'policy', version: 'v1', kind: 'Eviction' });
  await deleteObject(call.registry, keyOf(call), (object.deleteOptions ?? {}) as DeleteOptions, { dryRun });
  return success(201);
}
