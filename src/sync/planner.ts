import { type EndpointSlice, keyOf, type Service } from '../kube/objects.ts';
import {
  type NodeFacts,
  type PlannedService,
  planService,
  type ServicePlan,
  serviceOfSlice,
} from '../proxy/proxy.ts';
import type { ProxyMetrics, Trigger } from './metrics.ts';

/** The slice controller's note of when the change began that a slice tells of. */
export const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

/** A Service whose plan is to be made anew. */
export interface Replanned extends PlannedService {
  readonly name: string;
  /** The object as watched, for Events about it. */
  readonly service: Service | undefined;
  /** The plan that stood before. */
  readonly before: ServicePlan | undefined;
}

/** Holds what was watched, and plans again only the Services that a change concerns. */
export class Planner {
  readonly #metrics: ProxyMetrics;
  readonly #changed: () => void;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #plans = new Map<string, ServicePlan>();
  readonly #dirty = new Set<string>();
  #triggers: Trigger[] = [];

  /** @param changed is called whenever a plan may have to be made anew */
  constructor(metrics: ProxyMetrics, changed: () => void) {
    this.#metrics = metrics;
    this.#changed = changed;
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  serviceIs(name: string, service: Service | undefined): void {
    if (service === undefined) this.#services.delete(name);
    else this.#services.set(name, service);
    this.#dirty.add(name);
    this.#metrics.serviceChanged();
    this.#changed();
  }

  sliceIs(slice: EndpointSlice, old?: EndpointSlice): void {
    if (old !== undefined && serviceOfSlice(old) !== serviceOfSlice(slice)) this.sliceGone(old);
    const service = serviceOfSlice(slice);
    const mine = this.#slices.get(service) ?? new Map<string, EndpointSlice>();
    this.#slices.set(service, mine.set(keyOf(slice), slice));
    const at = Date.parse(slice.metadata?.annotations?.[TRIGGER_TIME] ?? '');
    if (!Number.isNaN(at)) this.#triggers.push({ at, family: slice.addressType === 'IPv6' ? 6 : 4 });
    this.#endpointsChanged(service);
  }

  sliceGone(slice: EndpointSlice): void {
    const service = serviceOfSlice(slice);
    const mine = this.#slices.get(service);
    mine?.delete(keyOf(slice));
    if (mine?.size === 0) this.#slices.delete(service);
    this.#endpointsChanged(service);
  }

  /** Every Service is to be planned again: the node has changed. */
  everythingChanged(): void {
    for (const name of this.#services.keys()) this.#dirty.add(name);
  }

  /** Plans whatever has changed since the last call. */
  replan(node: NodeFacts): Replanned[] {
    const names = [...this.#dirty];
    this.#dirty.clear();
    return names.map((name) => {
      const service = this.#services.get(name);
      const slices = [...(this.#slices.get(name)?.values() ?? [])];
      const planned =
        service === undefined ? { plan: undefined, problems: [] } : planService(node, service, slices);
      const before = this.#plans.get(name);
      if (planned.plan === undefined) this.#plans.delete(name);
      else this.#plans.set(name, planned.plan);
      return { name, service, before, ...planned };
    });
  }

  /** When the changes began that the last {@link replan} took up. */
  takeTriggers(): readonly Trigger[] {
    const triggers = this.#triggers;
    this.#triggers = [];
    return triggers;
  }

  #endpointsChanged(service: string): void {
    this.#dirty.add(service);
    this.#metrics.endpointsChanged();
    this.#changed();
  }
}
