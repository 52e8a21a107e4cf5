import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Node, Pod } from '../../kube/objects.ts';
import { type Candidate, fitError, schedule } from './scheduling.ts';

const node = (name: string, spec: Node['spec'] = {}, more: Partial<Node> = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  spec,
  status: {
    allocatable: { cpu: '2', memory: '1Gi', pods: '10' },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
  ...more,
});

const container = { name: 'c', image: 'x' };
const pod = (name: string, spec: Partial<NonNullable<Pod['spec']>> = {}, labels = {}): Pod => ({
  metadata: { name, namespace: 'default', uid: name, labels },
  spec: { containers: [container], ...spec },
});

const cpu = (amount: string) => ({
  containers: [{ ...container, resources: { requests: { cpu: amount } } }],
});
const hostPort = (port: number, hostIP?: string) => ({
  containers: [
    {
      ...container,
      ports: [{ containerPort: 80, hostPort: port, ...(hostIP === undefined ? {} : { hostIP }) }],
    },
  ],
});

const on = (one: Node, ...pods: Pod[]): Candidate => ({ node: one, pods });
const three = [on(node('n1')), on(node('n2')), on(node('n3'))];

function reason(wanted: Pod, candidates: readonly Candidate[]): string {
  const decision = schedule(wanted, candidates);
  return 'node' in decision ? decision.node : fitError(candidates.length, decision.reasons);
}

describe('filters', () => {
  const tainted = node('n', { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] });
  const affinity = (operator: string, values: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator, values }] }],
        },
      },
    },
  });

  it.each<[string, Pod, Candidate[], string]>([
    ['no nodes', pod('a'), [], 'no nodes available to schedule pods'],
    [
      'node selector',
      pod('a', { nodeSelector: { disk: 'ssd' } }),
      three,
      "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
    ],
    ['affinity', pod('a', affinity('NotIn', ['n1', 'n2'])), three, 'n3'],
    [
      'taint',
      pod('a'),
      [on(tainted)],
      '0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.',
    ],
    [
      'toleration',
      pod('a', { tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'db' }] }),
      [on(tainted)],
      'n',
    ],
    ['toleration of all', pod('a', { tolerations: [{ operator: 'Exists' }] }), [on(tainted)], 'n'],
    [
      'toleration of another effect',
      pod('a', { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] }),
      [on(tainted)],
      '0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.',
    ],
    [
      'cordoned',
      pod('a'),
      [on(node('n', { unschedulable: true }))],
      '0/1 nodes are available: 1 node(s) were unschedulable.',
    ],
    [
      'not ready',
      pod('a'),
      [on(node('n', {}, { status: { conditions: [{ type: 'Ready', status: 'False' }] } }))],
      '0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.',
    ],
    [
      'resources, for several reasons',
      pod('a', cpu('1500m')),
      [
        on(node('n1'), pod('x', cpu('1'))),
        on(node('n2', { unschedulable: true })),
        on(node('n3'), pod('y', cpu('501m'))),
      ],
      '0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.',
    ],
    ['resources that fit exactly', pod('a', cpu('1500m')), [on(node('n1'), pod('x', cpu('0.5')))], 'n1'],
    [
      'a resource no node has',
      pod('a', { containers: [{ ...container, resources: { requests: { 'nvidia.com/gpu': '1' } } }] }),
      [on(node('n1'))],
      '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.',
    ],
    [
      'too many pods',
      pod('a'),
      [on(node('n1'), ...Array.from({ length: 10 }, (_, at) => pod(`p${at}`)))],
      '0/1 nodes are available: 1 Too many pods.',
    ],
    [
      'host ports',
      pod('a', hostPort(80)),
      [on(node('n1'), pod('x', hostPort(80, '10.0.0.1')))],
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ],
    [
      'host ports on other addresses',
      pod('a', hostPort(80, '10.0.0.2')),
      [on(node('n1'), pod('x', hostPort(80, '10.0.0.1')))],
      'n1',
    ],
  ])('%s', (_name, wanted, candidates, expected) => {
    expect(reason(wanted, candidates)).toBe(expected);
  });
});

describe('spreading', () => {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'rs', controller: true };
  const owned = (name: string): Pod => {
    const plain = pod(name);
    return { ...plain, metadata: { ...plain.metadata, ownerReferences: [owner] } };
  };

  it('puts the pods of one owner evenly on the nodes, whatever else runs there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 1, max: 9 }),
        (others, count) => {
          const candidates = others.map((load, at) => ({
            node: node(`n${at}`),
            pods: Array.from({ length: load }, (_, other) => pod(`other-${at}-${other}`)),
          }));
          const mine = candidates.map(() => 0);
          for (let next = 0; next < count; next++) {
            const decision = schedule(owned(`a${next}`), candidates);
            if (!('node' in decision)) throw new Error('no node');
            const at = candidates.findIndex(({ node: { metadata } }) => metadata?.name === decision.node);
            candidates[at]?.pods.push(owned(`a${next}`));
            mine[at] = (mine[at] ?? 0) + 1;
          }
          expect(Math.max(...mine) - Math.min(...mine)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('spreads the pods of a Service, then prefers the emptier node', () => {
    const labels = { app: 'web' };
    const candidates = [
      on(node('n1'), pod('x', {}, labels)),
      on(node('n2'), pod('y'), pod('z')),
      on(node('n3'), pod('w')),
    ];
    expect(schedule(pod('a', {}, labels), candidates, [labels])).toEqual({ node: 'n3' });
    expect(schedule(pod('a', {}, labels), candidates.slice(0, 2), [labels])).toEqual({ node: 'n2' });
  });
});
