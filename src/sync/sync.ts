/**
 * The Service proxy of one node: watches Services and EndpointSlices and keeps the node's rules so.
 *
 * Promises: nothing is programmed before Services and slices have both been listed; a change reaches the kernel in one
 * transaction as small as the change; after an error, a restart or a foreign flush the rules are made whole without
 * touching a connection; rules that are not ours stay as they are.
 * Refuses: to stop at a Service it cannot express. It is left out alone, with an Event, a metric and a line in the log.
 *
 * The daemon works in the network namespace that its {@link Exec} leads to; its own process must be there too, for the
 * health and metrics servers.
 *
 * @example
 * const proxy = runProxy({ client, nodeName: 'n1', mode: 'nftables', exec: new Exec(), signal, log });
 * await proxy.synced; // the rules stand
 * await proxy.ended; // the signal was aborted; the rules still stand
 */

import type { KubeClient } from '../client/client.ts';
import { type Clock, SYSTEM_CLOCK } from '../client/clock.ts';
import { EventRecorder } from '../client/event-recorder.ts';
import { createInformer } from '../client/informer.ts';
import type { Exec } from '../exec/exec.ts';
import type { Log } from '../fault/log.ts';
import type { Addr } from '../ip/ip.ts';
import { type EndpointSlice, keyOf, type Node, type Service } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { DEFAULT_CONFIG, type NodeFacts, type ProxyConfig, type ProxyMode } from '../proxy/proxy.ts';
import type { Backend } from './backend.ts';
import { HealthServers, type ListenAt } from './health.ts';
import { DEFAULT_INTERVALS, type SyncIntervals } from './intervals.ts';
import { IptablesBackend } from './iptables-backend.ts';
import { IpvsBackend } from './ipvs-backend.ts';
import type { IpvsSettings } from './ipvs-settings.ts';
import { requireIpvs } from './ipvs-tool.ts';
import { clearOtherModes, NOBODY } from './leftovers.ts';
import { ProxyMetrics } from './metrics.ts';
import { NetlinkRelay } from './netlink-relay.ts';
import { NftablesBackend } from './nftables-backend.ts';
import { nodeFactsOf } from './node-facts.ts';
import { nodePortHosts } from './node-port-hosts.ts';
import { Planner } from './planner.ts';
import { Reconciler } from './reconciler.ts';
import { sliceTrimmer, trimService } from './trim.ts';

export { withoutIpvs } from './ipvs-tool.ts';
export type { IpvsSettings, SyncIntervals };

export interface ProxyOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** Stands in for the InternalIPs of the Node object. */
  readonly nodeIPs?: readonly Addr[];
  readonly mode: ProxyMode;
  readonly config?: Partial<ProxyConfig>;
  /** For the mode `ipvs`. */
  readonly ipvs?: IpvsSettings;
  /** Runs nft and the like in the node's network namespace. */
  readonly exec: Exec;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock?: Clock;
  readonly listen?: ProxyListen;
  readonly intervals?: Partial<SyncIntervals>;
  /** Called when everything has been listed, before anything is planned. */
  readonly listed?: () => void;
}

export interface ProxyListen {
  /** /healthz, /livez and /readyz; kube-proxy's is 0.0.0.0:10256. No server if undefined. */
  readonly health?: ListenAt;
  /** /metrics and /proxyMode; kube-proxy's is 127.0.0.1:10249. No server if undefined. */
  readonly metrics?: ListenAt;
  /** A port that is taken is tried again until it is free, instead of ending the proxy. */
  readonly retries?: boolean;
  /** The address healthCheckNodePort servers listen on; those of node ports unless said. */
  readonly healthCheckHost?: string;
}

export interface RunningProxy {
  /** Resolves when the first rules stand; rejects if the proxy ends before. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and everything is closed. The rules stay: connections must outlive a restart. */
  readonly ended: Promise<void>;
  /** Where the servers listen, once they do. */
  readonly listening: Promise<{ readonly health?: number; readonly metrics?: number }>;
}

export function runProxy(options: ProxyOptions): RunningProxy {
  const { client, exec, signal, log, mode, clock = SYSTEM_CLOCK, listen = {} } = options;
  const config = { ...DEFAULT_CONFIG, ...options.config };
  const metrics = new ProxyMetrics(mode);
  const planner = new Planner(metrics, () => reconciler.wake());
  const services = createInformer<Service>(client, RESOURCES.services, {
    signal,
    clock,
    log,
    trim: trimService,
  });
  const slices = createInformer<EndpointSlice>(client, RESOURCES.endpointslices, {
    signal,
    clock,
    log,
    trim: sliceTrimmer(),
  });
  const nodes = createInformer<Node>(client, RESOURCES.nodes, {
    signal,
    clock,
    log,
    fieldSelector: `metadata.name=${options.nodeName}`,
  });
  const intervals = { ...DEFAULT_INTERVALS, ...options.intervals };
  const { lateMs } = intervals;
  const { healthCheckHost } = listen;
  const healthCheckHosts = () =>
    healthCheckHost === undefined
      ? nodePortHosts(facts(nodes.get(options.nodeName)), config)
      : [healthCheckHost];
  const health = new HealthServers({ clock, metrics, log, healthCheckHosts, lateMs });
  const relay = mode === 'nftables' ? new NetlinkRelay(exec, log) : undefined;
  const reconciler = new Reconciler({
    planner,
    metrics,
    health,
    clock,
    log,
    signal,
    exec,
    events: new EventRecorder({ client, component: 'fairlead-proxy', host: options.nodeName, log, clock }),
    intervals,
    makeBackend: (node) => makeBackend(mode, exec, node, config, { ipvs: options.ipvs, relay }),
  });
  subscribe();
  const listening = health.listen({ ...listen, mode });
  const ended = run();
  return { synced: reconciler.synced, ended, listening };

  function subscribe(): void {
    services.subscribe({
      added: (service) => planner.serviceIs(keyOf(service), service),
      updated: (service) => planner.serviceIs(keyOf(service), service),
      deleted: (service) => planner.serviceIs(keyOf(service), undefined),
    });
    slices.subscribe({
      added: (slice) => planner.sliceIs(slice),
      updated: (slice, old) => planner.sliceIs(slice, old),
      deleted: (slice) => planner.sliceGone(slice),
    });
    const nodeIs = (node: Node | undefined) => {
      health.nodeIs(node);
      reconciler.nodeIs(facts(node));
    };
    nodes.subscribe({ added: nodeIs, updated: nodeIs, deleted: () => nodeIs(undefined) });
  }

  function facts(node: Node | undefined): NodeFacts {
    return nodeFactsOf(options.nodeName, node, options.nodeIPs);
  }

  async function run(): Promise<void> {
    try {
      if (mode === 'ipvs') await requireIpvs(exec, options.ipvs?.scheduler);
      void relay?.ready();
      await listening;
      await Promise.all([services.synced, slices.synced, nodes.synced]);
      options.listed?.();
      reconciler.nodeIs(facts(nodes.get(options.nodeName)));
      let cleared: Promise<void> | undefined;
      const clear = () => {
        cleared = clearOtherModes(mode, exec, log);
      };
      // That the first sync failed is told by whoever waits for it.
      reconciler.synced.then(clear, () => undefined);
      await reconciler.run();
      await cleared;
    } catch (error) {
      reconciler.fail(error);
      if (!signal.aborted) throw error;
    } finally {
      for (const informer of [services, slices, nodes]) informer.stop();
      await Promise.all([health.close(), relay?.close()]);
    }
  }
}

/** Takes the rules of every mode out of the kernel: what `fairlead proxy --cleanup` does. */
export async function cleanupProxy(exec: Exec): Promise<void> {
  for (const mode of ['nftables', 'iptables', 'ipvs'] as const) {
    await makeBackend(mode, exec, NOBODY, DEFAULT_CONFIG).cleanup();
  }
}

function makeBackend(
  mode: ProxyMode,
  exec: Exec,
  node: NodeFacts,
  config: ProxyConfig,
  own: BackendParts = {},
): Backend {
  if (mode === 'nftables') return new NftablesBackend(exec, node, config, own.relay);
  if (mode === 'iptables') return new IptablesBackend(exec, node, config);
  return new IpvsBackend(exec, node, config, own.ipvs);
}

/** What one mode has and the others do not. */
interface BackendParts {
  readonly ipvs?: IpvsSettings | undefined;
  readonly relay?: NetlinkRelay | undefined;
}
