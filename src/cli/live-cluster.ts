import { ApiError, type KubeClient } from '../client/client.ts';
import { HttpKubeClient } from '../client/http-client.ts';
import { readKubeconfig } from '../client/kubeconfig.ts';
import { PROFILE_NOTE } from '../cluster/profile-note.ts';
import {
  type ConfigMap,
  type EndpointSlice,
  type KubeObject,
  type Node,
  nameOf,
  type Pod,
  type Service,
} from '../kube/objects.ts';
import { pathOf, RESOURCES, type Resource } from '../kube/resources.ts';
import {
  type ClusterSigns,
  type DaemonSet,
  detectProfile,
  type FieldOrigin,
  originsOf,
  specOfReadings,
} from '../world/from-objects/detect-profile.ts';
import {
  chooseProfile,
  clusterFrom,
  givenFields,
  type IngressObject,
  inventoryOfCluster,
  parseManifests,
  type WorkloadObject,
} from '../world/from-objects/from-objects.ts';
import type { Listener } from '../world/world.ts';
import type { Input, InputOptions } from './input-options.ts';

/** Of kinds that our own API server has not. */
const daemonSets: Resource = {
  ...RESOURCES.deployments,
  kind: 'DaemonSet',
  plural: 'daemonsets',
  singular: 'daemonset',
};

const ingresses: Resource = {
  ...RESOURCES.services,
  group: 'networking.k8s.io',
  kind: 'Ingress',
  plural: 'ingresses',
  singular: 'ingress',
};

/** Where network plugins and kube-proxy keep their configuration. */
const PLUGIN_NAMESPACES = ['kube-system', 'kube-flannel', 'calico-system', 'cilium'];

/** The cluster of the kubeconfig, by reads alone. How the profile was found goes to standard error. */
export async function readLiveCluster(options: InputOptions): Promise<Input> {
  const context = await readKubeconfig(options.kubeconfig, options.context);
  const client = new HttpKubeClient(context.connection);
  try {
    const [nodes, pods, services, slices, ingress, workloads, signs, own] = await Promise.all([
      client.list<Node>(RESOURCES.nodes),
      client.list<Pod>(RESOURCES.pods),
      client.list<Service>(RESOURCES.services),
      client.list<EndpointSlice>(RESOURCES.endpointslices),
      listIfThere<IngressObject>(client, ingresses),
      readWorkloads(client),
      readSigns(client),
      configMap(client, PROFILE_NOTE.name),
    ]);
    const written = own?.data?.[PROFILE_NOTE.key];
    const manifests = written === undefined ? [] : parseManifests(`configmap/${PROFILE_NOTE.name}`, written);
    // A cluster of ours says itself what it is, and where its pods listen; any other kubelet knows of no such thing.
    const sockets = written === undefined ? undefined : await readSockets(client, nodes.items);
    const inventory = inventoryOfCluster(
      {
        nodes: nodes.items,
        pods: pods.items,
        services: services.items,
        slices: slices.items,
        ingresses: ingress,
        workloads,
        ...(sockets === undefined ? {} : { sockets }),
      },
      manifests,
    );
    const readings = detectProfile({ ...signs, nodes: nodes.items, pods: pods.items });
    const profile = chooseProfile(inventory, { ...options, detected: specOfReadings(readings) });
    const origins = originsOf(profile, readings, givenFields(inventory, options));
    if (written === undefined) tell(origins);
    const namespace = options.namespace ?? context.namespace;
    return { cluster: clusterFrom(inventory, profile), inventory, namespace, origins };
  } finally {
    await client.close();
  }
}

/** Where the processes of pods listen, by `namespace/name`; what a node does not tell goes to standard error. */
async function readSockets(
  client: KubeClient,
  nodes: readonly Node[],
): Promise<ReadonlyMap<string, readonly Listener[]>> {
  const { listenersIn } = await import('../world/from-nodes/sockets.ts');
  const told = nodes.map(async (node) => {
    const path = `${pathOf(RESOURCES.nodes, undefined, nameOf(node), 'proxy')}/sockets`;
    try {
      return Object.entries(await client.request<Record<string, string>>('GET', path));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      process.stderr.write(`node/${nameOf(node)}: where its pods listen is not known: ${error.message}\n`);
      return [];
    }
  });
  return new Map(
    (await Promise.all(told)).flat().map(([pod, text]) => {
      const lines = text.split('\n').filter((line) => line !== '');
      return [pod, listenersIn(lines.map((line) => ({ line, place: `pod/${pod}` })))];
    }),
  );
}

function tell(origins: readonly FieldOrigin[]): void {
  for (const { field, value, how, from } of origins) {
    process.stderr.write(`${how} ${field} ${value}: ${from}\n`);
  }
}

/** What pods belong to; a server's list leaves out the kind of its items. */
async function readWorkloads(client: KubeClient): Promise<WorkloadObject[]> {
  const { deployments, statefulsets, replicasets } = RESOURCES;
  const lists = [deployments, statefulsets, replicasets, daemonSets].map(async (resource) => {
    const items = await listIfThere<WorkloadObject>(client, resource);
    return items.map((item) => ({ ...item, kind: resource.kind }));
  });
  return (await Promise.all(lists)).flat();
}

async function readSigns(client: KubeClient): Promise<Omit<ClusterSigns, 'nodes' | 'pods'>> {
  const [version, sets, ...maps] = await Promise.all([
    client.request<{ gitVersion: string }>('GET', '/version'),
    listIfThere<DaemonSet>(client, daemonSets),
    ...PLUGIN_NAMESPACES.map((namespace) => listIfThere<ConfigMap>(client, RESOURCES.configmaps, namespace)),
  ]);
  return { gitVersion: version.gitVersion, daemonSets: sets, configMaps: maps.flat() };
}

/** Nothing where the server has no such kind, or the reader may not see it. */
async function listIfThere<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  namespace?: string,
): Promise<readonly T[]> {
  const options = namespace === undefined ? {} : { namespace };
  return (await ifThere(() => client.list<T>(resource, options)))?.items ?? [];
}

async function ifThere<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiError && (error.code === 404 || error.code === 403)) return undefined;
    throw error;
  }
}

/** One of kube-system, if it is there and may be read. */
const configMap = (client: KubeClient, name: string): Promise<ConfigMap | undefined> =>
  ifThere(() => client.get<ConfigMap>(RESOURCES.configmaps, name, PROFILE_NOTE.namespace));
