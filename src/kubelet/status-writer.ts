import type { PodStatus } from 'kubernetes-types/core/v1.js';
import { ApiError, type KubeClient } from '../client/client.ts';
import type { Pod } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';

/**
 * Writes the status of pods as patches that touch only what this agent owns: conditions are merged by type, so those of
 * others stay. A status equal to the last one written is not sent.
 */
export class StatusWriter {
  readonly #client: KubeClient;
  readonly #written = new Map<string, string>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** False when the pod is gone or another one has its name. Other refusals are thrown. */
  async write(pod: Pod, status: PodStatus): Promise<boolean> {
    const { name = '', namespace = 'default', uid = '' } = pod.metadata ?? {};
    const text = JSON.stringify(status);
    if (this.#written.get(uid) === text) return true;
    try {
      // The uid makes the patch conditional: a pod made anew under this name is not ours to describe.
      const body = { metadata: { uid }, status: withoutStale(status) };
      await this.#client.patch<Pod>(RESOURCES.pods, { name, namespace }, 'strategic', body, 'status');
    } catch (error) {
      if (ApiError.is(error, 'NotFound') || ApiError.is(error, 'Conflict')) return false;
      throw error;
    }
    this.#written.set(uid, text);
    return true;
  }

  /** Ends a deletion: removes the object for good, unless the name is another pod's by now. */
  async finalize(pod: Pod): Promise<void> {
    const { name = '', namespace = 'default', uid = '' } = pod.metadata ?? {};
    this.#written.delete(uid);
    try {
      await this.#client.delete(
        RESOURCES.pods,
        { name, namespace },
        { gracePeriodSeconds: 0, preconditions: { uid } },
      );
    } catch (error) {
      if (!ApiError.is(error, 'NotFound') && !ApiError.is(error, 'Conflict')) throw error;
    }
  }

  forget(uid: string): void {
    this.#written.delete(uid);
  }
}

/** A merge keeps what it is not told of, so reasons and messages that are gone are set to null. */
function withoutStale(status: PodStatus): unknown {
  const conditions = (status.conditions ?? []).map((one) => ({ reason: null, message: null, ...one }));
  return { ...status, conditions };
}
