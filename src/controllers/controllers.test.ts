import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../client/client.ts';
import type {
  ConfigMap,
  EndpointHints,
  EndpointSlice,
  Endpoints,
  Event,
  Namespace,
  Node,
  Pod,
  Service,
} from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { isDeleting, nameOf } from './metadata.ts';
import type { TestCluster } from './test-cluster.ts';
import { deployment, inNamespace, isComplete, service, startThreeNodes, type Waits } from './test-waits.ts';

let cluster: TestCluster;
let waits: Waits;

beforeAll(async () => {
  ({ cluster, waits } = await startThreeNodes());
}, 30_000);

afterAll(async () => {
  await cluster.stop();
  expect(cluster.errors).toEqual([]);
});

describe('a Service', () => {
  it('has the addresses of its ready pods, with where they are', async () => {
    const namespace = await waits.newNamespace('slices');
    const { client } = cluster;
    await client.create(
      RESOURCES.services,
      service(namespace, 'web', { ports: [{ port: 8080, targetPort: 'http' }] }),
    );
    await waits.untilSlice(namespace, 'an empty slice', (slice) => (slice.endpoints ?? []).length === 0);
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    const slice = await waits.untilSlice(
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
    const legacy = await waits.untilEndpoints(
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
    await waits.untilPods('slices', 'the annotation', (all) =>
      all.some(({ metadata }) => metadata?.annotations?.a === 'b'),
    );
    const after = await cluster.client.list<EndpointSlice>(RESOURCES.endpointslices, { namespace: 'slices' });
    expect(after.items[0]?.metadata?.resourceVersion).toBe(items[0]?.metadata?.resourceVersion);
    const legacyAfter = await cluster.client.list<Endpoints>(RESOURCES.endpoints, { namespace: 'slices' });
    expect(legacyAfter.items[0]?.metadata?.resourceVersion).toBe(legacy.items[0]?.metadata?.resourceVersion);
  });

  it('hints each endpoint for its node and zone as trafficDistribution asks, and no longer than that', async () => {
    const { client } = cluster;
    const key = { name: 'web', namespace: 'slices' };
    const ask = (trafficDistribution: string | null) =>
      client.patch(RESOURCES.services, key, 'merge', { spec: { trafficDistribution } });
    const hinted = (what: string, fits: (hints: EndpointHints | undefined) => boolean) =>
      waits.untilSlice(
        'slices',
        what,
        ({ endpoints }) => endpoints?.length === 3 && endpoints.every(({ hints }) => fits(hints)),
      );
    await ask('PreferSameNode');
    const { endpoints } = await hinted('hints for nodes', (hints) => hints?.forNodes !== undefined);
    for (const { hints, nodeName = '', zone = '' } of endpoints) {
      expect(hints).toEqual({ forNodes: [{ name: nodeName }], forZones: [{ name: zone }] });
    }
    await ask('PreferClose');
    await hinted('hints for zones alone', (hints) => JSON.stringify(hints)?.includes('forNodes') === false);
    await ask(null);
    await hinted('no hints', (hints) => hints === undefined);
  });

  it('takes a deleted pod out, each time', async () => {
    const namespace = 'slices';
    const { client } = cluster;
    for (let round = 0; round < 6; round++) {
      const pods = await waits.untilPods(
        namespace,
        'three running pods',
        (all) => all.length === 3 && all.every((one) => one.status?.phase === 'Running' && !isDeleting(one)),
      );
      const name = nameOf(pods[round % 3] ?? {});
      await waits.untilSlice(namespace, `${name} to be ready`, (slice) =>
        slice.endpoints.some((one) => one.targetRef?.name === name && one.conditions?.ready === true),
      );
      const out = waits.untilSlice(
        namespace,
        `${name} to be out`,
        (slice) =>
          !slice.endpoints.some((one) => one.targetRef?.name === name && one.conditions?.ready === true),
      );
      await client.delete(RESOURCES.pods, { name, namespace });
      await out;
    }
  });

  it('without a selector is served from Endpoints written by hand', async () => {
    const namespace = await waits.newNamespace('manual');
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
    const slice = await waits.untilSlice(namespace, 'a mirror', (one) => one.endpoints?.length === 2);
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
    const namespace = await waits.newNamespace('service-gone');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    await waits.untilSlice(namespace, 'a slice', () => true);
    await waits.untilEndpoints(namespace, 'Endpoints', () => true);
    await client.delete(RESOURCES.services, { name: 'web', namespace });
    for (const resource of [RESOURCES.endpointslices, RESOURCES.endpoints]) {
      await cluster.until(resource, `${resource.plural} to be gone`, (informer) =>
        inNamespace(informer, namespace).length === 0 ? true : undefined,
      );
    }
  });
});

describe('the scheduler', () => {
  it('says why a pod waits, and places it when a node fits', async () => {
    const namespace = await waits.newNamespace('pending');
    const { client } = cluster;
    const spec = { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'c', image: 'nginx' }] };
    await client.create<Pod>(RESOURCES.pods, { metadata: { name: 'a', namespace }, spec });
    const [pod] = await waits.untilPods(
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
    const [placed] = await waits.untilPods(namespace, 'its node', ([one]) => one?.spec?.nodeName === 'n2');
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
    const namespace = await waits.newNamespace('lost');
    await cluster.addNode('n4');
    const spec = { nodeName: 'n4', containers: [{ name: 'c', image: 'nginx' }] };
    await cluster.client.create<Pod>(RESOURCES.pods, { metadata: { name: 'a', namespace }, spec });
    await waits.untilPods(namespace, 'the pod', ([pod]) => pod?.status?.phase === 'Running');
    await cluster.client.delete(RESOURCES.nodes, { name: 'n4' });
    await waits.untilPods(namespace, 'the pod to be gone', (pods) => pods.length === 0);
  });
});

describe('a namespace', () => {
  it('has its account and the authority', async () => {
    const namespace = await waits.newNamespace('fresh');
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
    const namespace = await waits.newNamespace('doomed');
    const { client } = cluster;
    await client.create(RESOURCES.services, service(namespace, 'web'));
    await client.create(RESOURCES.deployments, deployment(namespace, 'web'));
    await waits.untilDeployment(namespace, 'its pods', isComplete(3));
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
