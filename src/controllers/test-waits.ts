/** Objects and waits that the whole-room tests share. */
import type { Informer } from '../client/client.ts';
import type {
  Deployment,
  EndpointSlice,
  Endpoints,
  KubeObject,
  Namespace,
  Pod,
  ReplicaSet,
  Service,
} from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { isDeleting } from './metadata.ts';
import { startTestCluster, type TestCluster, type TestClusterOptions } from './test-cluster.ts';

/** A test cluster with the nodes n1, n2 and n3. */
export async function startThreeNodes(
  options?: TestClusterOptions,
): Promise<{ cluster: TestCluster; waits: Waits }> {
  const cluster = await startTestCluster(options);
  await Promise.all(['n1', 'n2', 'n3'].map((name) => cluster.addNode(name)));
  return { cluster, waits: waitsOf(cluster) };
}

export const inNamespace = <T extends KubeObject>(informer: Informer<T>, namespace: string): T[] =>
  [...informer.values()].filter(({ metadata }) => metadata?.namespace === namespace);

export const template = (labels: Record<string, string>, image = 'nginx') => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image, ports: [{ name: 'http', containerPort: 80 }] }] },
});

export const deployment = (
  namespace: string,
  name: string,
  spec: Partial<Deployment['spec']> = {},
): Deployment => ({
  metadata: { name, namespace },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: name } },
    template: template({ app: name }),
    ...spec,
  },
});

export const service = (namespace: string, name: string, spec: Service['spec'] = {}): Service => ({
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ port: 8080, targetPort: 80 }], ...spec },
});

export const progressing = (one: Deployment) =>
  one.status?.conditions?.find(({ type }) => type === 'Progressing');
export const isComplete =
  (replicas: number) => (status: NonNullable<Deployment['status']>, one: Deployment) =>
    status.updatedReplicas === replicas &&
    status.availableReplicas === replicas &&
    status.replicas === replicas &&
    progressing(one)?.reason === 'NewReplicaSetAvailable';

export type Waits = ReturnType<typeof waitsOf>;

/** What tests await of a cluster; each wait is bounded and says what it waited for. */
function waitsOf(cluster: TestCluster) {
  async function newNamespace(name: string): Promise<string> {
    await cluster.client.create<Namespace>(RESOURCES.namespaces, { metadata: { name } });
    return name;
  }

  const untilPods = (namespace: string, what: string, test: (pods: Pod[]) => boolean): Promise<Pod[]> =>
    cluster.until<Pod, Pod[]>(RESOURCES.pods, what, (informer) => {
      const pods = inNamespace(informer, namespace);
      return test(pods) ? pods : undefined;
    });

  const untilDeployment = (
    namespace: string,
    what: string,
    test: (one: NonNullable<Deployment['status']>, whole: Deployment) => boolean,
  ): Promise<Deployment> =>
    cluster.until<Deployment, Deployment>(RESOURCES.deployments, what, (informer) =>
      inNamespace(informer, namespace).find(
        (one) => one.status?.observedGeneration === one.metadata?.generation && test(one.status ?? {}, one),
      ),
    );

  const setsOf = (namespace: string) =>
    cluster.until<ReplicaSet, ReplicaSet[]>(RESOURCES.replicasets, 'ReplicaSets', (informer) =>
      inNamespace(informer, namespace),
    );

  /** Counts from now on how many pods that are not being deleted the namespace has had at once. */
  async function mostPods(namespace: string): Promise<() => number> {
    let most = 0;
    await cluster.until<Pod, true>(RESOURCES.pods, 'a first look', (informer) => {
      informer.subscribe({
        added: () => {
          const living = inNamespace(informer, namespace).filter((pod) => !isDeleting(pod));
          most = Math.max(most, living.length);
        },
      });
      return true;
    });
    return () => most;
  }

  const untilSlice = (
    namespace: string,
    what: string,
    test: (slice: EndpointSlice) => boolean,
  ): Promise<EndpointSlice> =>
    cluster.until<EndpointSlice, EndpointSlice>(RESOURCES.endpointslices, what, (informer) =>
      inNamespace(informer, namespace).find(test),
    );

  const untilEndpoints = (
    namespace: string,
    what: string,
    test: (one: Endpoints) => boolean,
  ): Promise<Endpoints> =>
    cluster.until<Endpoints, Endpoints>(RESOURCES.endpoints, what, (informer) =>
      inNamespace(informer, namespace).find(test),
    );

  return { newNamespace, untilPods, untilDeployment, setsOf, mostPods, untilSlice, untilEndpoints };
}
