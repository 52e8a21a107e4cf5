import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment, EndpointSlice, Pod, ReplicaSet, StatefulSet } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { isDeleting, nameOf } from '../metadata.ts';
import type { TestCluster } from '../test-cluster.ts';
import {
  deployment,
  inNamespace,
  isComplete,
  progressing,
  service,
  startThreeNodes,
  template,
  type Waits,
} from '../test-waits.ts';

let cluster: TestCluster;
let waits: Waits;
/** Images of pods that never become ready. */
const stuck = new Set<string>();

beforeAll(async () => {
  const becomesReady = (pod: Pod) => !stuck.has(pod.spec?.containers[0]?.image ?? '');
  ({ cluster, waits } = await startThreeNodes({ becomesReady }));
}, 30_000);

afterAll(async () => {
  await cluster.stop();
  expect(cluster.errors).toEqual([]);
});

describe('a Deployment', () => {
  it('runs its pods, spread over the nodes', async () => {
    const namespace = await waits.newNamespace('deploy');
    await cluster.client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const done = await waits.untilDeployment(namespace, 'three available pods', isComplete(3));
    expect(done.metadata?.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
    const pods = await waits.untilPods(namespace, 'three pods', (all) => all.length === 3);
    expect(new Set(pods.map((pod) => pod.spec?.nodeName))).toEqual(new Set(['n1', 'n2', 'n3']));
    const hash = pods[0]?.metadata?.labels?.['pod-template-hash'];
    expect(pods.every((pod) => nameOf(pod).startsWith(`web-${hash}-`))).toBe(true);
  });

  it('replaces its pods without ever having fewer available than it may, and can go back', async () => {
    const namespace = await waits.newNamespace('rollout');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await waits.untilDeployment(namespace, 'the first rollout', isComplete(3));
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
    await waits.untilDeployment(namespace, 'the second rollout', (status, one) => {
      const revision = one.metadata?.annotations?.['deployment.kubernetes.io/revision'];
      return revision === '2' && isComplete(3)(status, one);
    });
    watching.abort();
    expect({ fewest, most }).toEqual({ fewest: 3, most: 4 });
    await change('nginx');
    await waits.untilDeployment(namespace, 'the way back', (status, one) => {
      const revision = one.metadata?.annotations?.['deployment.kubernetes.io/revision'];
      return revision === '3' && isComplete(3)(status, one);
    });
    const sets = await waits.setsOf(namespace);
    expect(
      sets.map((set) => set.metadata?.annotations?.['deployment.kubernetes.io/revision']).toSorted(),
    ).toEqual(['2', '3']);
  });

  it('ends up the same when the controllers die in the middle, and never has a pod too many', async () => {
    const namespace = await waits.newNamespace('restart');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    const most = await waits.mostPods(namespace);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 60 }));
    for (const count of [10, 30]) {
      await waits.untilPods(namespace, `${count} pods`, (pods) => pods.length >= count);
      await cluster.restartControllers();
    }
    await waits.untilDeployment(namespace, 'sixty pods', isComplete(60));
    await waits.untilSlice(namespace, 'sixty endpoints', ({ endpoints }) => endpoints?.length === 60);
    const { items } = await client.list<EndpointSlice>(RESOURCES.endpointslices, { namespace });
    expect(items).toHaveLength(1);
    expect(most()).toBe(60);
  }, 60_000);

  it('of many pods has as many slices as it must', async () => {
    const namespace = await waits.newNamespace('many');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    const most = await waits.mostPods(namespace);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 130 }));
    await waits.untilDeployment(namespace, '130 pods', isComplete(130));
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
    await waits.untilPods(namespace, 'no pods', (pods) => pods.length === 0);
  }, 60_000);

  it('scales, pauses and resumes', async () => {
    const namespace = await waits.newNamespace('scale');
    const { client } = cluster;
    const key = { name: 'web', namespace };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', { replicas: 1 }));
    await waits.untilDeployment(namespace, 'one pod', isComplete(1));
    await client.patch(RESOURCES.deployments, key, 'merge', { spec: { replicas: 5 } }, 'scale');
    await waits.untilDeployment(namespace, 'five pods', isComplete(5));
    const body = { spec: { paused: true, template: template({ app: 'web' }, 'nginx:2') } };
    await client.patch(RESOURCES.deployments, key, 'strategic', body);
    await waits.untilDeployment(
      namespace,
      'the pause',
      (_status, one) => progressing(one)?.reason === 'DeploymentPaused',
    );
    expect(await waits.setsOf(namespace)).toHaveLength(1);
    await client.patch(RESOURCES.deployments, key, 'merge', { spec: { paused: false, replicas: 2 } });
    await waits.untilDeployment(namespace, 'the new pods', isComplete(2));
    expect(await waits.setsOf(namespace)).toHaveLength(2);
  });

  it('with Recreate has no pods of two templates at once', async () => {
    const namespace = await waits.newNamespace('recreate');
    const { client } = cluster;
    const spec = { strategy: { type: 'Recreate' } };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web', spec));
    await waits.untilDeployment(namespace, 'the first pods', isComplete(3));
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
    await waits.untilPods(
      namespace,
      'new pods',
      (pods) => pods.length === 3 && pods.every((pod) => pod.spec?.containers[0]?.image === 'nginx:2'),
    );
    expect(mixed).toBe(false);
  });

  it('says when it makes no progress', async () => {
    const namespace = await waits.newNamespace('deadline');
    stuck.add('never');
    const spec = { progressDeadlineSeconds: 1, template: template({ app: 'web' }, 'never') };
    await cluster.client.create(RESOURCES.deployments, deployment(namespace, 'web', spec));
    const late = await waits.untilDeployment(
      namespace,
      'the deadline',
      (_status, one) => progressing(one)?.status === 'False',
    );
    expect(progressing(late)?.reason).toBe('ProgressDeadlineExceeded');
    expect(progressing(late)?.message).toMatch(/^ReplicaSet "web-\w+" has timed out progressing\.$/);
  });

  it('lets a pod go whose labels change, and takes it in again', async () => {
    const namespace = await waits.newNamespace('release');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const pods = await waits.untilPods(namespace, 'three pods', (all) => all.length === 3);
    const [pod] = pods;
    if (pod === undefined) throw new Error('no pod');
    const key = { name: nameOf(pod), namespace };
    await client.patch(RESOURCES.pods, key, 'merge', { metadata: { labels: { app: 'debug' } } });
    await waits.untilPods(
      namespace,
      'a fourth pod',
      (all) => all.length === 4 && all.some((one) => !one.metadata?.ownerReferences?.length),
    );
    await client.patch(RESOURCES.pods, key, 'merge', { metadata: { labels: { app: 'web' } } });
    await waits.untilPods(
      namespace,
      'three pods again',
      (all) => all.length === 3 && all.every((one) => one.metadata?.ownerReferences?.length === 1),
    );
  });

  it('is deleted with all it owns', async () => {
    const namespace = await waits.newNamespace('collect');
    const { client } = cluster;
    const key = { name: 'web', namespace };
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await waits.untilDeployment(namespace, 'its pods', isComplete(3));
    await client.delete(RESOURCES.deployments, key, { propagationPolicy: 'Foreground' });
    await cluster.until<Deployment, true>(RESOURCES.deployments, 'the Deployment to be gone', (informer) =>
      inNamespace(informer, namespace).length === 0 ? true : undefined,
    );
    const { items } = await client.list(RESOURCES.pods, { namespace });
    expect(items).toEqual([]);
  });

  it('leaves its pods behind when it is told to', async () => {
    const namespace = await waits.newNamespace('orphans');
    const { client } = cluster;
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await waits.untilDeployment(namespace, 'its pods', isComplete(3));
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
    const namespace = await waits.newNamespace('stateful');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'db', { clusterIP: 'None' }));
    await client.create(RESOURCES.statefulsets, statefulSet(namespace));
    const untilStatus = (what: string, test: (status: NonNullable<StatefulSet['status']>) => boolean) =>
      cluster.until<StatefulSet, StatefulSet>(RESOURCES.statefulsets, what, (informer) =>
        inNamespace(informer, namespace).find(({ status }) => status !== undefined && test(status)),
      );
    await untilStatus('three ready pods', ({ readyReplicas }) => readyReplicas === 3);
    const pods = await waits.untilPods(namespace, 'three pods', (all) => all.length === 3);
    const byName = pods.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    expect(byName.map((pod) => [nameOf(pod), pod.spec?.hostname, pod.spec?.subdomain])).toEqual(
      [0, 1, 2].map((ordinal) => [`db-${ordinal}`, `db-${ordinal}`, 'db']),
    );
    const revisions = byName.map((pod) => Number(pod.metadata?.resourceVersion));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    const slice = await waits.untilSlice(namespace, 'three names', (one) => one.endpoints.length === 3);
    expect(slice.endpoints.map(({ hostname }) => hostname).toSorted()).toEqual(['db-0', 'db-1', 'db-2']);
    const body = {
      spec: {
        template: template({ app: 'db' }, 'nginx:2'),
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
      },
    };
    await client.patch(RESOURCES.statefulsets, { name: 'db', namespace }, 'strategic', body);
    await waits.untilPods(namespace, 'db-2 anew', (all) =>
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
    const again = await waits.untilPods(namespace, 'db-0 anew', (all) =>
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
    const namespace = await waits.newNamespace('parallel');
    stuck.add('slow');
    const spec = { podManagementPolicy: 'Parallel', template: template({ app: 'db' }, 'slow') };
    await cluster.client.create(RESOURCES.statefulsets, statefulSet(namespace, spec));
    await waits.untilPods(namespace, 'three pods though none is ready', (pods) => pods.length === 3);
  });
});
