/** Pods that no kubelet will ever take away: those of nodes that are gone, and those deleted before they had a node. */
import { ApiError } from '../../client/client.ts';
import type { Pod } from '../../kube/objects.ts';
import { keyOf } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { BY_NODE, type Context, queueOf } from '../context.ts';
import { isDeleting, keyPartsOf, nameOf, uidOf } from '../metadata.ts';
import { isFinished } from '../pods.ts';

export function startPodGc(context: Context): void {
  const { client, informers } = context;
  const queue = queueOf(context, 'podgc', sync, 4);
  const wake = (pod: Pod) => {
    const { nodeName } = pod.spec ?? {};
    const isLost = nodeName ? informers.nodes.get(nodeName) === undefined : isDeleting(pod);
    if (isLost) queue.add(keyOf(pod));
  };
  informers.pods.subscribe({ added: wake, updated: wake });
  informers.nodes.subscribe({
    deleted: (node) => {
      for (const pod of informers.pods.lookup(BY_NODE, nameOf(node))) queue.add(keyOf(pod));
    },
  });

  async function sync(key: string): Promise<void> {
    await Promise.all([informers.pods.synced, informers.nodes.synced]);
    const pod = informers.pods.get(key);
    if (pod === undefined) return;
    const { nodeName } = pod.spec ?? {};
    const isLost = nodeName ? await isGone(nodeName) : isDeleting(pod);
    if (!isLost) return;
    if (nodeName && !isFinished(pod)) await fail(pod);
    await remove(pod);
  }

  /** Asked of the server: a node the cache has yet to hear of is no reason to delete its pods. */
  async function isGone(name: string): Promise<boolean> {
    if (informers.nodes.get(name) !== undefined) return false;
    try {
      await client.get(RESOURCES.nodes, name);
      return false;
    } catch (error) {
      if (ApiError.is(error, 'NotFound')) return true;
      throw error;
    }
  }

  async function fail(pod: Pod): Promise<void> {
    const message = 'PodGC: node no longer exists';
    const condition = { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC', message };
    const body = { status: { phase: 'Failed', conditions: [condition] } };
    await ifThere(client.patch(RESOURCES.pods, keyPartsOf(pod), 'strategic', body, 'status'));
  }

  async function remove(pod: Pod): Promise<void> {
    const options = { gracePeriodSeconds: 0, preconditions: { uid: uidOf(pod) } };
    await ifThere(client.delete(RESOURCES.pods, keyPartsOf(pod), options));
  }
}

async function ifThere(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!ApiError.is(error, 'NotFound')) throw error;
  }
}
