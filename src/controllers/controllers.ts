/**
 * What makes the cluster's wishes come true: Deployments, ReplicaSets, StatefulSets, EndpointSlices and Endpoints, nodes,
 * namespaces, ServiceAccounts, scheduling, garbage collection.
 *
 * Promises: each controller acts on a watch's event at once, with no polling and no batching; one that fails says so in the log and
 * tries again after a pause; all share one informer a resource; none keeps state that it cannot make anew from the API, so the
 * process may die at any time.
 * Refuses: to run twice. There is no leader election: one process runs the controllers.
 *
 * How one is built: handlers turn events into keys, a WorkQueue turns keys into syncs, a sync compares what is with what
 * should be (its arithmetic in a pure file beside it) and writes the difference. {@link OwnWrites} keeps a sync from acting
 * twice before the watch has told its own writes.
 *
 * Reads on: workloads/ has the controllers of pods, endpoints/ those of the addresses behind Services, nodes/ those of
 * nodes and of what runs where; the others are here.
 *
 * @example
 * const stop = new AbortController();
 * const controllers = runControllers({
 *   client: socketClient('/run/fairlead/admin.sock'),
 *   signal: stop.signal,
 *   podCIDR: Prefix.parse('172.16.0.0/16'),
 *   log,
 * });
 * await controllers.synced;
 */
import type { KubeClient } from '../client/client.ts';
import { type Clock, SYSTEM_CLOCK } from '../client/clock.ts';
import type { Log } from '../fault/log.ts';
import type { Prefix } from '../ip/prefix.ts';
import { type Context, startInformers } from './context.ts';
import { EndingClient } from './ending-client.ts';
import { startEndpointSlices } from './endpoints/endpoint-slice.ts';
import { startEndpointSliceMirroring } from './endpoints/endpoint-slice-mirroring.ts';
import { startEndpoints } from './endpoints/endpoints.ts';
import { startGarbageCollector } from './garbage-collector.ts';
import { startNamespaces } from './namespace.ts';
import { startNodeCidrs } from './nodes/node-cidr.ts';
import { startNodeLifecycle } from './nodes/node-lifecycle.ts';
import { startPodGc } from './nodes/pod-gc.ts';
import { startScheduler } from './nodes/scheduler.ts';
import { startTaintEviction } from './nodes/taint-eviction.ts';
import { startServiceAccounts } from './service-account.ts';
import { startDeployments } from './workloads/deployment.ts';
import { startReplicaSets } from './workloads/replica-set.ts';
import { startStatefulSets } from './workloads/stateful-set.ts';

export interface ControllersOptions {
  readonly client: KubeClient;
  /** Ends the controllers; the client stays open, it is the caller's. */
  readonly signal: AbortSignal;
  /** The range that each node gets a /24 (IPv6: /64) of. */
  readonly podCIDR: Prefix;
  /** PEM of the cluster's authority, published in each namespace as ConfigMap kube-root-ca.crt. */
  readonly rootCa?: string;
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface Controllers {
  /** Every informer has its first list. Rejects when the signal aborts before. */
  readonly synced: Promise<void>;
  /** After the signal: no request is under way any more, and none will be sent. */
  ended(): Promise<void>;
}

/** Starts all controllers. The EndpointSlices come first: what a client feels is told of each event before the rest. */
export function runControllers(options: ControllersOptions): Controllers {
  const { signal, podCIDR, rootCa, log, clock = SYSTEM_CLOCK, random = Math.random } = options;
  const client = new EndingClient(options.client, signal);
  const informers = startInformers(client, signal, clock, log);
  const context: Context = { client, informers, signal, clock, random, log, podCIDR, rootCa, queues: [] };
  for (const start of [
    startEndpointSlices,
    startEndpoints,
    startScheduler,
    startReplicaSets,
    startDeployments,
    startStatefulSets,
    startEndpointSliceMirroring,
    startNodeLifecycle,
    startTaintEviction,
    startNodeCidrs,
    startNamespaces,
    startServiceAccounts,
    startPodGc,
    startGarbageCollector,
  ]) {
    start(context);
  }
  const synced = Promise.all([...informers.all.values()].map((informer) => informer.synced)).then(
    () => undefined,
  );
  // Nobody need wait for it.
  synced.catch(() => undefined);
  const ended = () => Promise.all(context.queues.map((queue) => queue.idle())).then(() => undefined);
  return { synced, ended };
}
