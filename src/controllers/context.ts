import type { Informer, KubeClient } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import { EventRecorder } from '../client/event-recorder.ts';
import { createInformer, type InformerOptions } from '../client/informer.ts';
import { WorkQueue } from '../client/work-queue.ts';
import type { Log } from '../fault/log.ts';
import type { Prefix } from '../ip/prefix.ts';
import type {
  ConfigMap,
  ControllerRevision,
  Deployment,
  EndpointSlice,
  Endpoints,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Service,
  ServiceAccount,
  StatefulSet,
} from '../kube/objects.ts';
import { ALL_RESOURCES, RESOURCES, type Resource } from '../kube/resources.ts';
import { controllerOf, labelPairs } from './metadata.ts';
import { unlessNamespaceEnds } from './namespace-ending.ts';

/** What every controller is given. */
export interface Context {
  readonly client: KubeClient;
  readonly informers: Informers;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The range each node gets its podCIDR from. */
  readonly podCIDR: Prefix;
  /** PEM of the cluster's authority, for the ConfigMap kube-root-ca.crt. */
  readonly rootCa: string | undefined;
  /** Every queue made by {@link queueOf}: what must come to rest before the controllers have ended. */
  readonly queues: WorkQueue[];
}

/** One informer a resource, shared by all controllers. */
export interface Informers {
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly endpoints: Informer<Endpoints>;
  readonly endpointslices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  readonly leases: Informer<Lease>;
  readonly namespaces: Informer<Namespace>;
  readonly serviceaccounts: Informer<ServiceAccount>;
  readonly configmaps: Informer<ConfigMap>;
  readonly deployments: Informer<Deployment>;
  readonly replicasets: Informer<ReplicaSet>;
  readonly statefulsets: Informer<StatefulSet>;
  readonly controllerrevisions: Informer<ControllerRevision>;
  /** Every resource's informer, those above among them. */
  readonly all: ReadonlyMap<Resource, Informer<KubeObject>>;
}

/** Objects by the uid of the controller that owns them. */
export const BY_CONTROLLER = 'controller';
/** Objects without a controller, by namespace. */
export const ORPHANS = 'orphans';
/** Objects by namespace. */
export const BY_NAMESPACE = 'namespace';
/** Objects by each of their labels, as `namespace/key=value`. */
export const BY_LABEL = 'label';
/** Pods by spec.nodeName. */
export const BY_NODE = 'node';
/** EndpointSlices by `namespace/service`. */
export const BY_SERVICE = 'service';

export const SERVICE_NAME = 'kubernetes.io/service-name';

const present = (value: string | undefined): string[] => (value === undefined || value === '' ? [] : [value]);

const owned = {
  [BY_CONTROLLER]: (object: KubeObject) => present(controllerOf(object)?.uid),
  [ORPHANS]: (object: KubeObject) =>
    controllerOf(object) === undefined ? [object.metadata?.namespace ?? ''] : [],
};
const namespaced = { [BY_NAMESPACE]: (object: KubeObject) => [object.metadata?.namespace ?? ''] };

/** Starts the informers. They end with the signal. */
export function startInformers(client: KubeClient, signal: AbortSignal, clock: Clock, log: Log): Informers {
  const all = new Map<Resource, Informer<KubeObject>>();
  const start = <T extends KubeObject>(
    resource: Resource,
    indexers?: InformerOptions<T>['indexers'],
  ): Informer<T> => {
    const options = { signal, clock, log, ...(indexers === undefined ? {} : { indexers }) };
    const informer = createInformer<T>(client, resource, options);
    all.set(resource, informer as unknown as Informer<KubeObject>);
    return informer;
  };
  const informers = {
    pods: start<Pod>(RESOURCES.pods, {
      ...owned,
      [BY_LABEL]: labelPairs,
      [BY_NODE]: (pod) => present(pod.spec?.nodeName),
    }),
    services: start<Service>(RESOURCES.services, namespaced),
    endpoints: start<Endpoints>(RESOURCES.endpoints),
    endpointslices: start<EndpointSlice>(RESOURCES.endpointslices, { [BY_SERVICE]: servicesOf }),
    nodes: start<Node>(RESOURCES.nodes),
    leases: start<Lease>(RESOURCES.leases),
    namespaces: start<Namespace>(RESOURCES.namespaces),
    serviceaccounts: start<ServiceAccount>(RESOURCES.serviceaccounts),
    configmaps: start<ConfigMap>(RESOURCES.configmaps),
    deployments: start<Deployment>(RESOURCES.deployments),
    replicasets: start<ReplicaSet>(RESOURCES.replicasets, owned),
    statefulsets: start<StatefulSet>(RESOURCES.statefulsets, namespaced),
    controllerrevisions: start<ControllerRevision>(RESOURCES.controllerrevisions, owned),
  };
  for (const resource of ALL_RESOURCES) {
    if (!all.has(resource) && resource !== RESOURCES.events) start(resource);
  }
  return { ...informers, all };
}

function servicesOf({ metadata }: EndpointSlice): string[] {
  const service = metadata?.labels?.[SERVICE_NAME];
  return service === undefined ? [] : [`${metadata?.namespace}/${service}`];
}

/** A controller's queue: its syncs' failures are logged and come back after a pause, its end is the context's. */
export function queueOf(
  context: Context,
  name: string,
  sync: (key: string) => Promise<void>,
  concurrency?: number,
): WorkQueue {
  const { signal, clock, log, random } = context;
  const queue = new WorkQueue({
    name,
    sync: (key) => unlessNamespaceEnds(() => sync(key)),
    signal,
    clock,
    log: log.with({ controller: name }),
    backoff: { baseMs: 5, maxMs: 30_000, random },
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  context.queues.push(queue);
  return queue;
}

export const recorderOf = ({ client, clock, log }: Context, component: string): EventRecorder =>
  new EventRecorder({ client, clock, log: log.with({ controller: component }), component });
