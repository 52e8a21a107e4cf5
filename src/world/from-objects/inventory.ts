import { Fault } from '../../fault/fault.ts';
import {
  type EndpointSlice,
  type KubeObject,
  keyOf,
  type Node,
  namespaceOf,
  type Pod,
  type Service,
} from '../../kube/objects.ts';
import { RESOURCES, type Resource } from '../../kube/resources.ts';
import { decodeStruct, TypeMismatch } from '../../kube/schema/decode.ts';
import type { Json } from '../../kube/schema/json.ts';
import { schemaOfKind } from '../../kube/schema/model.ts';
import type { Listener } from '../world.ts';
import { type IngressNote, type IngressObject, ingressNote } from './ingress.ts';
import {
  FAIRLEAD_API,
  type HostObject,
  type LoadBalancer,
  type NatGateway,
  readHost,
  readLoadBalancer,
  readNatGateway,
} from './kinds.ts';
import type { FieldPath, Manifest } from './manifests.ts';
import { isWorkload, type WorkloadObject } from './workload.ts';

/** Something that was left out, or taken to be so, and where it stands. */
export interface Problem {
  /** `file:line`, or kind and name of an object that no file holds. */
  readonly place: string;
  readonly message: string;
  /** Such a cluster cannot be: an answer about it may pass the thing over, but it is not built. */
  readonly isContradiction?: boolean;
}

/** A `ClusterProfile` as written. */
export interface ProfileDocument {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly place: (path?: FieldPath) => string;
}

/** Ordinary objects by their kinds, with what a cloud knows. */
export interface Inventory {
  readonly profiles: readonly ProfileDocument[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly balancers: readonly LoadBalancer[];
  readonly gateways: readonly NatGateway[];
  readonly hosts: readonly HostObject[];
  readonly ingresses: readonly IngressNote[];
  /** Deployments and their like: they make pods and are none. */
  readonly workloads: readonly WorkloadObject[];
  /** Where the processes of pods listen, by `namespace/name`; of those that were asked. */
  readonly sockets?: ReadonlyMap<string, readonly Listener[]>;
  readonly problems: readonly Problem[];
  readonly place: PlaceOf;
}

/** Where an object, or a field of it, stands. */
export type PlaceOf = (object: object, path?: FieldPath) => string;

/** The objects of a cluster, as its API server lists them. */
export interface ListedObjects {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  /** None where the server has no such kind. */
  readonly ingresses?: readonly IngressObject[];
  readonly workloads?: readonly WorkloadObject[];
  readonly sockets?: ReadonlyMap<string, readonly Listener[]>;
}

/** What to add to the objects of a cluster from files: profiles and what the cloud knows. */
export function inventoryOfCluster(listed: ListedObjects, manifests: Iterable<Manifest>): Inventory {
  const files = inventoryOf(manifests, 'default');
  const kinds = new Map<object, string>([
    ...listed.nodes.map((object) => [object, 'node'] as const),
    ...listed.pods.map((object) => [object, 'pod'] as const),
    ...listed.services.map((object) => [object, 'service'] as const),
    ...listed.slices.map((object) => [object, 'endpointslice'] as const),
  ]);
  const place: PlaceOf = (object, path) => {
    const kind = kinds.get(object);
    return kind === undefined ? files.place(object, path) : `${kind}/${keyOf(object as KubeObject)}`;
  };
  const ingresses = (listed.ingresses ?? []).map((object) => ingressNote(object, namespaceOf(object)));
  const { workloads = [] } = listed;
  return { ...files, ...listed, ingresses: [...files.ingresses, ...ingresses], workloads, place };
}

/**
 * Sorts manifests; kinds that decide nothing about a packet are passed over. Objects without a namespace are of `namespace`.
 * Throws {@link Fault} FE006 or FE011 that names file and line.
 */
export function inventoryOf(manifests: Iterable<Manifest>, namespace: string): Inventory {
  const sorter = new Sorter(namespace);
  for (const manifest of manifests) sorter.add(manifest);
  return sorter.inventory();
}

class Sorter {
  readonly #namespace: string;
  readonly #manifests = new Map<object, Manifest>();
  readonly #byKey = new Map<string, object>();
  readonly #problems: Problem[] = [];
  readonly #profiles: ProfileDocument[] = [];
  readonly #nodes: Node[] = [];
  readonly #pods: Pod[] = [];
  readonly #services: Service[] = [];
  readonly #slices: EndpointSlice[] = [];
  readonly #balancers: LoadBalancer[] = [];
  readonly #gateways: NatGateway[] = [];
  readonly #hosts: HostObject[] = [];
  readonly #ingresses: IngressNote[] = [];
  readonly #workloads: WorkloadObject[] = [];

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  add(manifest: Manifest): void {
    const { apiVersion, kind } = manifest.value;
    if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
      const what = `${manifest.place()}: an object without apiVersion or kind`;
      throw new Fault('FE006', what, 'write both');
    }
    if (apiVersion === FAIRLEAD_API) this.#addOwn(kind, manifest);
    else this.#addKubernetes(apiVersion, kind, manifest);
  }

  inventory(): Inventory {
    return {
      profiles: this.#profiles,
      nodes: this.#nodes,
      pods: this.#pods,
      services: this.#services,
      slices: this.#slices,
      balancers: this.#balancers,
      gateways: this.#gateways,
      hosts: this.#hosts,
      ingresses: this.#ingresses,
      workloads: this.#workloads,
      problems: this.#problems,
      place: (object, path) => this.#manifests.get(object)?.place(path) ?? 'somewhere',
    };
  }

  #addOwn(kind: string, manifest: Manifest): void {
    switch (kind) {
      case 'ClusterProfile':
        this.#profiles.push(profileDocument(manifest));
        return;
      case 'LoadBalancer':
        this.#balancers.push(this.#own(kind, readLoadBalancer(manifest), manifest));
        return;
      case 'NatGateway':
        this.#gateways.push(this.#own(kind, readNatGateway(manifest), manifest));
        return;
      case 'Host':
        this.#hosts.push(this.#own(kind, readHost(manifest), manifest));
        return;
      default:
        throw new Fault(
          'FE006',
          `${manifest.place(['kind'])}: ${FAIRLEAD_API} has no kind '${kind}'`,
          'it has ClusterProfile, LoadBalancer, NatGateway and Host',
        );
    }
  }

  #addKubernetes(apiVersion: string, kind: string, manifest: Manifest): void {
    const read = <T extends KubeObject>(resource: Resource) => this.#decode<T>(resource, manifest);
    if (kind === 'Ingress') this.#noteIngress(manifest);
    if (isWorkload(apiVersion, kind)) this.#noteWorkload(manifest.value as WorkloadObject);
    switch (`${apiVersion} ${kind}`) {
      case 'v1 Node':
        this.#nodes.push(read<Node>(RESOURCES.nodes));
        return;
      case 'v1 Pod':
        this.#pods.push(read<Pod>(RESOURCES.pods));
        return;
      case 'v1 Service':
        this.#services.push(read<Service>(RESOURCES.services));
        return;
      case 'discovery.k8s.io/v1 EndpointSlice':
        this.#slices.push(read<EndpointSlice>(RESOURCES.endpointslices));
        return;
    }
  }

  #noteWorkload(object: WorkloadObject): void {
    const namespace = namespaceOf(object) || this.#namespace;
    this.#workloads.push({ ...object, metadata: { ...object.metadata, namespace } });
  }

  #noteIngress({ value }: Manifest): void {
    this.#ingresses.push(ingressNote(value as IngressObject, this.#namespace));
  }

  #decode<T extends KubeObject>(resource: Resource, manifest: Manifest): T {
    const schema = schemaOfKind(resource);
    if (schema === undefined) throw new TypeError(`no schema for ${resource.kind}`);
    try {
      const { object, unknown } = decodeStruct(schema, manifest.value as Json);
      for (const path of unknown) {
        this.#problems.push({
          place: manifest.place(path.split(/[.[\]]+/)),
          message: `${resource.kind} has no field ${path}: passed over`,
        });
      }
      const named = object as KubeObject as T;
      const whole = resource.namespaced
        ? { ...named, metadata: { ...named.metadata, namespace: namespaceOf(named) || this.#namespace } }
        : named;
      return this.#keep(resource.kind, whole, manifest, keyOf(whole));
    } catch (error) {
      if (!(error instanceof TypeMismatch)) throw error;
      const path = /\.([\w.]+) of type/.exec(error.message)?.[1]?.split('.') ?? [];
      throw new Fault('FE006', `${manifest.place(path)}: ${error.message}`, 'correct the type');
    }
  }

  #own<T extends { readonly name: string }>(kind: string, object: T, manifest: Manifest): T {
    return this.#keep(kind, object, manifest, object.name);
  }

  /** Throws for a second object of the same kind and name. */
  #keep<T extends object>(kind: string, object: T, manifest: Manifest, name: string): T {
    if (name === '' || name.endsWith('/')) {
      throw new Fault('FE006', `${manifest.place(['metadata'])}: a ${kind} without a name`, 'name it');
    }
    const other = this.#byKey.get(`${kind} ${name}`);
    if (other !== undefined) {
      const at = this.#manifests.get(other)?.place() ?? '';
      throw new Fault(
        'FE011',
        `${manifest.place(['metadata', 'name'])}: there are two objects ${kind} ${name}; the other is at ${at}`,
        'remove one',
      );
    }
    this.#byKey.set(`${kind} ${name}`, object);
    this.#manifests.set(object, manifest);
    return object;
  }
}

function profileDocument(manifest: Manifest): ProfileDocument {
  const { metadata, spec = {} } = manifest.value;
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(spec)) throw new Fault('FE006', `${manifest.place(['spec'])}: spec is no map`, 'write a map');
  const name = isMap(metadata) && typeof metadata.name === 'string' ? metadata.name : 'default';
  return { name, spec, place: manifest.place };
}
