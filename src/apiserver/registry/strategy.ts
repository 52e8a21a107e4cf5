import type { Resource } from '../../kube/resources.ts';
import type { AnyObject, Fields } from './stored.ts';

/**
 * How a resource differs from the common course of create, update and delete (upstream: the strategy of
 * pkg/registry/GROUP/KIND). Everything here changes the object it is given, which is the request's own copy.
 */
export interface Strategy {
  /** metadata.generation counts changes of what the user asks for. */
  readonly generation: boolean;
  /** PUT makes what is not there. */
  readonly createOnUpdate: boolean;
  /** PUT without a resourceVersion overwrites. */
  readonly unconditionalUpdate: boolean;
  /** DELETE answers with the object as it last was, not with a Status. */
  readonly returnsDeleted: boolean;
  /** What a client may not decide when it creates: usually the status. */
  readonly prepareForCreate: (object: AnyObject) => void;
  /** Seconds until the object is removed, for kinds whose deletion takes time; 0 for at once. */
  readonly graceSeconds: (object: AnyObject, asked: number | undefined) => number;
  /** Finalizers outside metadata (a Namespace's spec.finalizers) that hold it. */
  readonly heldBySpec: (object: AnyObject) => boolean;
  /** The object's deletion has begun. */
  readonly beginDeletion: (object: AnyObject) => void;
}

const PLAIN: Strategy = {
  generation: false,
  createOnUpdate: false,
  unconditionalUpdate: true,
  returnsDeleted: false,
  prepareForCreate: () => undefined,
  graceSeconds: () => 0,
  heldBySpec: () => false,
  beginDeletion: () => undefined,
};

const clearStatus = (object: AnyObject) => {
  object.status = {};
};

const workload: Strategy = { ...PLAIN, generation: true, prepareForCreate: clearStatus };

const pods: Strategy = {
  ...PLAIN,
  returnsDeleted: true,
  prepareForCreate: (pod) => {
    pod.status = { phase: 'Pending', qosClass: qosClassOf(pod) };
  },
  // registry/core/pod/strategy.go, CheckGracefulDelete: nobody runs a pod without a node, and one that has ended.
  graceSeconds: (pod, asked) => {
    const phase = pod.status?.phase;
    const running = Boolean(pod.spec?.nodeName) && phase !== 'Failed' && phase !== 'Succeeded';
    const own = pod.spec?.terminationGracePeriodSeconds;
    const seconds = asked ?? (typeof own === 'number' ? own : 30);
    return running ? (seconds < 0 ? 1 : seconds) : 0;
  },
};

const namespaces: Strategy = {
  ...PLAIN,
  prepareForCreate: (namespace) => {
    const { finalizers = [] } = (namespace.spec ?? {}) as { finalizers?: string[] };
    namespace.spec = { ...namespace.spec, finalizers: [...new Set([...finalizers, 'kubernetes'])] };
    namespace.status = { phase: 'Active' };
  },
  heldBySpec: (namespace) =>
    Array.isArray(namespace.spec?.finalizers) && namespace.spec.finalizers.length > 0,
  beginDeletion: (namespace) => {
    namespace.status = { ...namespace.status, phase: 'Terminating' };
  },
};

const services: Strategy = {
  ...PLAIN,
  createOnUpdate: true,
  returnsDeleted: true,
  prepareForCreate: (service) => {
    service.status = { loadBalancer: {} };
  },
};

const STRATEGIES: Readonly<Record<string, Strategy>> = {
  pods,
  namespaces,
  services,
  nodes: { ...PLAIN, returnsDeleted: true },
  deployments: workload,
  replicasets: workload,
  statefulsets: workload,
  endpointslices: { ...PLAIN, generation: true },
  endpoints: { ...PLAIN, createOnUpdate: true },
  events: { ...PLAIN, createOnUpdate: true },
  leases: { ...PLAIN, createOnUpdate: true, unconditionalUpdate: false },
  serviceaccounts: { ...PLAIN, returnsDeleted: true },
};

export const strategyOf = (resource: Resource): Strategy => STRATEGIES[resource.plural] ?? PLAIN;

interface ResourceNeeds {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

/** The quality-of-service class (pkg/apis/core/v1/helper/qos): from cpu and memory of all containers. */
function qosClassOf(pod: AnyObject): string {
  const { containers = [], initContainers = [] } = (pod.spec ?? {}) as Record<string, Fields[]>;
  const needs = [...containers, ...initContainers].map(({ resources }) => (resources ?? {}) as ResourceNeeds);
  const asked = (list: ResourceNeeds['limits']) =>
    ['cpu', 'memory'].filter((name) => list?.[name] !== undefined);
  if (needs.every(({ requests, limits }) => [...asked(requests), ...asked(limits)].length === 0)) {
    return 'BestEffort';
  }
  const guaranteed = needs.every(
    ({ requests, limits }) =>
      asked(limits).length === 2 && asked(requests).every((name) => requests?.[name] === limits?.[name]),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
