import type { Clock } from '../../client/clock.ts';
import type { Probe } from '../../kube/objects.ts';
import { look, type ProbeResult, type ProbeTarget } from './probe-actions.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

export interface ProberOptions extends ProbeTarget {
  readonly clock: Clock;
  /** Told when started or ready has changed. */
  readonly changed: () => void;
  /** Told when the startup or liveness probe has failed as often as it may: the container is to be ended. */
  readonly failed: (kind: ProbeKind, probe: Probe) => void;
  /** Told of every failure that counts. */
  readonly unhealthy: (kind: ProbeKind, output: string) => void;
  /** What an earlier agent knew: the container is past its startup. */
  readonly wasStarted: boolean;
  /** It was ready then, and is until a probe says otherwise: a restart of the agent takes no endpoint away. */
  readonly wasReady: boolean;
}

/** Waits before the uncounted early looks, in milliseconds. */
const EARLY_MS = [50, 100, 200, 400, 800];

/**
 * The probes of one running container, from its start until {@link stop}.
 *
 * Upstream looks once at the start and then every periodSeconds, so a server that needs 30 ms to listen is ready after ten
 * seconds. Here a readiness or startup probe also looks early, more and more seldom, until its first period is over. Those
 * looks can only make a container ready sooner; a failure among them does not count.
 */
export class Prober {
  readonly #options: ProberOptions;
  readonly #stops = new Set<() => void>();
  #stopped = false;
  #started: boolean;
  #ready: boolean;

  constructor(options: ProberOptions) {
    this.#options = options;
    const { startupProbe, readinessProbe } = options.container;
    this.#started = startupProbe === undefined || options.wasStarted;
    this.#ready = this.#started && (readinessProbe === undefined || options.wasReady);
    if (startupProbe !== undefined && !this.#started) this.#watch('startup', startupProbe);
    else this.#watchRunning();
  }

  get started(): boolean {
    return this.#started;
  }

  get ready(): boolean {
    return this.#ready;
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#stops) cancel();
    this.#stops.clear();
  }

  #watchRunning(): void {
    const { livenessProbe, readinessProbe } = this.#options.container;
    if (readinessProbe !== undefined) this.#watch('readiness', readinessProbe);
    if (livenessProbe !== undefined) this.#watch('liveness', livenessProbe);
  }

  /** Looks for ever, one look after the other. */
  #watch(kind: ProbeKind, probe: Probe): void {
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    const counts = { successes: 0, failures: 0 };
    const early = kind === 'liveness' ? [] : EARLY_MS.filter((ms) => ms < periodMs);
    let firstPeriodLeft = periodMs;
    const again = async () => {
      const result = await look(probe, this.#options, timeoutMs);
      if (this.#stopped) return;
      const next = result.healthy ? undefined : early.shift();
      if (next === undefined) {
        early.length = 0;
        if (this.#judge(kind, probe, result, counts)) return;
        this.#after(firstPeriodLeft > 0 ? firstPeriodLeft : periodMs, again);
        firstPeriodLeft = 0;
        return;
      }
      firstPeriodLeft -= next;
      this.#after(next, again);
    };
    this.#after((probe.initialDelaySeconds ?? 0) * 1000, again);
  }

  /** Counts a look. True when there is no need for another. */
  #judge(
    kind: ProbeKind,
    probe: Probe,
    result: ProbeResult,
    counts: { successes: number; failures: number },
  ) {
    if (result.healthy) {
      counts.failures = 0;
      counts.successes += 1;
      return counts.successes >= (probe.successThreshold ?? 1) && this.#passed(kind);
    }
    counts.successes = 0;
    counts.failures += 1;
    this.#options.unhealthy(kind, result.output);
    if (counts.failures < (probe.failureThreshold ?? 3)) return false;
    if (kind === 'readiness') {
      this.#setReady(false);
      return false;
    }
    this.#options.failed(kind, probe);
    return true;
  }

  #passed(kind: ProbeKind): boolean {
    if (kind === 'readiness') this.#setReady(true);
    if (kind !== 'startup') return false;
    this.#started = true;
    this.#ready = this.#options.container.readinessProbe === undefined;
    this.#watchRunning();
    this.#options.changed();
    return true;
  }

  #setReady(ready: boolean): void {
    if (this.#ready === ready) return;
    this.#ready = ready;
    this.#options.changed();
  }

  #after(ms: number, run: () => Promise<void>): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#stops.delete(cancel);
      void run();
    });
    this.#stops.add(cancel);
  }
}
