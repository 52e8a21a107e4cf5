import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ProxyMode } from '../proxy/proxy.ts';

/** kube-proxy's metrics by its names, so that its dashboards and alerts hold; what is ours alone begins with fairlead_. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #sync: Histogram;
  readonly #fullSync: Histogram;
  readonly #partialSync: Histogram;
  readonly #programming: Histogram;
  readonly #lastSync: Gauge;
  readonly #lastQueued: Gauge;
  readonly #serviceChanges: Counter;
  readonly #endpointChanges: Counter;
  readonly #pendingServices: Gauge;
  readonly #pendingEndpoints: Gauge;
  readonly #failures: Counter;
  readonly #conntrack: Counter;
  readonly #leftOut: Gauge;
  readonly #noLocal: Gauge<'traffic_policy'>;
  readonly #healthz: Counter<'code'>;
  readonly #livez: Counter<'code'>;

  constructor(mode: ProxyMode) {
    const { registry } = this;
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `kubeproxy_${name}`, help, buckets, registers: [registry] });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
    const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
    const byCode = (name: string, help: string) =>
      new Counter({ name, help, labelNames: ['code'] as const, registers: [registry] });
    const seconds = Array.from({ length: 15 }, (_, at) => 0.001 * 2 ** at);
    this.#sync = histogram('sync_proxy_rules_duration_seconds', 'Time of one sync of the rules', seconds);
    this.#fullSync = histogram('sync_full_proxy_rules_duration_seconds', 'Time of one full sync', seconds);
    this.#partialSync = histogram(
      'sync_partial_proxy_rules_duration_seconds',
      'Time of a partial sync',
      seconds,
    );
    this.#programming = histogram(
      'network_programming_duration_seconds',
      'From the change of an endpoint to the rules that hold it',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300],
    );
    this.#lastSync = gauge(
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'When rules were last synced',
    );
    this.#lastQueued = gauge(
      'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
      'When a sync was last asked for',
    );
    this.#serviceChanges = counter('kubeproxy_sync_proxy_rules_service_changes_total', 'Changes of Services');
    this.#endpointChanges = counter('kubeproxy_sync_proxy_rules_endpoint_changes_total', 'Changes of slices');
    this.#pendingServices = gauge(
      'kubeproxy_sync_proxy_rules_service_changes_pending',
      'Changes not yet in force',
    );
    this.#pendingEndpoints = gauge(
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
      'Changes not yet in force',
    );
    this.#failures = counter(
      mode === 'nftables'
        ? 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total'
        : 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
      'Transactions the kernel refused',
    );
    this.#conntrack = counter(
      'kubeproxy_conntrack_reconciler_deleted_entries_total',
      'Stale UDP flows deleted from conntrack',
    );
    this.#leftOut = gauge('fairlead_proxy_services_left_out', 'Services of which a part has no rules');
    this.#noLocal = new Gauge({
      name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
      help: 'Services with policy Local and no local endpoint',
      labelNames: ['traffic_policy'] as const,
      registers: [registry],
    });
    this.#healthz = byCode('kubeproxy_proxy_healthz_total', 'Answers of /healthz');
    this.#livez = byCode('kubeproxy_proxy_livez_total', 'Answers of /livez');
  }

  serviceChanged(): void {
    this.#serviceChanges.inc();
    this.#pendingServices.inc();
    this.#lastQueued.setToCurrentTime();
  }

  endpointsChanged(): void {
    this.#endpointChanges.inc();
    this.#pendingEndpoints.inc();
    this.#lastQueued.setToCurrentTime();
  }

  /** @param triggers when the changes began that are now in force, in milliseconds since 1970 */
  synced(nowMs: number, tookMs: number, whole: boolean, triggers: readonly number[]): void {
    this.#sync.observe(tookMs / 1000);
    (whole ? this.#fullSync : this.#partialSync).observe(tookMs / 1000);
    this.#lastSync.set(nowMs / 1000);
    this.#pendingServices.set(0);
    this.#pendingEndpoints.set(0);
    // Slices that were there when the daemon began tell of changes it was not asked to make.
    if (!whole) for (const at of triggers) this.#programming.observe(Math.max(0, nowMs - at) / 1000);
  }

  syncFailed(): void {
    this.#failures.inc();
  }

  conntrackDeleted(): void {
    this.#conntrack.inc();
  }

  leftOut(services: number): void {
    this.#leftOut.set(services);
  }

  noLocalEndpoints(policy: 'internal' | 'external', services: number): void {
    this.#noLocal.set({ traffic_policy: policy }, services);
  }

  answered(path: 'healthz' | 'livez', code: number): void {
    (path === 'healthz' ? this.#healthz : this.#livez).inc({ code: String(code) });
  }
}
