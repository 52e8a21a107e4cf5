/**
 * Defaulting: fills in what a manifest leaves out, as Kubernetes v1.33 does (pkg/apis/<group>/v1/defaults.go), with what
 * the admission plugins that are always on add to pods (ServiceAccount, DefaultTolerationSeconds, Priority).
 *
 * Promises: defaulting twice is defaulting once; what the manifest says is kept; the object handed in is not changed.
 * Refuses: to allocate (cluster IPs, node ports, names, uids are the API server's) and to judge (that is validation's).
 *
 * @example applyDefaults(RESOURCES.services, { spec: { ports: [{ port: 80 }] } }).spec.ports[0].targetPort // 80
 */
import { defaultPod } from './defaults-pod.ts';
import { type DefaultsContext, defaultService } from './defaults-service.ts';
import { defaultDeployment, defaultReplicaSet, defaultStatefulSet } from './defaults-workload.ts';
import type { EndpointSlice, Endpoints, Event, KubeObject, Namespace, Node, Secret } from './objects.ts';
import type { Resource, ResourceName } from './resources.ts';
import type { Writable } from './writable.ts';

export type { DefaultsContext, IPFamily } from './defaults-service.ts';

type Defaulter = (object: KubeObject, context: DefaultsContext) => void;

/** Objects come from the wire; which kind they are, their resource says. */
const of =
  <T extends KubeObject>(fill: (object: Writable<T>, context: DefaultsContext) => void): Defaulter =>
  (object, context) =>
    fill(object as Writable<T>, context);

const DEFAULTERS: Readonly<Record<ResourceName, Defaulter | undefined>> = {
  namespaces: of<Namespace>(defaultNamespace),
  nodes: of<Node>(defaultNode),
  pods: of(defaultPod),
  services: of(defaultService),
  endpoints: of<Endpoints>(defaultEndpoints),
  events: of<Event>(defaultEvent),
  configmaps: undefined,
  secrets: of<Secret>(defaultSecret),
  serviceaccounts: undefined,
  leases: undefined,
  deployments: of(defaultDeployment),
  replicasets: of(defaultReplicaSet),
  statefulsets: of(defaultStatefulSet),
  controllerrevisions: undefined,
  endpointslices: of<EndpointSlice>(defaultEndpointSlice),
};

const isKnown = (name: string): name is ResourceName => Object.hasOwn(DEFAULTERS, name);

/** A copy of the object with the defaults of its kind filled in. */
export function applyDefaults<T extends KubeObject>(
  resource: Resource,
  object: T,
  context: DefaultsContext = {},
): T {
  const copy = structuredClone(object);
  if (isKnown(resource.plural)) DEFAULTERS[resource.plural]?.(copy, context);
  return copy;
}

function defaultNamespace(namespace: Writable<Namespace>): void {
  const name = namespace.metadata?.name;
  // Selectors of namespaces count on this label (KEP-2161).
  if (namespace.metadata !== undefined && name) {
    namespace.metadata.labels = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': name };
  }
  namespace.spec ??= {};
  // What keeps a namespace until it is empty. A namespace that is going loses it for good.
  if (namespace.metadata?.deletionTimestamp === undefined) namespace.spec.finalizers ??= ['kubernetes'];
  namespace.status ??= {};
  namespace.status.phase ||= 'Active';
}

function defaultNode(node: Writable<Node>): void {
  node.spec ??= {};
  const { spec } = node;
  if (spec.podCIDR && !spec.podCIDRs?.length) spec.podCIDRs = [spec.podCIDR];
  if (!spec.podCIDR && spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
  node.status ??= {};
  if (node.status.capacity !== undefined) node.status.allocatable ??= { ...node.status.capacity };
}

function defaultSecret(secret: Writable<Secret>): void {
  secret.type ||= 'Opaque';
  // stringData is for writers only: it ends up in data, and wins there.
  if (secret.stringData === undefined) return;
  const encoded = Object.entries(secret.stringData).map(([key, text]) => [key, base64Of(text)]);
  secret.data = { ...secret.data, ...Object.fromEntries(encoded) };
  delete secret.stringData;
}

/** btoa takes bytes as characters. */
const base64Of = (text: string): string =>
  btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));

function defaultEndpoints(endpoints: Writable<Endpoints>): void {
  for (const port of (endpoints.subsets ?? []).flatMap(({ ports = [] }) => ports)) port.protocol ||= 'TCP';
}

function defaultEndpointSlice(slice: Writable<EndpointSlice>): void {
  for (const port of slice.ports ?? []) {
    port.name ??= '';
    port.protocol ??= 'TCP';
  }
}

function defaultEvent(event: Writable<Event>): void {
  event.source ??= {};
  event.reportingComponent ??= event.source.component ?? '';
  event.reportingInstance ??= event.source.host ?? '';
}
