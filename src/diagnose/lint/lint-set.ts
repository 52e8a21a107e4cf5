import { Fault } from '../../fault/fault.ts';
import type { Node, ObjectMeta, Pod, PodSpec, Service } from '../../kube/objects.ts';
import { nameOf } from '../../kube/objects.ts';
import { isFinished, isReady } from '../../kube/pod-state.ts';
import { decodeStruct, TypeMismatch } from '../../kube/schema/decode.ts';
import type { JsonObject } from '../../kube/schema/json.ts';
import { parseApiVersion, schemaOfKind } from '../../kube/schema/model.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import type { FieldPath, Manifest } from '../../world/from-objects/manifests.ts';
import type { ClusterProfile } from '../../world/profile.ts';

/** An object and the manifest it was read from. */
export interface Linted<T> {
  readonly object: T;
  readonly manifest: Manifest;
}

/** What makes pods: a pod itself, or the template of a workload. */
export interface PodSource {
  readonly what: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec | undefined;
  readonly manifest: Manifest;
  /** Of a pod that is placed. */
  readonly nodeName?: string;
  /** Undefined where the manifest does not say: a template, or a pod without a status. */
  readonly ready?: boolean;
  /** How many pods a template makes at most; undefined for one a node (DaemonSet). */
  readonly replicas?: number;
}

/** The manifests of one run, by what the rules ask of them. Namespaces that are left out are `default`. */
export class LintSet {
  readonly profile: ClusterProfile | undefined;
  /** The document the profile was read from, if it was one. */
  readonly profileManifest: Manifest | undefined;
  readonly services: readonly Linted<Service>[];
  readonly nodes: readonly Node[];
  readonly pods: readonly PodSource[];
  readonly ingresses: readonly Linted<{ readonly metadata?: ObjectMeta }>[];

  /** Throws {@link Fault} FE006 that names file and line of a value of the wrong type. */
  constructor(written: readonly Manifest[], profile?: ClusterProfile) {
    const manifests = written.map(typed);
    const of = <T>(kind: string, api: RegExp = CORE): Linted<T>[] =>
      manifests
        .filter(({ value }) => value.kind === kind && api.test(String(value.apiVersion)))
        .map((manifest) => ({ manifest, object: manifest.value as T }));
    this.profile = profile;
    this.profileManifest = manifests.find(({ value }) => value.kind === 'ClusterProfile');
    this.services = of<Service>('Service');
    this.nodes = of<Node>('Node').map(({ object }) => object);
    this.ingresses = of('Ingress', INGRESSES);
    this.pods = manifests.flatMap(podSourceOf).filter((pod) => pod !== undefined);
  }

  /** Undefined where the Service selects nothing by its nature, or no manifest could be what it selects. */
  podsOf({ object }: Linted<Service>): readonly PodSource[] | undefined {
    if (!hasSelector(object) || this.pods.length === 0) return undefined;
    const namespace = namespaceOr(object.metadata);
    const selector = Object.entries(object.spec?.selector ?? {});
    return this.pods.filter(
      (pod) => pod.namespace === namespace && selector.every(([key, value]) => pod.labels[key] === value),
    );
  }

  /** How many ready pods each node runs; undefined unless nodes are given and every selected pod is placed. */
  readyByNode(service: Linted<Service>): ReadonlyMap<string, number> | undefined {
    const pods = this.podsOf(service);
    if (pods === undefined || pods.length === 0 || this.nodes.length === 0) return undefined;
    const counts = new Map(this.nodes.map((node) => [nameOf(node), 0]));
    for (const { nodeName, ready } of pods) {
      if (nodeName === undefined) return undefined;
      if (ready !== false) counts.set(nodeName, (counts.get(nodeName) ?? 0) + 1);
    }
    return counts;
  }
}

/** How many nodes can run a pod of these at most; undefined where one runs on every node, or nothing limits them. */
export function mostNodes(pods: readonly PodSource[]): number | undefined {
  const counts = pods.map(({ nodeName, replicas }) => (nodeName === undefined ? replicas : 1));
  return counts.reduce<number | undefined>(
    (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
    0,
  );
}

export const namespaceOr = (metadata: ObjectMeta | undefined): string => metadata?.namespace || 'default';

export const serviceName = ({ object }: Linted<{ readonly metadata?: ObjectMeta }>): string =>
  `${namespaceOr(object.metadata)}/${object.metadata?.name ?? ''}`;

export const annotationOf = (
  { object }: Linted<{ readonly metadata?: ObjectMeta }>,
  key: string,
): string | undefined => object.metadata?.annotations?.[key];

/** Where an annotation stands. */
export const annotationPath = (key: string): FieldPath => ['metadata', 'annotations', key];

/** Other groups have kinds of the same names: Knative's Service is none of ours. */
const CORE = /^v1$/;
const INGRESSES = /^(networking\.k8s\.io|extensions)\//;
const WORKLOADS = /^(apps|batch)\//;

/** The manifest with a value of the shape its kind has; kinds we have no schema of stay as they are. */
function typed(manifest: Manifest): Manifest {
  const { apiVersion, kind } = manifest.value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return manifest;
  const schema = schemaOfKind({ ...parseApiVersion(apiVersion), kind });
  if (schema === undefined) return manifest;
  try {
    const { object } = decodeStruct(schema, manifest.value as JsonObject);
    return { ...manifest, value: { ...object, apiVersion, kind } };
  } catch (error) {
    if (!(error instanceof TypeMismatch)) throw error;
    const path = /\.([\w.]+) of type/.exec(error.message)?.[1]?.split('.') ?? [];
    throw new Fault('FE006', `${manifest.place(path)}: ${error.message}`, 'correct the type', {
      cause: error,
    });
  }
}

const TEMPLATED = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job']);

interface Templated {
  readonly metadata?: ObjectMeta;
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: ObjectMeta; readonly spec?: PodSpec };
  };
}

function podSourceOf(manifest: Manifest): PodSource | undefined {
  const { apiVersion, kind } = manifest.value;
  if (kind === 'Pod' && apiVersion === 'v1') return podItself(manifest.value as Pod, manifest);
  if (!TEMPLATED.has(String(kind)) || !WORKLOADS.test(String(apiVersion))) return undefined;
  const { metadata, spec } = manifest.value as Templated;
  return {
    what: `${String(kind)} ${namespaceOr(metadata)}/${metadata?.name ?? ''}`,
    namespace: namespaceOr(metadata),
    labels: spec?.template?.metadata?.labels ?? {},
    spec: spec?.template?.spec,
    manifest,
    ...(kind === 'DaemonSet' ? {} : { replicas: spec?.replicas ?? 1 }),
  };
}

function podItself(pod: Pod, manifest: Manifest): PodSource | undefined {
  if (isFinished(pod)) return undefined;
  const { metadata, spec, status } = pod;
  return {
    what: `Pod ${namespaceOr(metadata)}/${metadata?.name ?? ''}`,
    namespace: namespaceOr(metadata),
    labels: metadata?.labels ?? {},
    spec,
    manifest,
    ...(spec?.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
    ...(status?.conditions === undefined ? {} : { ready: isReady(pod) }),
  };
}
