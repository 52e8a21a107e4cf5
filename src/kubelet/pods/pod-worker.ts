import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { ApiError } from '../../client/client.ts';
import { timeOf } from '../../client/clock.ts';
import { errorFields } from '../../fault/log.ts';
import { keyOf, type Pod } from '../../kube/objects.ts';
import { containerOf, factsOf, volumesDir } from './container-start.ts';
import type { PodFacts } from './downward.ts';
import type { NodeContext } from './node-context.ts';
import { PodContainers } from './pod-containers.ts';
import { containersOf, initContainersOf, type PodPlan, planPod } from './pod-plan.ts';
import { podStatus } from './pod-status.ts';
import { PodTermination } from './pod-termination.ts';
import { readSandbox, removePodFolder, type Sandbox, setUpSandbox, tearDownSandbox } from './sandbox.ts';
import { NotYet } from './sources.ts';
import { makeVolumes } from './volumes.ts';

/** How soon an object that a container refers to is looked for again. */
const MISSING_RETRY_MS = 2000;
/** Waits after passes that failed in a row, in milliseconds. */
const RETRY_MS = [250, 500, 1000, 2000, 5000, 10_000];

/**
 * One pod from its binding to its end. Whatever happens (the object changes, a container ends, a probe turns, a back-off is
 * over) only wakes the worker; each pass looks at what is, does what the plan says, and writes the status. So there is one
 * writer for each pod, and a pass that is repeated does no harm.
 */
export class PodWorker {
  readonly uid: string;
  /** Resolves when the pod's end is complete or the worker was stopped. */
  readonly ended: Promise<void>;
  readonly #node: NodeContext;
  readonly #containers: PodContainers;
  readonly #unsubscribe: () => void;
  #pod: Pod;
  #sandbox: Sandbox | undefined;
  #termination: PodTermination | undefined;
  #isGone = false;
  #isDone = false;
  #isReleased = false;
  #stopped = false;
  #failures = 0;
  #dirty = false;
  #wakeUp: (() => void) | undefined;
  readonly #backoffsTold = new Set<string>();

  constructor(pod: Pod, node: NodeContext) {
    this.uid = pod.metadata?.uid ?? '';
    this.#pod = pod;
    this.#node = node;
    this.#containers = new PodContainers(this.uid, node, () => this.#wake());
    this.#sandbox = readSandbox(this.uid, node);
    this.#unsubscribe = node.runtime.onExit((record) => {
      if (record.podUid === this.uid) this.#wake();
    });
    this.ended = this.#run();
  }

  get pod(): Pod {
    return this.#pod;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  get containers(): PodContainers {
    return this.#containers;
  }

  update(pod: Pod): void {
    this.#pod = pod;
    if (pod.metadata?.deletionTimestamp !== undefined) this.#termination?.allow(pod, this.#isGone);
    this.#wake();
  }

  /** The object is gone from the API: end the pod without delay. */
  gone(): void {
    this.#isGone = true;
    this.#termination?.allow(this.#pod, true);
    this.#wake();
  }

  /** The agent ends; the pod runs on. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  #wake(): void {
    this.#dirty = true;
    this.#wakeUp?.();
  }

  async #run(): Promise<void> {
    while (!this.#stopped && !this.#isDone) {
      this.#dirty = false;
      const wakeAt = await this.#tryPass();
      if (!this.#isDone) await this.#rest(wakeAt);
    }
    this.#containers.stopProbes();
    this.#unsubscribe();
  }

  /** Until something happens or the time has come. */
  #rest(wakeAt: number | undefined): Promise<void> {
    if (this.#dirty || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const { clock } = this.#node;
      const cancel = wakeAt === undefined ? undefined : clock.after(wakeAt - clock.now(), () => this.#wake());
      this.#wakeUp = () => {
        cancel?.();
        this.#wakeUp = undefined;
        resolve();
      };
    });
  }

  async #tryPass(): Promise<number | undefined> {
    try {
      const wakeAt = await this.#pass();
      this.#failures = 0;
      return wakeAt;
    } catch (error) {
      this.#tell(error);
      const waitMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 1000;
      // The first time it also shows in the status what the pod is waiting for.
      if (this.#failures === 0) await this.#writeWaiting();
      this.#failures += 1;
      return this.#node.clock.now() + waitMs;
    }
  }

  #tell(error: unknown): void {
    if (error instanceof NotYet) {
      const message = `MountVolume.SetUp failed: ${error.message}`;
      this.#node.events.event(this.#about(), 'Warning', error.reason, message);
      return;
    }
    const fields = { pod: keyOf(this.#pod), ...errorFields(error) };
    this.#node.log.error('a pod cannot be brought where it should be', fields);
    if (this.#sandbox === undefined) this.#tellSandboxFailed(error);
  }

  async #writeWaiting(): Promise<void> {
    if (this.#isGone || this.#pod.metadata?.deletionTimestamp !== undefined) return;
    const pod = this.#pod;
    try {
      await this.#write(pod, planPod(pod, this.#containers.views(pod), this.#node.clock.now()));
    } catch (error) {
      // It was the API that failed in the first place; the next pass writes the status.
      this.#node.log.warn('cannot write a status', { pod: keyOf(pod), ...errorFields(error) });
    }
  }

  #tellSandboxFailed(error: unknown): void {
    const message = `Failed to create pod sandbox: ${error instanceof Error ? error.message : String(error)}`;
    this.#node.events.event(this.#about(), 'Warning', 'FailedCreatePodSandBox', message);
  }

  /** Gives the time of the next pass, if there is one to wait for. */
  async #pass(): Promise<number | undefined> {
    if (this.#isGone || this.#pod.metadata?.deletionTimestamp !== undefined) return this.#terminate();
    const pod = this.#pod;
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return this.#release(pod);
    const sandbox = await this.#prepare(pod);
    const { clock } = this.#node;
    const { starts } = planPod(pod, this.#containers.views(pod), clock.now());
    const made = await settled(starts.map((start) => this.#containers.start(pod, sandbox, start)));
    this.#containers.probe(pod, sandbox);
    const plan = planPod(pod, this.#containers.views(pod), clock.now());
    this.#tellBackoffs(pod, plan);
    await this.#write(pod, plan);
    if (plan.finished !== undefined) return this.#release(pod);
    if (made.includes(false)) return clock.now() + MISSING_RETRY_MS;
    // What has just ended may be due again at once: the next init container, a first restart.
    return plan.starts.length > 0 ? clock.now() : plan.wakeAt;
  }

  /** Network and volumes, which every container needs. */
  async #prepare(pod: Pod): Promise<Sandbox> {
    this.#sandbox ??= await setUpSandbox(pod, this.#node);
    const dir = volumesDir(pod, this.#node);
    if (!existsSync(dir)) {
      // Complete or not there: an agent that dies between leaves nothing that looks finished.
      const unfinished = `${dir}.new`;
      rmSync(unfinished, { recursive: true, force: true });
      mkdirSync(unfinished, { recursive: true });
      await this.#makeVolumes(unfinished, factsOf(pod, this.#sandbox, this.#node));
      renameSync(unfinished, dir);
    }
    return this.#sandbox;
  }

  /** What the API refuses (no ServiceAccount, no ConfigMap) is told in the pod's events: its owner can cure it. */
  async #makeVolumes(dir: string, facts: PodFacts): Promise<void> {
    try {
      await makeVolumes(dir, facts, this.#node.sources);
    } catch (error) {
      if (error instanceof ApiError) throw new NotYet('FailedMount', error.message);
      throw error;
    }
  }

  async #write(pod: Pod, plan: PodPlan, terminated = false): Promise<void> {
    const now = this.#node.clock.now();
    const status = podStatus({
      pod,
      plan,
      views: this.#containers.views(pod),
      hostIP: this.#node.nodeIP.text,
      startTime: pod.status?.startTime ?? timeOf(this.#sandbox?.startedAt ?? now),
      now,
      terminated,
      ...(this.#sandbox === undefined ? {} : { podIP: this.#sandbox.ip }),
    });
    await this.#node.statuses.write(pod, status);
  }

  /** Once for each wait: upstream repeats it at every look, which says nothing more. */
  #tellBackoffs(pod: Pod, plan: PodPlan): void {
    for (const container of [...initContainersOf(pod), ...containersOf(pod)]) {
      const waitMs = plan.backingOff.get(container.name);
      const [last] = this.#containers.attempts(container.name);
      if (waitMs === undefined || last === undefined || this.#backoffsTold.has(last.id)) continue;
      this.#backoffsTold.add(last.id);
      const { name, namespace, uid } = pod.metadata ?? {};
      const message = `Back-off restarting failed container ${container.name} in pod ${name}_${namespace}(${uid})`;
      this.#node.events.event(containerOf(pod, container), 'Warning', 'BackOff', message);
    }
  }

  /** Nothing of the pod will run again: its network goes, its object and logs stay until somebody deletes it. */
  async #release(pod: Pod): Promise<undefined> {
    if (this.#isReleased) return;
    await this.#stopAll(pod);
    await tearDownSandbox(this.uid, this.#node);
    this.#isReleased = true;
  }

  async #terminate(): Promise<undefined> {
    const pod = this.#pod;
    await this.#stopAll(pod);
    this.#containers.stopProbes();
    if (!this.#isGone) await this.#write(pod, planPod(pod, this.#containers.views(pod), 0), true);
    await this.#containers.remove();
    await tearDownSandbox(this.uid, this.#node);
    if (!this.#isGone) await this.#node.statuses.finalize(pod);
    removePodFolder(this.uid, this.#node);
    this.#node.statuses.forget(this.uid);
    this.#isDone = true;
  }

  async #stopAll(pod: Pod): Promise<void> {
    this.#termination ??= new PodTermination(this.#node, this.#containers);
    this.#termination.allow(pod, this.#isGone);
    await this.#termination.run(pod, this.#sandbox?.ip ?? '');
  }

  #about() {
    return { ...this.#pod, apiVersion: 'v1', kind: 'Pod' };
  }
}

/** All results, once all are there: a failure must not leave another start running behind the next pass. */
async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
