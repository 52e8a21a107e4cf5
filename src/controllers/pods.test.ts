import { describe, expect, it } from 'vitest';
import type { Node, Pod, Service } from '../kube/objects.ts';
import { groupsOf } from '../kube/service-endpoints.ts';
import { subsetsOf } from './endpoints/endpoint-subsets.ts';
import { rankForDeletion } from './workloads/rank.ts';

const now = Date.UTC(2026, 0, 2);
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();

const pod = (
  name: string,
  more: { meta?: object; spec?: object; status?: object; readyFor?: number } = {},
): Pod => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, creationTimestamp: ago(3600), ...more.meta },
  spec: { nodeName: 'n1', containers: [], ...more.spec },
  status: {
    phase: 'Running',
    podIP: '10.0.0.1',
    conditions:
      more.readyFor === undefined
        ? []
        : [{ type: 'Ready', status: 'True', lastTransitionTime: ago(more.readyFor) }],
    ...more.status,
  },
});

describe('the ranking for deletion', () => {
  const cost = { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } };

  it.each<[string, Pod, Pod]>([
    ['without a node', pod('a', { spec: { nodeName: undefined } }), pod('b')],
    ['pending', pod('a', { status: { phase: 'Pending' } }), pod('b')],
    ['not ready', pod('a'), pod('b', { readyFor: 10 })],
    ['cheap', pod('z', { meta: cost, readyFor: 1000 }), pod('b', { readyFor: 10 })],
    ['ready for the shorter time', pod('z', { readyFor: 10 }), pod('b', { readyFor: 1000 })],
    [
      'most restarted',
      pod('z', { readyFor: 10, status: { containerStatuses: [{ restartCount: 3 }] } }),
      pod('b', { readyFor: 10 }),
    ],
    ['newest', pod('z', { readyFor: 10, meta: { creationTimestamp: ago(10) } }), pod('b', { readyFor: 10 })],
  ])('puts the one %s first', (_name, first, second) => {
    const names = (pods: Pod[]) => rankForDeletion(pods, now).map(({ metadata }) => metadata?.name);
    expect(names([first, second])).toEqual(names([second, first]));
    expect(names([second, first])[0]).toBe(first.metadata?.name);
  });

  it('thins the fullest node', () => {
    const pods = [
      pod('a', { spec: { nodeName: 'n2' }, readyFor: 10 }),
      pod('b', { readyFor: 10 }),
      pod('c', { readyFor: 10 }),
    ];
    expect(rankForDeletion(pods, now).map(({ spec }) => spec?.nodeName)).toEqual(['n1', 'n1', 'n2']);
  });
});

describe('endpoints', () => {
  const service = (spec: NonNullable<Service['spec']>): Service => ({
    metadata: { name: 'web', namespace: 'default' },
    spec,
  });
  const node = (name: string): Node => ({
    metadata: { name, labels: { 'topology.kubernetes.io/zone': 'z' } },
  });
  const named = (containerPort: number) => ({
    containers: [{ name: 'c', ports: [{ name: 'http', containerPort }] }],
  });
  const deleting = { deletionTimestamp: ago(1) };

  it.each<[string, Service['spec'], Pod, object]>([
    ['ready', {}, pod('a', { readyFor: 1 }), { ready: true, serving: true, terminating: false }],
    ['not ready', {}, pod('a'), { ready: false, serving: false, terminating: false }],
    [
      'going, and still serving',
      {},
      pod('a', { readyFor: 1, meta: deleting }),
      { ready: false, serving: true, terminating: true },
    ],
    [
      'published while not ready',
      { publishNotReadyAddresses: true },
      pod('a'),
      { ready: true, serving: false, terminating: false },
    ],
  ])('of a pod that is %s', (_name, spec, one, conditions) => {
    const [group] = groupsOf(service({ ports: [{ port: 80 }], ...spec }), [one], 'IPv4', node);
    expect(group?.endpoints[0]?.conditions).toEqual(conditions);
    expect(group?.endpoints[0]).toMatchObject({ addresses: ['10.0.0.1'], nodeName: 'n1', zone: 'z' });
  });

  it('leave out what has ended or has no address of the family', () => {
    const pods = [
      pod('a', { status: { phase: 'Succeeded' } }),
      pod('b', { status: { podIP: undefined } }),
      pod('c', { status: { podIP: 'fd00::1' } }),
    ];
    const web = service({ ports: [{ port: 80 }] });
    expect(groupsOf(web, pods, 'IPv4', node)).toEqual([]);
    expect(groupsOf(web, pods, 'IPv6', node).flatMap(({ endpoints }) => endpoints[0]?.addresses)).toEqual([
      'fd00::1',
    ]);
  });

  it.each([
    [undefined, 'n1', undefined],
    ['PreferClose', 'n1', { forZones: [{ name: 'z' }] }],
    ['PreferSameZone', 'n1', { forZones: [{ name: 'z' }] }],
    ['PreferSameNode', 'n1', { forNodes: [{ name: 'n1' }], forZones: [{ name: 'z' }] }],
    ['PreferSameNode', 'zoneless', { forNodes: [{ name: 'zoneless' }] }],
    ['PreferSameZone', 'zoneless', undefined],
  ])('with trafficDistribution %s on node %s are hinted as %j', (trafficDistribution, nodeName, hints) => {
    const hinted = (readyFor?: number) => {
      const one = pod('a', { ...(readyFor === undefined ? {} : { readyFor }), spec: { nodeName } });
      const spec = { ports: [{ port: 80 }], ...(trafficDistribution && { trafficDistribution }) };
      const zoned = (name: string) => (name === 'zoneless' ? { metadata: { name } } : node(name));
      return groupsOf(service(spec), [one], 'IPv4', zoned)[0]?.endpoints[0]?.hints;
    };
    expect(hinted(1)).toEqual(hints);
    expect(hinted()).toBeUndefined();
  });

  it('are grouped by the ports that names mean in each pod', () => {
    const pods = [
      pod('a', { spec: named(8080) }),
      pod('b', { spec: named(9090) }),
      pod('c', { spec: named(8080) }),
    ];
    const groups = groupsOf(
      service({ ports: [{ name: 'web', port: 80, targetPort: 'http' }] }),
      pods,
      'IPv4',
      node,
    );
    expect(groups.map(({ ports, endpoints }) => [ports[0]?.port, endpoints.length])).toEqual([
      [8080, 2],
      [9090, 1],
    ]);
  });

  it('carry the hostname only where the subdomain is the Service', () => {
    const names = (subdomain: string) =>
      groupsOf(
        service({ clusterIP: 'None' }),
        [pod('a', { spec: { hostname: 'a', subdomain } })],
        'IPv4',
        node,
      )[0]?.endpoints[0]?.hostname;
    expect([names('web'), names('other')]).toEqual(['a', undefined]);
  });

  it('of the legacy kind are sorted, and without those that are going', () => {
    const pods = [
      pod('a', { readyFor: 1, status: { podIP: '10.0.0.9' } }),
      pod('b', { readyFor: 1, status: { podIP: '10.0.0.10' } }),
      pod('c', { status: { podIP: '10.0.0.3' } }),
      pod('d', { readyFor: 1, meta: deleting }),
    ];
    const { subsets, truncated } = subsetsOf(service({ ports: [{ port: 80 }] }), pods);
    expect(truncated).toBe(false);
    expect(subsets).toHaveLength(1);
    expect(subsets[0]?.addresses?.map(({ ip }) => ip)).toEqual(['10.0.0.10', '10.0.0.9']);
    expect(subsets[0]?.notReadyAddresses?.map(({ ip }) => ip)).toEqual(['10.0.0.3']);
    expect(subsets[0]?.ports).toEqual([{ port: 80, protocol: 'TCP' }]);
  });

  it('of the legacy kind end at 1000, the ready ones first', () => {
    const pods = Array.from({ length: 1200 }, (_, at) => pod(`p${at}`, at < 700 ? {} : { readyFor: 1 }));
    const { subsets, truncated } = subsetsOf(service({ ports: [{ port: 80 }] }), pods);
    expect(truncated).toBe(true);
    expect(subsets[0]?.addresses).toHaveLength(500);
    expect(subsets[0]?.notReadyAddresses).toHaveLength(500);
  });
});
