import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Family } from '../ip/ip.ts';
import type { ProxyMode } from '../proxy/proxy.ts';
import type { RuleCount } from './backend.ts';

/** When the change of an endpoint began, in milliseconds since 1970, and the family of its slice. */
export interface Trigger {
  readonly at: number;
  readonly family: Family;
}

/** A sync that succeeded. */
export interface Synced {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly tookMs: number;
  /** Everything was held against the kernel's rules. */
  readonly whole: boolean;
  readonly triggers: readonly Trigger[];
  /** The families the node has; one sync programs all of them. */
  readonly families: readonly Family[];
}

const SECONDS = Array.from({ length: 15 }, (_, at) => 0.001 * 2 ** at);
const PROGRAMMING_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];
const BY_FAMILY = ['ip_family'] as const;
const BY_TABLE = ['table', 'ip_family'] as const;
const of = (family: Family) => ({ ip_family: `IPv${family}` });

/**
 * kube-proxy's metrics by its names and labels, so that its dashboards and alerts hold; what is ours alone begins with
 * fairlead_. Not there are the two that count packets by nfacct, which need rules of their own.
 */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #sync = this.#durations('sync_proxy_rules_duration_seconds', 'Time of one sync of the rules');
  readonly #fullSync = this.#durations('sync_full_proxy_rules_duration_seconds', 'Time of one full sync');
  readonly #partialSync = this.#durations(
    'sync_partial_proxy_rules_duration_seconds',
    'Time of a partial sync',
  );
  readonly #programming = this.#durations(
    'network_programming_duration_seconds',
    'From the change of an endpoint to the rules that hold it',
    PROGRAMMING_SECONDS,
  );
  readonly #conntrackSync = this.#durations(
    'conntrack_reconciler_sync_duration_seconds',
    'Time of looking for stale flows in conntrack',
  );
  readonly #lastSync = this.#gauge(
    'sync_proxy_rules_last_timestamp_seconds',
    'When rules were last synced',
    BY_FAMILY,
  );
  readonly #lastQueued = this.#gauge(
    'sync_proxy_rules_last_queued_timestamp_seconds',
    'When a sync was last asked for',
    BY_FAMILY,
  );
  readonly #serviceChanges = this.#counter(
    'sync_proxy_rules_service_changes_total',
    'Changes of Services',
    [],
  );
  readonly #endpointChanges = this.#counter(
    'sync_proxy_rules_endpoint_changes_total',
    'Changes of slices',
    [],
  );
  readonly #pendingServices = this.#gauge(
    'sync_proxy_rules_service_changes_pending',
    'Changes of Services not yet in force',
    [],
  );
  readonly #pendingEndpoints = this.#gauge(
    'sync_proxy_rules_endpoint_changes_pending',
    'Changes of slices not yet in force',
    [],
  );
  readonly #failures: Counter<'ip_family'>;
  readonly #partialFailures: Counter<'ip_family'> | undefined;
  readonly #rules: Gauge<'table' | 'ip_family'> | undefined;
  readonly #rulesWritten: Gauge<'table' | 'ip_family'> | undefined;
  readonly #conntrack = this.#counter(
    'conntrack_reconciler_deleted_entries_total',
    'Stale UDP flows deleted from conntrack',
    BY_FAMILY,
  );
  readonly #noLocal = this.#gauge(
    'sync_proxy_rules_no_local_endpoints_total',
    'Services with policy Local and no local endpoint',
    ['traffic_policy', 'ip_family'],
  );
  readonly #healthz = this.#counter('proxy_healthz_total', 'Answers of /healthz', ['code']);
  readonly #livez = this.#counter('proxy_livez_total', 'Answers of /livez', ['code']);
  readonly #leftOut: Gauge;

  constructor(mode: ProxyMode) {
    if (mode === 'nftables') {
      const name = 'sync_proxy_rules_nftables_sync_failures_total';
      this.#failures = this.#counter(name, 'Transactions the kernel refused', BY_FAMILY);
    } else {
      const name = (kind: string) => `sync_proxy_rules_iptables_${kind}`;
      this.#failures = this.#counter(
        name('restore_failures_total'),
        'Transactions the kernel refused',
        BY_FAMILY,
      );
      this.#partialFailures = this.#counter(
        name('partial_restore_failures_total'),
        'Partial transactions the kernel refused',
        BY_FAMILY,
      );
      this.#rules = this.#gauge(name('total'), 'Rules that are ours', BY_TABLE);
      this.#rulesWritten = this.#gauge(name('last'), 'Rules the last sync wrote', BY_TABLE);
    }
    this.#leftOut = new Gauge({
      name: 'fairlead_proxy_services_left_out',
      help: 'Services of which a part has no rules',
      registers: [this.registry],
    });
    this.#process();
  }

  serviceChanged(): void {
    this.#serviceChanges.inc();
    this.#pendingServices.inc();
  }

  endpointsChanged(): void {
    this.#endpointChanges.inc();
    this.#pendingEndpoints.inc();
  }

  /** A sync is asked for. */
  queued(now: number, families: readonly Family[]): void {
    for (const family of families) this.#lastQueued.set(of(family), now / 1000);
  }

  synced({ now, tookMs, whole, triggers, families }: Synced): void {
    for (const family of families) {
      this.#sync.observe(of(family), tookMs / 1000);
      (whole ? this.#fullSync : this.#partialSync).observe(of(family), tookMs / 1000);
      this.#lastSync.set(of(family), now / 1000);
    }
    this.#pendingServices.set(0);
    this.#pendingEndpoints.set(0);
    // Slices that were there when the daemon began tell of changes it was not asked to make.
    if (whole) return;
    for (const { at, family } of triggers) {
      this.#programming.observe(of(family), Math.max(0, now - at) / 1000);
    }
  }

  /** @param whole what was refused was to write everything */
  syncFailed(families: readonly Family[], whole: boolean): void {
    for (const family of families) {
      (whole ? this.#failures : (this.#partialFailures ?? this.#failures)).inc(of(family));
    }
  }

  /** The iptables rules after a sync. */
  rules(counts: readonly RuleCount[]): void {
    for (const { family, table, total, written } of counts) {
      this.#rules?.set({ table, ...of(family) }, total);
      this.#rulesWritten?.set({ table, ...of(family) }, written);
    }
  }

  conntrackSwept(family: Family, tookMs: number, deleted: number): void {
    this.#conntrackSync.observe(of(family), tookMs / 1000);
    if (deleted > 0) this.#conntrack.inc(of(family), deleted);
  }

  leftOut(services: number): void {
    this.#leftOut.set(services);
  }

  noLocalEndpoints(policy: 'internal' | 'external', family: Family, services: number): void {
    this.#noLocal.set({ traffic_policy: policy, ...of(family) }, services);
  }

  answered(path: 'healthz' | 'livez', code: number): void {
    (path === 'healthz' ? this.#healthz : this.#livez).inc({ code: String(code) });
  }

  /** What every Prometheus client tells of its process. */
  #process(): void {
    const registers = [this.registry];
    const asked = (name: string, help: string, ask: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(ask());
        },
      });
    asked('process_resident_memory_bytes', 'Memory in use', () => process.memoryUsage.rss());
    asked('process_cpu_seconds_total', 'Processor time used', () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    asked('process_start_time_seconds', 'When it began', () => Date.now() / 1000 - process.uptime());
  }

  #durations(name: string, help: string, buckets = SECONDS): Histogram<'ip_family'> {
    const registers = [this.registry];
    return new Histogram({ name: `kubeproxy_${name}`, help, buckets, labelNames: BY_FAMILY, registers });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name: `kubeproxy_${name}`, help, labelNames, registers: [this.registry] });
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name: `kubeproxy_${name}`, help, labelNames, registers: [this.registry] });
  }
}
