import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError, type Informer } from '../client/client.ts';
import type {
  ConfigMap,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  KubeObject,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
} from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { isDeleting, nameOf } from './metadata.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
/** Names of pods that never become ready. */
const stuck = new Set<string>();

beforeAll(async () => {
  const becomesReady = (pod: Pod) => !stuck.has(pod.spec?.containers[0]?.image ?? '');
  cluster = await startTestCluster({ becomesReady });
  await Promise.all(['n1', 'n2', 'n3'].map((name) => cluster.addNode(name)));
}, 30_000);

afterAll(async () => {
  await cluster.stop();
  expect(cluster.errors).toEqual([]);
});

const inNamespace = <T extends KubeObject>(informer: Informer<T>, namespace: string): T[] =>
  [...informer.values()].filter(({ metadata }) => metadata?.namespace === namespace);

async function newNamespace(name: string): Promise<string> {
  await cluster.client.create<Namespace>(RESOURCES.namespaces, { metadata: { name } });
  return name;
}

const template = (labels: Record<string, string>, image = 'nginx') => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image, ports: [{ name: 'http', containerPort: 80 }] }] },
});

const deployment = (namespace: string, name: string, spec: Partial<Deployment['spec']> = {}): Deployment => ({
  metadata: { name, namespace },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: name } },
    template: template({ app: name }),
    ...spec,
  },
});

const service = (namespace: string, name: string, spec: Service['spec'] = {}): Service => ({
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ port: 8080, targetPort: 80 }], ...spec },
});

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

const progressing = (one: Deployment) => one.status?.conditions?.find(({ type }) => type === 'Progressing');
const isComplete = (replicas: number) => (status: NonNullable<Deployment['status']>, one: Deployment) =>
  status.updatedReplicas === replicas &&
  status.availableReplicas === replicas &&
  status.replicas === replicas &&
  progressing(one)?.reason === 'NewReplicaSetAvailable';

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

describe('a Deployment', () => {
  it('runs its pods, spread over the nodes', async () => {
    const namespace = await newNamespace('deploy');
    await cluster.client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const done = await untilDeployment(namespace, 'three available pods', isComplete(3));
    expect(done.metadata?.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
    const pods = await untilPods(namespace, 'three pods', (all) => all.length === 3);
    expect(new Set(pods.map((pod) => pod.spec?.nodeName))).toEqual(new Set(['n1', 'n2', 'n3']));
    const hash = pods[0]?.metadata?.labels?.['pod-template-hash'];
    expect(pods.every((pod) => nameOf(pod).startsWith(`web-${hash}-`))).toBe(true);
  });

  it('replaces its pods without ever having fewer available than it may, and can go back', async () => {
    const namespace = await newNamespace('rollout');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await untilDeployment(namespace, 'the first rollout', isComplete(3));
    let fewest = 3;
    let most = 3;
    const watching = new AbortController();
    await cluster.until<Pod, true>(RESOURCES.pods, 'a first look', (informer) => {
      informer.subscribe({
        updated: () => {
          if (watching.signal.aborted) return;
          const living = inNamespace(informer, namespace).filter((pod) => !isDeleting(pod));
          fewest = Math.min(fewest, living.filter((pod) => pod.status?.phase === 'Running').length);
          most = Math.max(most, living.length);
        },
      });
      return true;
    });
    const key = { name: 'web', namespace };
    const change = (image: string) =>
      client.patch(RESOURCES.deployments, key, 'strategic', {
        spec: { template: template({ app: 'web' }, image) },
      });
    await change('nginx:2');
    await untilDeployment(namespace, 'the second rollout', (status, one) => {
      const revision = one.metadata?.annotations?.['deployment.kubernetes.io/revision'];
      return revision === '2' && isComplete(3)(status, one);
    });
    watching.abort();
    expect({ fewest, most }).toEqual({ fewest: 3, most: 4 });
    await change('nginx');
    await untilDeployment(namespace, 'the way back', (status, one) => {
      const revision = one.metadata?.annotations?.['deployment.kubernetes.io/revision'];
      return revision === '3' && isComplete(3)(status, one);
    });
    const sets = await setsOf(namespace);
    expect(
      sets.map((set) => set.metadata?.annotations?.['deployment.kubernetes.io/revision']).toSorted(),
    ).toEqual(['2', '3']);
  });

  it('ends up the same when the controllers die in the middle, and never has a pod too many', async () => {
    const namespace = await newNamespace('restart');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    const most = await mostPods(namespace);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 60 }));
    for (const count of [10, 30]) {
      await untilPods(namespace, `${count} pods`, (pods) => pods.length >= count);
      await cluster.restartControllers();
    }
    await untilDeployment(namespace, 'sixty pods', isComplete(60));
    await untilSlice(namespace, 'sixty endpoints', ({ endpoints }) => endpoints?.length === 60);
    const { items } = await client.list<EndpointSlice>(RESOURCES.endpointslices, { namespace });
    expect(items).toHaveLength(1);
    expect(most()).toBe(60);
  }, 60_000);

  it('of many pods has as many slices as it must', async () => {
    const namespace = await newNamespace('many');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    const most = await mostPods(namespace);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 130 }));
    await untilDeployment(namespace, '130 pods', isComplete(130));
    const sizes = await cluster.until<EndpointSlice, number[]>(
      RESOURCES.endpointslices,
      '130 endpoints',
      (informer) => {
        const all = inNamespace(informer, namespace).map(({ endpoints }) => endpoints?.length ?? 0);
        return all.reduce((sum, size) => sum + size, 0) === 130 ? all : undefined;
      },
    );
    expect(sizes).toHaveLength(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    expect(most()).toBe(130);
    await client.delete(
      RESOURCES.deployments,
      { name: 'web', namespace },
      { propagationPolicy: 'Background' },
    );
    await untilPods(namespace, 'no pods', (pods) => pods.length === 0);
  }, 60_000);

  it('scales, pauses and resumes', async () => {
    const namespace = await newNamespace('scale');
    const { client } = cluster;
    const key = { name: 'web', namespace };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 1 }));
    await untilDeployment(namespace, 'one pod', isComplete(1));
    await client.patch(RESOURCES.deployments, key, 'merge', { spec: { replicas: 5 } }, 'scale');
    await untilDeployment(namespace, 'five pods', isComplete(5));
    const body = { spec: { paused: true, template: template({ app: 'web' }, 'nginx:2') } };
    await client.patch(RESOURCES.deployments, key, 'strategic', body);
    await untilDeployment(
      namespace,
      'the pause',
      (_status, one) => progressing(one)?.reason === 'DeploymentPaused',
    );
    expect(await setsOf(namespace)).toHaveLength(1);
    await client.patch(RESOURCES.deployments, key, 'merge', { spec: { paused: false, replicas: 2 } });
    await untilDeployment(namespace, 'the new pods', isComplete(2));
    expect(await setsOf(namespace)).toHaveLength(2);
  });

  it('with Recreate has no pods of two templates at once', async () => {
    const namespace = await newNamespace('recreate');
    const { client } = cluster;
    const spec = { strategy: { type: 'Recreate' } };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', spec));
    await untilDeployment(namespace, 'the first pods', isComplete(3));
    let mixed = false;
    await cluster.until<Pod, true>(RESOURCES.pods, 'a first look', (informer) => {
      informer.subscribe({
        added: () => {
          const images = inNamespace(informer, namespace).map((pod) => pod.spec?.containers[0]?.image);
          if (new Set(images).size > 1) mixed = true;
        },
      });
      return true;
    });
    const body = { spec: { template: template({ app: 'web' }, 'nginx:2') } };
    await client.patch(RESOURCES.deployments, { name: 'web', namespace }, 'strategic', body);
    await untilPods(
      namespace,
      'new pods',
      (pods) => pods.length === 3 && pods.every((pod) => pod.spec?.containers[0]?.image === 'nginx:2'),
    );
    expect(mixed).toBe(false);
  });

  it('says when it makes no progress', async () => {
    const namespace = await newNamespace('deadline');
    stuck.add('never');
    const spec = { progressDeadlineSeconds: 1, template: template({ app: 'web' }, 'never') };
    await cluster.client.create(RESOURCES.deployments, deployment(namespace, 'web', spec));
    const late = await untilDeployment(
      namespace,
      'the deadline',
      (_status, one) => progressing(one)?.status === 'False',
    );
    expect(progressing(late)?.reason).toBe('ProgressDeadlineExceeded');
    expect(progressing(late)?.message).toMatch(/^ReplicaSet "web-\w+" has timed out progressing\.$/);
  });

  it('lets a pod go whose labels change, and takes it in again', async () => {
    const namespace = await newNamespace('release');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const pods = await untilPods(namespace, 'three pods', (all) => all.length === 3);
    const [pod] = pods;
    if (pod === undefined) throw new Error('no pod');
    const key = { name: nameOf(pod), namespace };
    await client.patch(RESOURCES.pods, key, 'merge', { metadata: { labels: { app: 'debug' } } });
    await untilPods(
      namespace,
      'a fourth pod',
      (all) => all.length === 4 && all.some((one) => !one.metadata?.ownerReferences?.length),
    );
    await client.patch(RESOURCES.pods, key, 'merge', { metadata: { labels: { app: 'web' } } });
    await untilPods(
      namespace,
      'three pods again',
      (all) => all.length === 3 && all.every((one) => one.metadata?.ownerReferences?.length === 1),
    );
  });

  it('is deleted with all it owns', async () => {
    const namespace = await newNamespace('collect');
    const { client } = cluster;
    const key = { name: 'web', namespace };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await untilDeployment(namespace, 'its pods', isComplete(3));
    await client.delete(RESOURCES.deployments, key, { propagationPolicy: 'Foreground' });
    await cluster.until<Deployment, true>(RESOURCES.deployments, 'the Deployment to be gone', (informer) =>
      inNamespace(informer, namespace).length === 0 ? true : undefined,
    );
    const { items } = await client.list(RESOURCES.pods, { namespace });
    expect(items).toEqual([]);
  });

  it('leaves its pods behind when it is told to', async () => {
    const namespace = await newNamespace('orphans');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await untilDeployment(namespace, 'its pods', isComplete(3));
    await client.delete(RESOURCES.deployments, { name: 'web', namespace }, { propagationPolicy: 'Orphan' });
    const set = await cluster.until<ReplicaSet, ReplicaSet>(
      RESOURCES.replicasets,
      'an ownerless ReplicaSet',
      (informer) =>
        inNamespace(informer, namespace).find((one) => (one.metadata?.ownerReferences ?? []).length === 0),
    );
    expect(set.status?.replicas).toBe(3);
  });
});

const statefulSet = (namespace: string, spec: Partial<StatefulSet['spec']> = {}): StatefulSet => ({
  metadata: { name: 'db', namespace },
  spec: {
    serviceName: 'db',
    replicas: 3,
    selector: { matchLabels: { app: 'db' } },
    template: template({ app: 'db' }),
    ...spec,
  },
});

describe('a StatefulSet', () => {
  it('makes its pods in order, with names of their own, and updates down to the partition', async () => {
    const namespace = await newNamespace('stateful');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'db', { clusterIP: 'None' }));
    await client.create(RESOURCES.statefulsets, statefulSet(namespace));
    const untilStatus = (what: string, test: (status: NonNullable<StatefulSet['status']>) => boolean) =>
      cluster.until<StatefulSet, StatefulSet>(RESOURCES.statefulsets, what, (informer) =>
        inNamespace(informer, namespace).find(({ status }) => status !== undefined && test(status)),
      );
    await untilStatus('three ready pods', ({ readyReplicas }) => readyReplicas === 3);
    const pods = await untilPods(namespace, 'three pods', (all) => all.length === 3);
    const byName = pods.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    expect(byName.map((pod) => [nameOf(pod), pod.spec?.hostname, pod.spec?.subdomain])).toEqual(
      [0, 1, 2].map((ordinal) => [`db-${ordinal}`, `db-${ordinal}`, 'db']),
    );
    const revisions = byName.map((pod) => Number(pod.metadata?.resourceVersion));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    const slice = await untilSlice(namespace, 'three names', (one) => one.endpoints.length === 3);
    expect(slice.endpoints.map(({ hostname }) => hostname).toSorted()).toEqual(['db-0', 'db-1', 'db-2']);
    const body = {
      spec: {
        template: template({ app: 'db' }, 'nginx:2'),
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
      },
    };
    await client.patch(RESOURCES.statefulsets, { name: 'db', namespace }, 'strategic', body);
    await untilPods(namespace, 'db-2 anew', (all) =>
      all.some(
        (pod) =>
          nameOf(pod) === 'db-2' &&
          pod.spec?.containers[0]?.image === 'nginx:2' &&
          pod.status?.phase === 'Running',
      ),
    );
    const images = (await client.list<Pod>(RESOURCES.pods, { namespace })).items.map(
      (pod) => pod.spec?.containers[0]?.image,
    );
    expect(images.toSorted()).toEqual(['nginx', 'nginx', 'nginx:2']);
    const gone = pods.find((pod) => nameOf(pod) === 'db-0')?.metadata?.uid;
    await client.delete(RESOURCES.pods, { name: 'db-0', namespace });
    const again = await untilPods(namespace, 'db-0 anew', (all) =>
      all.some(
        (pod) => nameOf(pod) === 'db-0' && pod.metadata?.uid !== gone && pod.status?.phase === 'Running',
      ),
    );
    const first = again.find((pod) => nameOf(pod) === 'db-0');
    expect(first?.spec?.containers[0]?.image).toBe('nginx');
    await client.patch(RESOURCES.statefulsets, { name: 'db', namespace }, 'merge', {
      spec: { updateStrategy: { rollingUpdate: { partition: 0 } }, replicas: 2 },
    });
    const done = await untilStatus(
      'the update of the two that stay',
      (status) => status.updatedReplicas === 2 && status.readyReplicas === 2 && status.replicas === 2,
    );
    expect(done.status?.currentRevision).toBe(done.status?.updateRevision);
  });

  it('with Parallel makes all its pods at once', async () => {
    const namespace = await newNamespace('parallel');
    stuck.add('slow');
    const spec = { podManagementPolicy: 'Parallel', template: template({ app: 'db' }, 'slow') };
    await cluster.client.create(RESOURCES.statefulsets, statefulSet(namespace, spec));
    await untilPods(namespace, 'three pods though none is ready', (pods) => pods.length === 3);
  });
});

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

describe('a Service', () => {
  it('has the addresses of its ready pods, with where they are', async () => {
    const namespace = await newNamespace('slices');
    const { client } = cluster;
    await client.create(
      RESOURCES.services,
      service(namespace, 'web', { ports: [{ port: 8080, targetPort: 'http' }] }),
    );
    await untilSlice(namespace, 'an empty slice', (slice) => (slice.endpoints ?? []).length === 0);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const slice = await untilSlice(
      namespace,
      'three ready endpoints',
      (one) => one.endpoints?.filter(({ conditions }) => conditions?.ready).length === 3,
    );
    expect(slice.metadata?.labels).toEqual({
      'kubernetes.io/service-name': 'web',
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    });
    expect(slice.addressType).toBe('IPv4');
    expect(slice.ports).toEqual([{ name: '', port: 80, protocol: 'TCP' }]);
    expect(slice.metadata?.ownerReferences?.[0]).toMatchObject({
      kind: 'Service',
      name: 'web',
      controller: true,
    });
    const [endpoint] = slice.endpoints;
    expect(endpoint?.conditions).toEqual({ ready: true, serving: true, terminating: false });
    expect(endpoint?.zone).toBe(`zone-${endpoint?.nodeName}`);
    const legacy = await untilEndpoints(
      namespace,
      'three addresses',
      (one) => one.subsets?.[0]?.addresses?.length === 3,
    );
    const addresses = legacy.subsets?.[0]?.addresses?.map(({ ip }) => ip);
    expect(addresses).toEqual(addresses?.toSorted());
    expect(legacy.subsets?.[0]?.ports).toEqual([{ port: 80, protocol: 'TCP' }]);
  });

  it('writes its slice no more than it has to', async () => {
    const { items } = await cluster.client.list<EndpointSlice>(RESOURCES.endpointslices, {
      namespace: 'slices',
    });
    const legacy = await cluster.client.list<Endpoints>(RESOURCES.endpoints, { namespace: 'slices' });
    expect(items).toHaveLength(1);
    // A status update that changes nothing about the endpoints.
    const pods = await cluster.client.list<Pod>(RESOURCES.pods, { namespace: 'slices' });
    const [pod] = pods.items;
    const key = { name: pod === undefined ? '' : nameOf(pod), namespace: 'slices' };
    await cluster.client.patch(RESOURCES.pods, key, 'merge', { metadata: { annotations: { a: 'b' } } });
    await untilPods('slices', 'the annotation', (all) =>
      all.some(({ metadata }) => metadata?.annotations?.a === 'b'),
    );
    const after = await cluster.client.list<EndpointSlice>(RESOURCES.endpointslices, { namespace: 'slices' });
    expect(after.items[0]?.metadata?.resourceVersion).toBe(items[0]?.metadata?.resourceVersion);
    const legacyAfter = await cluster.client.list<Endpoints>(RESOURCES.endpoints, { namespace: 'slices' });
    expect(legacyAfter.items[0]?.metadata?.resourceVersion).toBe(legacy.items[0]?.metadata?.resourceVersion);
  });

  it('takes a deleted pod out at once', async () => {
    const namespace = 'slices';
    const { client } = cluster;
    const took: number[] = [];
    for (let round = 0; round < 20; round++) {
      const pods = await untilPods(
        namespace,
        'three running pods',
        (all) => all.length === 3 && all.every((one) => one.status?.phase === 'Running' && !isDeleting(one)),
      );
      const name = nameOf(pods[round % 3] ?? {});
      await untilSlice(namespace, `${name} to be ready`, (slice) =>
        slice.endpoints.some((one) => one.targetRef?.name === name && one.conditions?.ready === true),
      );
      const start = performance.now();
      const out = untilSlice(
        namespace,
        `${name} to be out`,
        (slice) =>
          !slice.endpoints.some((one) => one.targetRef?.name === name && one.conditions?.ready === true),
      );
      await client.delete(RESOURCES.pods, { name, namespace });
      await out;
      took.push(performance.now() - start);
    }
    const worst = Math.max(...took);
    console.info(
      `pod deleted -> slice written and seen: median ${median(took).toFixed(1)} ms, worst ${worst.toFixed(1)} ms`,
    );
    expect(median(took)).toBeLessThan(100);
  });

  it('without a selector is served from Endpoints written by hand', async () => {
    const namespace = await newNamespace('manual');
    const { client } = cluster;
    await client.create(RESOURCES.services, {
      metadata: { name: 'ext', namespace },
      spec: { ports: [{ port: 80 }] },
    } as Service);
    await client.create<Endpoints>(RESOURCES.endpoints, {
      metadata: { name: 'ext', namespace },
      subsets: [
        {
          addresses: [{ ip: '192.0.2.1' }],
          notReadyAddresses: [{ ip: '192.0.2.2' }],
          ports: [{ port: 8080 }],
        },
      ],
    });
    const slice = await untilSlice(namespace, 'a mirror', (one) => one.endpoints?.length === 2);
    expect(slice.endpoints.map(({ addresses, conditions }) => [addresses[0], conditions?.ready])).toEqual([
      ['192.0.2.1', true],
      ['192.0.2.2', false],
    ]);
    await client.delete(RESOURCES.endpoints, { name: 'ext', namespace });
    await cluster.until<EndpointSlice, true>(RESOURCES.endpointslices, 'the mirror to be gone', (informer) =>
      inNamespace(informer, namespace).length === 0 ? true : undefined,
    );
  });

  it('takes its slices and Endpoints with it', async () => {
    const namespace = await newNamespace('service-gone');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    await untilSlice(namespace, 'a slice', () => true);
    await untilEndpoints(namespace, 'Endpoints', () => true);
    await client.delete(RESOURCES.services, { name: 'web', namespace });
    for (const resource of [RESOURCES.endpointslices, RESOURCES.endpoints]) {
      await cluster.until(resource, `${resource.plural} to be gone`, (informer) =>
        inNamespace(informer, namespace).length === 0 ? true : undefined,
      );
    }
  });
});

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

describe('the scheduler', () => {
  it('says why a pod waits, and places it when a node fits', async () => {
    const namespace = await newNamespace('pending');
    const { client } = cluster;
    const spec = { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'c', image: 'nginx' }] };
    await client.create<Pod>(RESOURCES.pods, { metadata: { name: 'a', namespace }, spec });
    const [pod] = await untilPods(
      namespace,
      'the condition',
      ([one]) => one?.status?.conditions?.[0]?.status === 'False',
    );
    const message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.";
    expect(pod?.status?.conditions?.[0]).toMatchObject({
      type: 'PodScheduled',
      reason: 'Unschedulable',
      message,
    });
    await cluster.until<Event, Event>(RESOURCES.events, 'the event', (informer) =>
      inNamespace(informer, namespace).find(
        (one) => one.reason === 'FailedScheduling' && one.message === message,
      ),
    );
    await client.patch(RESOURCES.nodes, { name: 'n2' }, 'merge', { metadata: { labels: { disk: 'ssd' } } });
    const [placed] = await untilPods(namespace, 'its node', ([one]) => one?.spec?.nodeName === 'n2');
    expect(placed?.status?.conditions?.find(({ type }) => type === 'PodScheduled')?.status).toBe('True');
  });
});

describe('a node', () => {
  it('gets a range of its own', async () => {
    const nodes = await cluster.until<Node, Node[]>(RESOURCES.nodes, 'three ranges', (informer) => {
      const all = [...informer.values()];
      return all.every(({ spec }) => spec?.podCIDR !== undefined) ? all : undefined;
    });
    const ranges = nodes.map(({ spec }) => spec?.podCIDR);
    expect(ranges.toSorted()).toEqual(['172.16.0.0/24', '172.16.1.0/24', '172.16.2.0/24']);
  });

  it('that is deleted takes its pods along', async () => {
    const namespace = await newNamespace('lost');
    await cluster.addNode('n4');
    const spec = { nodeName: 'n4', containers: [{ name: 'c', image: 'nginx' }] };
    await cluster.client.create<Pod>(RESOURCES.pods, { metadata: { name: 'a', namespace }, spec });
    await untilPods(namespace, 'the pod', ([pod]) => pod?.status?.phase === 'Running');
    await cluster.client.delete(RESOURCES.nodes, { name: 'n4' });
    await untilPods(namespace, 'the pod to be gone', (pods) => pods.length === 0);
  });
});

describe('a namespace', () => {
  it('has its account and the authority', async () => {
    const namespace = await newNamespace('fresh');
    const config = await cluster.until<ConfigMap, ConfigMap>(
      RESOURCES.configmaps,
      'the ConfigMap',
      (informer) => informer.get(`${namespace}/kube-root-ca.crt`),
    );
    expect(config.data).toEqual({ 'ca.crt': 'PEM' });
    await cluster.until(RESOURCES.serviceaccounts, 'the account', (informer) =>
      informer.get(`${namespace}/default`),
    );
  });

  it('is deleted with all that is in it', async () => {
    const namespace = await newNamespace('doomed');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await untilDeployment(namespace, 'its pods', isComplete(3));
    await client.delete(RESOURCES.namespaces, { name: namespace });
    await cluster.until<Namespace, true>(RESOURCES.namespaces, 'the namespace to be gone', (informer) =>
      informer.get(namespace) === undefined ? true : undefined,
    );
    for (const resource of [
      RESOURCES.pods,
      RESOURCES.replicasets,
      RESOURCES.endpointslices,
      RESOURCES.configmaps,
    ]) {
      expect((await client.list(resource, { namespace })).items).toEqual([]);
    }
    await expect(client.get(RESOURCES.namespaces, namespace)).rejects.toSatisfy((error) =>
      ApiError.is(error, 'NotFound'),
    );
  });
});
