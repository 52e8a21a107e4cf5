import { ApiError, type KubeClient } from '../client/client.ts';
import { HttpKubeClient } from '../client/http-client.ts';
import { readKubeconfig } from '../client/kubeconfig.ts';
import { PROFILE_NOTE } from '../cluster/profile-note.ts';
import type { ConfigMap, EndpointSlice, Node, Pod, Service } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { detectProfile } from '../world/from-objects/detect-profile.ts';
import {
  chooseProfile,
  clusterFrom,
  inventoryOfCluster,
  parseManifests,
} from '../world/from-objects/from-objects.ts';
import type { Input, InputOptions } from './input-options.ts';

/** The cluster of the kubeconfig, by reads alone. How the profile was found goes to standard error. */
export async function readLiveCluster(options: InputOptions): Promise<Input> {
  const context = await readKubeconfig(options.kubeconfig, options.context);
  const client = new HttpKubeClient(context.connection);
  try {
    const [nodes, pods, services, slices, version, kubeProxy, own] = await Promise.all([
      client.list<Node>(RESOURCES.nodes),
      client.list<Pod>(RESOURCES.pods),
      client.list<Service>(RESOURCES.services),
      client.list<EndpointSlice>(RESOURCES.endpointslices),
      client.request<{ gitVersion: string }>('GET', '/version'),
      configMap(client, 'kube-proxy'),
      configMap(client, PROFILE_NOTE.name),
    ]);
    const written = own?.data?.[PROFILE_NOTE.key];
    const manifests = written === undefined ? [] : parseManifests(`configmap/${PROFILE_NOTE.name}`, written);
    const inventory = inventoryOfCluster(
      { nodes: nodes.items, pods: pods.items, services: services.items, slices: slices.items },
      manifests,
    );
    const detected = detectProfile({
      gitVersion: version.gitVersion,
      nodes: nodes.items,
      systemPods: pods.items.filter(({ metadata }) => metadata?.namespace === 'kube-system'),
      ...(kubeProxy === undefined ? {} : { kubeProxy }),
    });
    const profile = chooseProfile(inventory, { ...options, detected: detected.spec });
    if (written === undefined) for (const sign of detected.signs) process.stderr.write(`assumed ${sign}\n`);
    const namespace = options.namespace ?? context.namespace;
    return { cluster: clusterFrom(inventory, profile), inventory, namespace };
  } finally {
    await client.close();
  }
}

/** One of kube-system, if it is there and may be read. */
async function configMap(client: KubeClient, name: string): Promise<ConfigMap | undefined> {
  try {
    return await client.get<ConfigMap>(RESOURCES.configmaps, name, PROFILE_NOTE.namespace);
  } catch (error) {
    if (error instanceof ApiError && (error.code === 404 || error.code === 403)) return undefined;
    throw error;
  }
}
