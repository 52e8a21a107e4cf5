import type { Container, Pod } from '../../kube/objects.ts';
import { type ContainerRecord, isRunning } from '../runtime/container-record.ts';
import { nextBackoffMs } from './backoff.ts';

/** What is known of one container of a pod: its last attempts and what its probes say. */
export interface ContainerView {
  readonly last?: ContainerRecord;
  /** The attempt before the last. */
  readonly previous?: ContainerRecord;
  /** The startup probe has passed, or there is none. */
  readonly started: boolean;
  readonly ready: boolean;
  /** Why an attempt could not even be made, e.g. CreateContainerConfigError. */
  readonly waiting?: { readonly reason: string; readonly message: string };
}

export type Views = ReadonlyMap<string, ContainerView>;

export const NO_VIEW: ContainerView = { started: false, ready: false };

export interface PlannedStart {
  readonly container: Container;
  readonly attempt: number;
  readonly backoffMs: number;
}

export interface PodPlan {
  readonly starts: readonly PlannedStart[];
  /** When the next back-off ends, in milliseconds since 1970. */
  readonly wakeAt?: number;
  /** Containers that wait for their back-off, with the wait in milliseconds. */
  readonly backingOff: ReadonlyMap<string, number>;
  readonly initialized: boolean;
  /** Set when nothing of the pod will run again. */
  readonly finished?: 'Succeeded' | 'Failed';
}

export const containersOf = (pod: Pod): readonly Container[] => pod.spec?.containers ?? [];
export const initContainersOf = (pod: Pod): readonly Container[] => pod.spec?.initContainers ?? [];

/** An init container with restartPolicy Always runs beside the others for the pod's whole life (KEP-753). */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

/**
 * What is to be done for a pod that is not being deleted: the init containers one after the other, then the containers, each
 * again by restartPolicy after its back-off. Pure: the same views and time give the same plan.
 */
export function planPod(pod: Pod, views: Views, now: number): PodPlan {
  const planner = new Planner(pod, views, now);
  const initialized = planner.planInit();
  if (initialized === 'failed') return planner.result(false, 'Failed');
  if (!initialized) return planner.result(false);
  for (const container of containersOf(pod)) planner.consider(container, pod.spec?.restartPolicy ?? 'Always');
  return planner.result(true, finishedPhase(pod, views));
}

class Planner {
  readonly #pod: Pod;
  readonly #views: Views;
  readonly #now: number;
  readonly #starts: PlannedStart[] = [];
  readonly #backingOff = new Map<string, number>();
  #wakeAt: number | undefined;

  constructor(pod: Pod, views: Views, now: number) {
    this.#pod = pod;
    this.#views = views;
    this.#now = now;
  }

  planInit(): boolean | 'failed' {
    // Once a container has run, the init containers are done for good, also if their records are gone.
    const hasBegun = containersOf(this.#pod).some((one) => this.#view(one).last !== undefined);
    const policy = this.#pod.spec?.restartPolicy === 'Never' ? 'Never' : 'OnFailure';
    for (const container of initContainersOf(this.#pod)) {
      if (isSidecar(container)) {
        this.consider(container, 'Always');
        const view = this.#view(container);
        if (!hasBegun && !(isRunning(view.last) && view.started)) return false;
        continue;
      }
      if (hasBegun) continue;
      const exit = this.#view(container).last?.exit;
      if (exit?.code === 0) continue;
      if (exit !== undefined && policy === 'Never') return 'failed';
      this.consider(container, policy);
      return false;
    }
    return true;
  }

  /** Starts the container, or notes the wait before its next attempt. */
  consider(container: Container, policy: string): void {
    const { last } = this.#view(container);
    if (last === undefined) {
      this.#starts.push({ container, attempt: 0, backoffMs: 0 });
      return;
    }
    const { exit } = last;
    if (exit === undefined || !restarts(exit.code, policy)) return;
    const ended = { ...last, startedAt: last.startedAt ?? exit.finishedAt, finishedAt: exit.finishedAt };
    const backoffMs = nextBackoffMs(ended);
    const due = exit.finishedAt + backoffMs;
    if (due <= this.#now) {
      this.#starts.push({ container, attempt: last.attempt + 1, backoffMs });
      return;
    }
    this.#backingOff.set(container.name, backoffMs);
    this.#wakeAt = Math.min(this.#wakeAt ?? due, due);
  }

  result(initialized: boolean, finished?: 'Succeeded' | 'Failed'): PodPlan {
    return {
      starts: finished === undefined ? this.#starts : [],
      backingOff: this.#backingOff,
      initialized,
      ...(this.#wakeAt === undefined ? {} : { wakeAt: this.#wakeAt }),
      ...(finished === undefined ? {} : { finished }),
    };
  }

  #view(container: Container): ContainerView {
    return this.#views.get(container.name) ?? NO_VIEW;
  }
}

const restarts = (code: number, policy: string) =>
  policy === 'Always' || (policy === 'OnFailure' && code !== 0);

/** Succeeded or Failed when every container has ended and none starts again (restartPolicy OnFailure, Never). */
export function finishedPhase(pod: Pod, views: Views): 'Succeeded' | 'Failed' | undefined {
  const policy = pod.spec?.restartPolicy ?? 'Always';
  const exits = containersOf(pod).map((one) => views.get(one.name)?.last?.exit);
  const codes = exits.flatMap((exit) => (exit === undefined ? [] : [exit.code]));
  if (codes.length < exits.length || codes.some((code) => restarts(code, policy))) return undefined;
  return codes.every((code) => code === 0) ? 'Succeeded' : 'Failed';
}
