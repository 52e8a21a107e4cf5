import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../client/manual-clock.ts';
import { Prefix } from '../../ip/prefix.ts';
import type { EndpointSlice, Lease, Node, Pod, Service } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { startTestCluster, type TestCluster } from '../test-cluster.ts';
import { firstFree } from './node-cidr.ts';
import { GRACE_MS, taintsFor } from './node-lifecycle.ts';
import { endOf } from './taint-eviction.ts';

const ready = (status: string): Node => ({ status: { conditions: [{ type: 'Ready', status }] } });

describe('taints', () => {
  const keys = (node: Node) => taintsFor(node, 'now').map(({ key, effect }) => `${key}:${effect}`);

  it.each<[string, Node, string[]]>([
    ['ready', ready('True'), []],
    ['new', {}, ['node.kubernetes.io/not-ready:NoSchedule']],
    [
      'not ready',
      ready('False'),
      ['node.kubernetes.io/not-ready:NoSchedule', 'node.kubernetes.io/not-ready:NoExecute'],
    ],
    [
      'silent',
      ready('Unknown'),
      ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
    ],
    [
      'cordoned',
      { ...ready('True'), spec: { unschedulable: true } },
      ['node.kubernetes.io/unschedulable:NoSchedule'],
    ],
    [
      'ready again, with a taint of its owner',
      {
        ...ready('True'),
        spec: {
          taints: [
            { key: 'dedicated', effect: 'NoSchedule' },
            { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
          ],
        },
      },
      ['dedicated:NoSchedule'],
    ],
  ])('of a node that is %s', (_name, node, expected) => {
    expect(keys(node)).toEqual(expected);
  });
});

describe('an eviction', () => {
  const at = Date.UTC(2026, 0, 1);
  const taint = { key: 'down', effect: 'NoExecute', timeAdded: new Date(at).toISOString() };
  const pod = (...tolerations: NonNullable<Pod['spec']>['tolerations'] & object): Pod => ({
    spec: { containers: [], tolerations },
  });

  it.each<[string, Pod, number | undefined]>([
    ['at once without a toleration', pod(), at + 7],
    ['never with one without end', pod({ key: 'down', operator: 'Exists' }), undefined],
    [
      'when the shortest is over',
      pod(
        { operator: 'Exists', tolerationSeconds: 60 },
        { key: 'down', operator: 'Exists', tolerationSeconds: 30 },
      ),
      at + 30_000,
    ],
    ['at once with a toleration of something else', pod({ key: 'other', operator: 'Exists' }), at + 7],
  ])('comes %s', (_name, one, expected) => {
    expect(endOf(one, [taint], at + 7)).toBe(expected);
  });
});

describe('ranges', () => {
  const parse = (text: string) => Prefix.parse(text);

  it('are the lowest that are free', () => {
    const range = parse('172.16.0.0/16');
    expect(firstFree(range, [])?.toString()).toBe('172.16.0.0/24');
    expect(firstFree(range, [parse('172.16.0.0/23'), parse('172.16.3.0/24')])?.toString()).toBe(
      '172.16.2.0/24',
    );
    expect(firstFree(parse('fd00::/48'), [parse('fd00::/64')])?.toString()).toBe('fd00:0:0:1::/64');
  });

  it('run out', () => {
    expect(firstFree(parse('10.0.0.0/24'), [parse('10.0.0.128/30')])).toBeUndefined();
  });
});

describe('a kubelet', () => {
  const clock = new ManualClock(Date.now());
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startTestCluster({ clock });
    await cluster.addNode('n1');
  }, 30_000);

  afterAll(() => cluster.stop());

  const untilNode = (what: string, test: (node: Node) => boolean) =>
    cluster.until<Node, Node>(RESOURCES.nodes, what, (informer) => [...informer.values()].find(test));
  const readyOf = (node: Node) => node.status?.conditions?.find(({ type }) => type === 'Ready');
  const untilEndpoint = (what: string, isReady: boolean) =>
    cluster.until<EndpointSlice, EndpointSlice>(RESOURCES.endpointslices, what, (informer) =>
      [...informer.values()].find(
        (one) => one.metadata?.name?.startsWith('web') && one.endpoints[0]?.conditions?.ready === isReady,
      ),
    );
  const key = { name: 'n1', namespace: 'kube-node-lease' };

  it('that renews its lease is heard', async () => {
    const { client } = cluster;
    await untilNode(
      'the range',
      ({ spec }) => spec?.podCIDR !== undefined && (spec.taints ?? []).length === 0,
    );
    await client.create<Lease>(RESOURCES.leases, {
      metadata: key,
      spec: { holderIdentity: 'n1', renewTime: '2026-01-01T00:00:00.000000Z' },
    });
    await client.create<Service>(RESOURCES.services, {
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    });
    await client.create<Pod>(RESOURCES.pods, {
      metadata: { name: 'a', namespace: 'default', labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image: 'nginx' }] },
    });
    await untilEndpoint('the pod to be ready', true);
    clock.advance(GRACE_MS - 1_000);
    await client.patch<Lease>(RESOURCES.leases, key, 'merge', {
      spec: { renewTime: '2026-01-01T00:00:39.000000Z' },
    });
    await cluster.until<Lease, true>(RESOURCES.leases, 'the renewal', (informer) =>
      informer.get('kube-node-lease/n1')?.spec?.renewTime?.includes(':39') ? true : undefined,
    );
    clock.advance(2_000);
    const { items } = await client.list<Node>(RESOURCES.nodes);
    expect(items.map((node) => readyOf(node)?.status)).toEqual(['True']);
  });

  it('that falls silent loses its node and its pods their clients', async () => {
    clock.advance(GRACE_MS);
    const node = await untilNode('the taints', ({ spec }) => spec?.taints?.length === 2);
    expect(readyOf(node)).toMatchObject({
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
    });
    await untilEndpoint('the pod to be out', false);
  });

  it('that stays silent loses its pods', async () => {
    clock.advance(299_000);
    const { items } = await cluster.client.list<Pod>(RESOURCES.pods, { namespace: 'default' });
    expect(items).toHaveLength(1);
    clock.advance(2_000);
    await cluster.until<Pod, true>(RESOURCES.pods, 'the pod to be gone', (informer) =>
      [...informer.values()].length === 0 ? true : undefined,
    );
  });

  it('that comes back gets its node back', async () => {
    const now = new Date(clock.now()).toISOString();
    const condition = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now };
    await cluster.client.patch(
      RESOURCES.nodes,
      { name: 'n1' },
      'strategic',
      { status: { conditions: [condition] } },
      'status',
    );
    await untilNode('no taints', ({ spec }) => (spec?.taints ?? []).length === 0);
  });
});
