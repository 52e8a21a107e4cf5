/**
 * The life of the pods of one node: from a Pod of the API to containers with environment, files and probes, restarts with
 * their back-off, the way to the end, and the status that tells of it.
 */
import { mkdirSync } from 'node:fs';
import type { KubeClient } from '../../client/client.ts';
import { aborted } from '../../client/clock.ts';
import { createInformer } from '../../client/informer.ts';
import { errorFields } from '../../fault/log.ts';
import type { Pod } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import type { NodeContext } from './node-context.ts';
import { PodWorker } from './pod-worker.ts';
import { adoptSandboxes, removePodFolder, type Sandbox, tearDownSandbox } from './sandbox.ts';

/** The pods of one node: a worker for each, from the watch of the API and from what an earlier agent left. */
export class PodManager {
  readonly #node: NodeContext;
  readonly #workers = new Map<string, PodWorker>();

  constructor(node: NodeContext) {
    this.#node = node;
  }

  get workers(): Iterable<PodWorker> {
    return this.#workers.values();
  }

  /** The worker of a pod by name; of two with one name (the old one still ends) the one that is not ending. */
  find(namespace: string, name: string): PodWorker | undefined {
    const named = [...this.#workers.values()].filter(
      ({ pod }) => pod.metadata?.namespace === namespace && pod.metadata?.name === name,
    );
    return named.find(({ pod }) => pod.metadata?.deletionTimestamp === undefined) ?? named[0];
  }

  /** Runs until the signal aborts; pods run on. */
  async run(client: KubeClient, signal: AbortSignal): Promise<void> {
    const { clock, log, nodeName, podsDir, pool } = this.#node;
    mkdirSync(podsDir, { recursive: true });
    const adopted = adoptSandboxes(podsDir, pool);
    const options = { fieldSelector: `spec.nodeName=${nodeName}`, signal, clock, log };
    const informer = createInformer<Pod>(client, RESOURCES.pods, options);
    informer.subscribe({
      added: (pod) => this.#update(pod),
      updated: (pod) => this.#update(pod),
      deleted: (pod) => this.#workers.get(pod.metadata?.uid ?? '')?.gone(),
    });
    const stopped = aborted(signal);
    await Promise.race([informer.synced.catch(() => undefined), stopped]);
    if (!signal.aborted) await this.#removeOrphans(adopted);
    await stopped;
    informer.stop();
    for (const worker of this.#workers.values()) worker.stop();
    await Promise.all([...this.#workers.values()].map((worker) => worker.ended));
  }

  #update(pod: Pod): void {
    const uid = pod.metadata?.uid ?? '';
    const known = this.#workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    const worker = new PodWorker(pod, this.#node);
    this.#workers.set(uid, worker);
    void worker.ended.then(() => this.#workers.delete(uid));
  }

  /** Pods that were deleted while no agent ran. */
  async #removeOrphans(adopted: readonly Sandbox[]): Promise<void> {
    const { log, runtime } = this.#node;
    for (const record of [...runtime.records()]) {
      if (!this.#workers.has(record.podUid)) await runtime.remove(record.id);
    }
    for (const { uid, namespace, name } of adopted) {
      if (this.#workers.has(uid)) continue;
      log.info('removes a pod that is gone from the API', { pod: `${namespace}/${name}` });
      try {
        await tearDownSandbox(uid, this.#node);
        removePodFolder(uid, this.#node);
      } catch (error) {
        log.error('cannot remove a pod', { pod: `${namespace}/${name}`, ...errorFields(error) });
      }
    }
  }
}
