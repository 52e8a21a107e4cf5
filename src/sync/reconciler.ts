import type { Clock } from '../client/clock.ts';
import { sleep } from '../client/clock.ts';
import type { EventRecorder } from '../client/event-recorder.ts';
import type { Exec } from '../exec/exec.ts';
import { errorFields, type Log } from '../fault/log.ts';
import type { Family } from '../ip/ip.ts';
import type { NodeFacts } from '../proxy/proxy.ts';
import { type Applied, type Backend, SyncFailure } from './backend.ts';
import { ConntrackSweeper } from './conntrack.ts';
import type { HealthServers } from './health.ts';
import { type SyncIntervals, SyncSchedule } from './intervals.ts';
import type { ProxyMetrics, Trigger } from './metrics.ts';
import { sameFacts } from './node-facts.ts';
import type { Planner, Replanned } from './planner.ts';

export interface ReconcilerParts {
  readonly planner: Planner;
  readonly metrics: ProxyMetrics;
  readonly health: HealthServers;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly exec: Exec;
  readonly intervals: SyncIntervals;
  readonly makeBackend: (node: NodeFacts) => Backend;
}

/** How much of a refused transaction goes to the log. */
const LOGGED_CHARACTERS = 8_000;

/**
 * The loop between what is watched and what the kernel has. One transaction at a time; whatever changes meanwhile is
 * gathered for the next.
 */
export class Reconciler {
  readonly synced: Promise<void>;
  readonly #parts: ReconcilerParts;
  readonly #conntrack: ConntrackSweeper;
  readonly #firstSync = Promise.withResolvers<void>();
  /** What was left out last time, by Service: an Event tells of a problem once. */
  readonly #leftOut = new Map<string, string>();
  readonly #schedule: SyncSchedule;
  /** What has been planned and is not in force yet, by Service. */
  readonly #unsettled = new Map<string, Replanned>();
  #triggers: readonly Trigger[] = [];
  #node: NodeFacts | undefined;
  #families: readonly Family[] = [];
  #backend: Backend | undefined;
  #whole = true;
  #awake = Promise.withResolvers<void>();
  #isAwake = false;
  /** Sweeps follow one another, and keep no change waiting. */
  #sweeping: Promise<void> = Promise.resolve();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#schedule = new SyncSchedule(parts.intervals, parts.clock.now());
    this.#conntrack = new ConntrackSweeper(parts.exec, parts.log, parts.metrics, parts.clock);
    this.synced = this.#firstSync.promise;
    // Nobody need wait for it.
    this.synced.catch(() => undefined);
  }

  /** Something has changed. */
  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    const { health, metrics, clock } = this.#parts;
    health.queued();
    metrics.queued(clock.now(), this.#families);
    this.#awake.resolve();
  }

  /** Without an address there is no family to program: the Node has not been filled in yet. */
  nodeIs(node: NodeFacts): void {
    if (node.ips.length === 0 || sameFacts(this.#node, node)) return;
    this.#node = node;
    this.#families = [...new Set(node.ips.map(({ family }) => family))];
    this.#backend = undefined;
    this.#parts.planner.everythingChanged();
    this.wake();
  }

  fail(error: unknown): void {
    this.#firstSync.reject(error);
  }

  /** Runs until the signal aborts. Call it once everything has been listed. */
  async run(): Promise<void> {
    const { signal, clock } = this.#parts;
    this.wake();
    while (!signal.aborted) {
      await this.#changeOrDue();
      if (signal.aborted) break;
      await sleep(clock, this.#schedule.untilChange(clock.now()), signal);
      this.#awake = Promise.withResolvers<void>();
      this.#isAwake = false;
      await this.#sync();
    }
    await this.#sweeping;
  }

  /** Waits for a change, for the time of a full sync, or until our rules are found to be gone. */
  async #changeOrDue(): Promise<void> {
    const { signal, clock } = this.#parts;
    while (!signal.aborted) {
      const { due, ms } = this.#schedule.next(clock.now());
      if ((await this.#changeWithin(ms)) || signal.aborted) return;
      if (due === 'full') this.#whole = true;
      if (this.#whole) return;
      this.#schedule.looked(clock.now());
      if (await this.#intact()) continue;
      this.#whole = true;
      return;
    }
  }

  async #intact(): Promise<boolean> {
    const { log } = this.#parts;
    try {
      if (await this.#backend?.intact()) return true;
      log.warn('our rules are gone from the kernel, somebody flushed them; writing them anew');
    } catch (error) {
      log.warn('the kernel does not say whether our rules stand; writing them anew', errorFields(error));
    }
    return false;
  }

  async #changeWithin(ms: number): Promise<boolean> {
    const { signal, clock } = this.#parts;
    const done = new AbortController();
    const changed = this.#awake.promise.then(() => true);
    const time = sleep(clock, ms, AbortSignal.any([signal, done.signal])).then(() => false);
    const first = await Promise.race([changed, time]);
    done.abort();
    return first;
  }

  async #sync(): Promise<void> {
    const { planner, metrics, health, clock, log } = this.#parts;
    const started = clock.now();
    this.#schedule.began(started, this.#whole);
    const node = this.#node;
    if (node === undefined) return;
    if (this.#backend === undefined) {
      this.#backend = this.#parts.makeBackend(node);
      this.#whole = true;
      planner.everythingChanged();
    }
    const backend = this.#backend;
    this.#triggers = [...this.#triggers, ...planner.takeTriggers()];
    this.#take(planner.replan(node), backend);
    const whole = this.#whole;
    health.began();
    try {
      const applied = whole ? await backend.restore() : await this.#applyOrRestore(backend);
      this.#whole = false;
      this.#told(applied, this.#unsettled.size, whole, started);
    } catch (error) {
      this.#refused(error, whole);
      this.#whole = true;
      this.#retryLater();
      return;
    }
    const changes = [...this.#unsettled.values()];
    const [now, triggers, families] = [clock.now(), this.#triggers, this.#families];
    this.#unsettled.clear();
    this.#triggers = [];
    metrics.synced({ now, tookMs: now - started, whole, triggers, families });
    metrics.rules(backend.ruleCounts?.() ?? []);
    health.synced(changes);
    this.#firstSync.resolve();
    this.#sweeping = this.#sweeping
      .then(() => this.#conntrack.sweep(changes))
      .catch((error) => log.warn('conntrack was not swept', errorFields(error)));
  }

  /** A change that was refused with another before it is one change: from what is in force to what shall be. */
  #take(changes: readonly Replanned[], backend: Backend): void {
    for (const change of changes) backend.replace(change.name, change.plan);
    for (const change of changes) {
      this.#report(backend, change);
      const earlier = this.#unsettled.get(change.name);
      this.#unsettled.set(
        change.name,
        earlier === undefined ? change : { ...change, before: earlier.before },
      );
    }
  }

  async #applyOrRestore(backend: Backend): Promise<Applied> {
    try {
      return await backend.apply();
    } catch (error) {
      this.#refused(error, false);
      return await backend.restore();
    }
  }

  #refused(error: unknown, whole: boolean): void {
    const { log, metrics } = this.#parts;
    metrics.syncFailed(this.#families, whole);
    const transaction = error instanceof SyncFailure ? error.transaction : '';
    log.error('the kernel refused our rules', {
      ...errorFields(error),
      transaction: transaction.slice(0, LOGGED_CHARACTERS),
    });
  }

  #retryLater(): void {
    const { clock, intervals } = this.#parts;
    clock.after(intervals.retryMs, () => this.wake());
  }

  #told(applied: Applied, services: number, whole: boolean, started: number): void {
    const { log, clock } = this.#parts;
    if (applied.replacedBecause !== undefined) {
      log.warn('our rules could not be changed, and were replaced', errorFields(applied.replacedBecause));
    }
    if (!applied.changed) return;
    const ms = clock.now() - started;
    log.info(whole ? 'rules are whole' : 'rules changed', { services, ms });
  }

  #report(backend: Backend, change: Replanned): void {
    const { log, metrics, events } = this.#parts;
    const problems = [...change.problems.map((one) => one.message), ...backend.conflicts(change.name)];
    const message = problems.join('; ');
    if (message === (this.#leftOut.get(change.name) ?? '')) return;
    if (message === '') this.#leftOut.delete(change.name);
    else {
      this.#leftOut.set(change.name, message);
      log.warn(`part of a Service has no rules: ${message}`, { service: change.name });
      const about = { apiVersion: 'v1', kind: 'Service', ...change.service };
      events.event(about, 'Warning', 'FailedToProgramService', message);
    }
    metrics.leftOut(this.#leftOut.size);
  }
}
