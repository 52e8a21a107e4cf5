import type {
  ConfigMap,
  ControllerRevision,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  StatefulSet,
} from '../objects.ts';
import type { Resource, ResourceName } from '../resources.ts';
import { checkConfigMap, checkConfigMapUpdate, checkSecret, checkSecretUpdate } from './config.ts';
import type { ValidationContext } from './context.ts';
import { checkEndpointSlice, checkEndpointSliceUpdate, checkEndpoints } from './endpoints.ts';
import type { FieldError } from './field-error.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain, type Format } from './formats.ts';
import { checkNode, checkNodeUpdate } from './node.ts';
import { checkPodCreate, checkPodUpdate } from './pod.ts';
import { checkService, checkServiceStatus, checkServiceUpdate } from './service.ts';
import { checkClusterIPsUpdate, checkFamiliesUpdate } from './service-addresses.ts';
import {
  checkControllerRevision,
  checkControllerRevisionUpdate,
  checkEvent,
  checkLease,
  checkNamespace,
  checkNamespaceFinalizers,
  checkNamespaceStatus,
} from './small-kinds.ts';
import {
  checkDeployment,
  checkReplicaCounts,
  checkReplicaSet,
  checkSelectorUpdate,
  checkStatefulSet,
  checkStatefulSetUpdate,
} from './workload.ts';

/** How the objects of one resource are validated, beyond what all objects have in common. */
export interface Rules<T extends KubeObject = KubeObject> {
  readonly name: Format;
  readonly create?: (object: T, context: ValidationContext) => FieldError[];
  /** Default: what creating checks. */
  readonly update?: (object: T, old: T, context: ValidationContext) => FieldError[];
  /** A write through a subresource is checked by its own rule alone. */
  readonly subresources?: Readonly<Record<string, (object: T) => FieldError[]>>;
}

/** Objects come from the wire; which kind they are, their resource says. */
function rules<T extends KubeObject>(of: Rules<T>): Rules {
  const create = of.create ?? (() => []);
  const update = of.update ?? ((object: T, _old: T, context: ValidationContext) => create(object, context));
  return {
    name: of.name,
    create: (object, context) => create(object as T, context),
    update: (object, old, context) => update(object as T, old as T, context),
    subresources: Object.fromEntries(
      Object.entries(of.subresources ?? {}).map(([name, check]) => [
        name,
        (object: KubeObject) => check(object as T),
      ]),
    ),
  };
}

const RULES: Readonly<Record<ResourceName, Rules>> = {
  namespaces: rules<Namespace>({
    name: dns1123Label,
    create: checkNamespace,
    update: () => [],
    subresources: { status: checkNamespaceStatus, finalize: checkNamespaceFinalizers },
  }),
  nodes: rules<Node>({ name: dns1123Subdomain, create: checkNode, update: checkNodeUpdate }),
  pods: rules<Pod>({ name: dns1123Subdomain, create: checkPodCreate, update: checkPodUpdate }),
  services: rules<Service>({
    name: dns1035Label,
    create: (service, { serviceFamilies }) => checkService(service, serviceFamilies),
    update: (service, old, { serviceFamilies }) => [
      ...checkClusterIPsUpdate(service.spec ?? {}, old.spec ?? {}),
      ...checkFamiliesUpdate(service.spec ?? {}, old.spec ?? {}),
      ...checkServiceUpdate(service, old),
      ...checkService(service, serviceFamilies),
    ],
    subresources: { status: checkServiceStatus },
  }),
  endpoints: rules<Endpoints>({ name: dns1123Subdomain, create: checkEndpoints }),
  events: rules<Event>({ name: dns1123Subdomain, create: checkEvent }),
  configmaps: rules<ConfigMap>({
    name: dns1123Subdomain,
    create: checkConfigMap,
    update: (map, old) => [...checkConfigMapUpdate(map, old), ...checkConfigMap(map)],
  }),
  secrets: rules<Secret>({
    name: dns1123Subdomain,
    create: checkSecret,
    update: (secret, old) => [...checkSecretUpdate(secret, old), ...checkSecret(secret)],
  }),
  serviceaccounts: rules({ name: dns1123Subdomain }),
  leases: rules<Lease>({ name: dns1123Subdomain, create: checkLease }),
  deployments: rules<Deployment>({
    name: dns1123Subdomain,
    create: checkDeployment,
    update: (now, old) => [...checkDeployment(now), ...checkSelectorUpdate(now, old)],
    subresources: { status: ({ status }) => checkReplicaCounts(status) },
  }),
  replicasets: rules<ReplicaSet>({
    name: dns1123Subdomain,
    create: checkReplicaSet,
    update: (now, old) => [...checkReplicaSet(now), ...checkSelectorUpdate(now, old)],
    subresources: { status: ({ status }) => checkReplicaCounts(status) },
  }),
  statefulsets: rules<StatefulSet>({
    // Its pods' host names begin with it, and a host name is one label.
    name: dns1123Label,
    create: checkStatefulSet,
    update: (now, old) => [...checkStatefulSet(now), ...checkStatefulSetUpdate(now, old)],
    subresources: { status: ({ status }) => checkReplicaCounts(status) },
  }),
  controllerrevisions: rules<ControllerRevision>({
    name: dns1123Subdomain,
    create: checkControllerRevision,
    update: (now, old) => [...checkControllerRevision(now), ...checkControllerRevisionUpdate(now, old)],
  }),
  endpointslices: rules<EndpointSlice>({
    name: dns1123Subdomain,
    create: checkEndpointSlice,
    update: (now, old) => [...checkEndpointSlice(now), ...checkEndpointSliceUpdate(now, old)],
  }),
};

/** A resource that is not in the table is held to what all objects have in common. */
const PLAIN = rules({ name: dns1123Subdomain });

const isKnown = (name: string): name is ResourceName => Object.hasOwn(RULES, name);

export const rulesOf = ({ plural }: Resource): Rules => (isKnown(plural) ? RULES[plural] : PLAIN);
