import type { Container, Pod } from '../../kube/objects.ts';
import { type ContainerRecord, isRunning } from '../runtime/container-record.ts';
import { containerOf } from './container-start.ts';
import { stopContainer } from './container-stop.ts';
import type { NodeContext } from './node-context.ts';
import type { PodContainers } from './pod-containers.ts';
import { containersOf, initContainersOf, isSidecar } from './pod-plan.ts';

/** A pod whose object is gone (force deletion) still gets this long, as upstream gives it. */
const FORCED_GRACE_S = 1;

/**
 * The end of one pod: its containers together, then its sidecars in reverse order (KEP-753), within one grace period that
 * may still be shortened.
 *
 * Upstream's agent needs some hundred milliseconds to get from a deletion to SIGTERM; in that time the Services' rules
 * lose the pod. This one would be there in ten, so it waits (`stopDelayMs`) while the container serves on.
 */
export class PodTermination {
  readonly #node: NodeContext;
  readonly #containers: PodContainers;
  readonly #kill = new AbortController();
  readonly #startedAt: number;
  #disarm: (() => void) | undefined;
  #graceMs = Number.POSITIVE_INFINITY;

  constructor(node: NodeContext, containers: PodContainers) {
    this.#node = node;
    this.#containers = containers;
    this.#startedAt = node.clock.now();
  }

  /** Sets or shortens the grace period; a longer one is not granted. */
  allow(pod: Pod, isGone: boolean): void {
    const wanted = pod.metadata?.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    const graceMs = (isGone ? FORCED_GRACE_S : wanted) * 1000;
    if (graceMs >= this.#graceMs) return;
    this.#graceMs = graceMs;
    this.#disarm?.();
    const left = isGone ? graceMs : this.#startedAt + graceMs - this.#node.clock.now();
    this.#disarm = this.#node.clock.after(Math.max(0, left), () => this.#kill.abort());
  }

  /** Resolves when every container has ended. */
  async run(pod: Pod, podIP: string): Promise<void> {
    try {
      await Promise.all(containersOf(pod).map((one) => this.#stop(pod, one, podIP)));
      const sidecars = initContainersOf(pod).filter(isSidecar).toReversed();
      for (const sidecar of sidecars) await this.#stop(pod, sidecar, podIP);
      const others = initContainersOf(pod).filter((one) => !isSidecar(one));
      await Promise.all(others.map((one) => this.#stop(pod, one, podIP)));
    } finally {
      this.#disarm?.();
    }
  }

  async #stop(pod: Pod, container: Container, podIP: string): Promise<void> {
    const [record] = this.#containers.attempts(container.name);
    if (!isRunning(record)) return;
    const message = `Stopping container ${container.name}`;
    this.#node.events.event(containerOf(pod, container), 'Normal', 'Killing', message);
    const delayMs = this.#delayFor(record);
    await stopContainer({ pod, container, record, podIP, killNow: this.#kill.signal, delayMs }, this.#node);
  }

  /** A terminal somebody sits at serves nobody: it goes at once. */
  #delayFor(record: ContainerRecord): number {
    return record.tty || this.#graceMs <= 1000 ? 0 : this.#node.stopDelayMs;
  }
}
