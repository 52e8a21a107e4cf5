import type { Container, Pod, Probe } from '../../kube/objects.ts';
import { type ContainerRecord, isRunning } from '../runtime/container-record.ts';
import { containerOf, startContainer } from './container-start.ts';
import { stopContainer, targetOf } from './container-stop.ts';
import type { NodeContext } from './node-context.ts';
import {
  type ContainerView,
  containersOf,
  initContainersOf,
  isSidecar,
  type PlannedStart,
  type Views,
} from './pod-plan.ts';
import { look } from './probe-actions.ts';
import { type ProbeKind, Prober } from './prober.ts';
import type { Sandbox } from './sandbox.ts';
import { NotYet } from './sources.ts';
import { untilListening } from './stand-in.ts';

const POST_START_MS = 600_000;

/** The containers of one pod as they are: attempts, probes, and why an attempt could not be made. */
export class PodContainers {
  readonly #node: NodeContext;
  readonly #uid: string;
  readonly #wake: () => void;
  readonly #probers = new Map<string, Prober>();
  readonly #waiting = new Map<string, { reason: string; message: string }>();

  constructor(uid: string, node: NodeContext, wake: () => void) {
    this.#uid = uid;
    this.#node = node;
    this.#wake = wake;
  }

  /** Every attempt that is still kept, the last one first. */
  attempts(container: string): readonly ContainerRecord[] {
    return [...this.#node.runtime.records()]
      .filter((one) => one.podUid === this.#uid && one.container === container)
      .toSorted((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
  }

  views(pod: Pod): Views {
    const all = [...initContainersOf(pod), ...containersOf(pod)];
    return new Map(all.map((one) => [one.name, this.#viewOf(one.name)]));
  }

  #viewOf(name: string): ContainerView {
    const [last, previous] = this.attempts(name);
    const prober = last === undefined ? undefined : this.#probers.get(last.id);
    const waiting = this.#waiting.get(name);
    return {
      started: prober?.started ?? false,
      ready: prober?.ready ?? false,
      ...(last === undefined ? {} : { last }),
      ...(previous === undefined ? {} : { previous }),
      ...(waiting === undefined ? {} : { waiting }),
    };
  }

  /** Makes an attempt. True unless something it refers to is missing: then it is to be tried again. */
  async start(pod: Pod, sandbox: Sandbox, planned: PlannedStart): Promise<boolean> {
    const { container } = planned;
    const about = containerOf(pod, container);
    try {
      const record = await startContainer(pod, sandbox, planned, this.#node);
      this.#waiting.delete(container.name);
      if (record.exit?.reason === 'StartError') {
        this.#node.events.event(about, 'Warning', 'Failed', `Error: ${record.exit.message}`);
        return true;
      }
      this.#node.events.event(about, 'Normal', 'Created', `Created container: ${container.name}`);
      this.#node.events.event(about, 'Normal', 'Started', `Started container ${container.name}`);
      await untilListening(
        record,
        targetOf({ container, record, podIP: sandbox.ip }, this.#node),
        this.#node,
      );
      await this.#postStart(pod, sandbox, container, record);
      return true;
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      this.#waiting.set(container.name, { reason: error.reason, message: error.message });
      this.#node.events.event(about, 'Warning', 'Failed', `Error: ${error.message}`);
      return false;
    } finally {
      await this.#dropOldAttempts(container.name);
    }
  }

  /** `logs --previous` reads the attempt before the last; older ones are of no use to anyone. */
  async #dropOldAttempts(container: string): Promise<void> {
    for (const record of this.attempts(container).slice(2)) await this.#node.runtime.remove(record.id);
  }

  async #postStart(pod: Pod, sandbox: Sandbox, container: Container, record: ContainerRecord): Promise<void> {
    const hook = container.lifecycle?.postStart;
    if (hook === undefined) return;
    const target = targetOf({ container, record, podIP: sandbox.ip }, this.#node);
    const result = await look(hook, target, POST_START_MS);
    if (result.healthy) return;
    const about = containerOf(pod, container);
    this.#node.events.event(
      about,
      'Warning',
      'FailedPostStartHook',
      `PostStartHook failed: ${result.output}`,
    );
    await this.#node.runtime.signal(record.id, 'SIGKILL');
  }

  /** Gives every running container its probes, and takes those away whose container has ended. */
  probe(pod: Pod, sandbox: Sandbox): void {
    const probed = [...initContainersOf(pod).filter(isSidecar), ...containersOf(pod)];
    const running = new Map<string, Container>();
    for (const container of probed) {
      const [last] = this.attempts(container.name);
      if (isRunning(last)) running.set(last.id, container);
    }
    for (const [id, prober] of this.#probers) {
      if (running.has(id)) continue;
      prober.stop();
      this.#probers.delete(id);
    }
    for (const [id, container] of running) {
      const record = this.#node.runtime.get(id);
      if (record !== undefined && !this.#probers.has(id)) {
        this.#probers.set(id, this.#proberOf(pod, sandbox, container, record));
      }
    }
  }

  stopProbes(): void {
    for (const prober of this.#probers.values()) prober.stop();
    this.#probers.clear();
  }

  #proberOf(pod: Pod, sandbox: Sandbox, container: Container, record: ContainerRecord): Prober {
    const about = containerOf(pod, container);
    const told = (pod.status?.containerStatuses ?? []).find(
      (one) => one.containerID === `crun://${record.id}`,
    );
    return new Prober({
      ...targetOf({ container, record, podIP: sandbox.ip }, this.#node),
      clock: this.#node.clock,
      wasStarted: told?.started === true,
      wasReady: told?.ready === true,
      changed: this.#wake,
      failed: (kind, probe) => this.#restart(pod, sandbox, container, record, kind, probe),
      unhealthy: (kind, output) =>
        this.#node.events.event(about, 'Warning', 'Unhealthy', `${capital(kind)} probe failed: ${output}`),
    });
  }

  /** Ends a container whose probe has failed; the plan starts it again by the pod's restartPolicy. */
  #restart(
    pod: Pod,
    sandbox: Sandbox,
    container: Container,
    record: ContainerRecord,
    kind: ProbeKind,
    probe: Probe,
  ): void {
    const message = `Container ${container.name} failed ${kind} probe, will be restarted`;
    this.#node.events.event(containerOf(pod, container), 'Normal', 'Killing', message);
    const grace = probe.terminationGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    const kill = new AbortController();
    const disarm = this.#node.clock.after(grace * 1000, () => kill.abort());
    const request = { pod, container, record, podIP: sandbox.ip, killNow: kill.signal, delayMs: 0 };
    stopContainer(request, this.#node)
      .catch((error: unknown) =>
        this.#node.log.error('cannot restart a container', { pod: record.pod, error: String(error) }),
      )
      .finally(disarm);
  }

  /** Takes every attempt away. */
  async remove(): Promise<void> {
    const mine = [...this.#node.runtime.records()].filter((one) => one.podUid === this.#uid);
    await Promise.all(mine.map((one) => this.#node.runtime.remove(one.id)));
  }
}

const capital = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
