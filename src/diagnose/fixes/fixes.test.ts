import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../ip/ip.ts';
import type { EndpointSlice } from '../../kube/objects.ts';
import { MANAGED_BY, SLICE_CONTROLLER } from '../../kube/service-endpoints.ts';
import { type Cluster, clusterFrom } from '../../world/from-objects/from-objects.ts';
import { answer } from '../answer.ts';
import { causeOf } from '../cause-of.ts';
import type { CauseCode } from '../causes/registry.ts';
import { matrices } from '../matrix/matrix.ts';
import { NO_COLOURS } from '../palette.ts';
import { readQuestion } from '../question.ts';
import { causeText, readCluster, whyOf } from '../test-examples.ts';
import { mergePatch } from './apply.ts';
import { fixesFor } from './fixes.ts';
import { fixesText } from './text.ts';

/** @param isListed with the slices that a cluster shows, made by its controller */
function fixesOf(code: CauseCode, isListed = false) {
  const text = causeText(code);
  const { from, to } = whyOf(text);
  const written = readCluster(text);
  const inventory = isListed ? { ...written.inventory, slices: listed(written.cluster) } : written.inventory;
  const cluster = clusterFrom(inventory, written.cluster.profile);
  const [asked] = answer(
    cluster,
    readQuestion(cluster, { from, to, namespace: 'default' }),
    causeOf,
  ).outcomes;
  return asked === undefined ? [] : fixesFor(cluster, inventory, asked.request);
}

const listed = ({ slices }: Cluster): EndpointSlice[] =>
  [...slices.values()].flat().map((slice) => ({
    ...slice,
    metadata: {
      ...slice.metadata,
      labels: { ...slice.metadata?.labels, [MANAGED_BY]: SLICE_CONTROLLER },
    },
  }));

const NAME = 'inside the cluster, dial web.default.svc:80 (10.247.0.10)';
const CLUSTER = 'set externalTrafficPolicy: Cluster';
const AWAY = 'keep default/near off the nodes that serve (anti-affinity); tried on n2';
const NO_ADDRESS = 'write a name and no address into the status: …-hostname';
const OWN = 'give svc/default/web a balancer of its own';
const IPTABLES = 'run kube-proxy in iptables mode';
const PASS = `pass the balancer's address through: kubernetes.io/elb.pass-through: "true"`;
const podOn = (node: string) => `run a pod of svc/default/web on ${node} too`;

/** What is offered for the example of each cause, in this order. */
const OFFERED: readonly (readonly [CauseCode, readonly string[]])[] = [
  ['FL001', [NAME, 'dial n1, which runs a pod: 192.168.0.11:30080', CLUSTER, podOn('n3')]],
  ['FL002', [NAME, 'dial n1, which runs a pod: 192.168.0.11:30080', CLUSTER, podOn('n3')]],
  ['FL003', [NAME, 'dial n1, which runs a pod: 192.168.0.11:30080', CLUSTER, podOn('n3')]],
  [
    'FL004',
    [
      NAME,
      'dial n2 by its private address: 192.168.0.12:30080',
      'dial n1, which runs a pod: 192.168.0.11:30080',
      CLUSTER,
      podOn('n2'),
    ],
  ],
  ['FL005', ['set internalTrafficPolicy: Cluster', podOn('n2')]],
  [
    'FL006',
    [
      'run kube-proxy with --masquerade-all',
      'let kube-proxy recognise local pods (detectLocalMode: ClusterCIDR)',
      podOn('n2'),
    ],
  ],
  ['FL007', [AWAY, 'run kube-proxy with --masquerade-all']],
  ['FL008', [NAME, CLUSTER]],
  ['FL009', [NAME, CLUSTER, AWAY]],
  ['FL010', [NAME]],
  ['FL011', [NO_ADDRESS, OWN, IPTABLES]],
  ['FL012', [NO_ADDRESS, OWN, IPTABLES]],
  ['FL013', [NAME, CLUSTER, NO_ADDRESS, podOn('n2'), IPTABLES]],
  ['FL014', [PASS, OWN, IPTABLES]],
  ['FL015', [PASS, IPTABLES]],
  ['FL018', [NAME, 'dial n1, which runs a pod: 192.168.0.11:30080', CLUSTER, podOn('n2'), IPTABLES]],
  ['FL020', []],
  ['FL021', ['select app=web, which pods of default bear']],
  ['FL022', ['set targetPort: 80, which the pod declares']],
  ['FL023', [NAME, 'admit 10.0.0.0/16 in loadBalancerSourceRanges']],
  ['FL024', []],
  ['FL042', ['dial n1 by its elastic address: 100.64.1.1:30080']],
  ['FL038', ['dial the node port of svc/default/web: 192.168.0.11:30080']],
];

/** A LoadBalancer Service of CCE with policy Local, under other settings. */
const behindBalancer = (set: Readonly<Record<string, string>>) => readCluster(causeText('FL008'), set);

const SETTINGS = ['tunnel', 'vpc'].flatMap((network) => [
  { network, proxyMode: 'iptables' },
  { network, proxyMode: 'nftables' },
  { network, proxyMode: 'ipvs', kubernetesVersion: '1.22' },
  { network, proxyMode: 'ipvs', kubernetesVersion: '1.28' },
]);

describe('fixes', () => {
  it.each(SETTINGS)('offers every client inside something that reaches: %j', (set) => {
    const { cluster, inventory } = behindBalancer(set);
    const failing = matrices(cluster, undefined, causeOf)
      .flatMap(({ cells }) => cells)
      // Clients that are no object of the cluster cannot be moved or told about.
      .filter(
        ({ node, from, verdict }) =>
          node !== undefined && cluster.world.hosts.has(from) && verdict !== 'reached',
      );
    expect(failing.length).toBeGreaterThan(5);
    const helpless = failing.filter(({ from, address }) => {
      const to = Endpoint.parse(address);
      const request = { from, to: to.addr, port: to.port, protocol: 'TCP' } as const;
      return !fixesFor(cluster, inventory, request).some(({ verdictAfter }) => verdictAfter === 'reached');
    });
    expect(helpless.map(({ client, target }) => `${client} ${target}`)).toEqual([]);
  });

  it.each(OFFERED)('%s', (code, titles) => {
    expect(fixesOf(code).map(({ title }) => title)).toEqual(titles);
    expect(fixesOf(code, true).map(({ title }) => title)).toEqual(titles);
  });

  it('says what becomes of the connection, at what price, and what to type', () => {
    const fixes = fixesOf('FL001');
    expect(fixes.map(({ verdictAfter }) => verdictAfter)).toEqual([
      'reached',
      'reached',
      'reached',
      'reached',
    ]);
    expect(fixes[0]).toMatchObject({ patch: { dial: 'web.default.svc:80' }, costs: [] });
    expect(fixes[2]).toMatchObject({
      patch: {
        objects: [{ object: 'service/default/web', merge: { spec: { externalTrafficPolicy: 'Cluster' } } }],
      },
      command: `kubectl patch service web -n default --type merge -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'`,
    });
    expect(fixes[2]?.costs).toContain('the pod sees this client as 10.0.3.1');
    expect(fixesText(fixes.slice(0, 1), NO_COLOURS)).toBe(
      `\nWhat helps, each tried on a copy\n  1. ${NAME}: reached\n     price: none\n`,
    );
  });

  it('a fix that reaches sometimes stands after those that always do, and says so', () => {
    expect(fixesOf('FL006').map(({ verdictAfter }) => verdictAfter)).toEqual(['reached', 'reached', 'mixed']);
  });

  it('merges as RFC 7396 says', () => {
    const target = { a: { b: 1, c: [1, 2] }, d: 4 };
    expect(mergePatch(target, { a: { b: null, c: [3] }, e: { f: null } })).toEqual({
      a: { c: [3] },
      d: 4,
      e: {},
    });
    expect(target.a.b).toBe(1);
  });
});

describe('where pods are made by a workload', () => {
  const text = causeText('FL001');
  const deployment = (name: string, replicas: number) => `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: default}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name === 'web' ? 'web' : 'client'}}}
  template: {metadata: {labels: {app: ${name === 'web' ? 'web' : 'client'}}}}
`;

  function placementOf(written: string, from: string, to: string) {
    const { cluster, inventory } = readCluster(written);
    const [asked] = answer(cluster, readQuestion(cluster, { from, to, namespace: 'default' })).outcomes;
    const fixes = asked === undefined ? [] : fixesFor(cluster, inventory, asked.request);
    return fixes.filter(({ title }) => /replicas|spread|run a pod|off the nodes/.test(title));
  }
  const { from, to } = whyOf(text);

  it('its template and replicas are patched, and the whole is walked as the scheduler would place it', () => {
    expect(placementOf(`${text}${deployment('web', 1)}`, from, to)).toMatchObject([
      {
        title: 'run 3 replicas of deployment/default/web, one on each of 3 nodes (topologySpreadConstraints)',
        verdictAfter: 'reached',
        command: expect.stringMatching(
          /^kubectl patch deployment web -n default --type merge -p '\{"spec":\{"template"/,
        ),
        patch: {
          objects: [
            {
              object: 'deployment/default/web',
              merge: {
                spec: {
                  replicas: 3,
                  template: {
                    spec: {
                      topologySpreadConstraints: [
                        {
                          whenUnsatisfiable: 'DoNotSchedule',
                          labelSelector: { matchLabels: { app: 'web' } },
                        },
                      ],
                    },
                  },
                },
              },
            },
          ],
        },
        costs: [
          '2 pods more, and another for each node that joins',
          "the workload's pods are made anew",
          'it holds only while the pod of the dialled node is ready',
        ],
      },
    ]);
  });

  it('nothing is offered where no replica may go', () => {
    const tainted = text.replace(
      /metadata: \{name: n3\}\nspec: \{/,
      'metadata: {name: n3}\nspec: {taints: [{key: gpu, effect: NoSchedule}], ',
    );
    expect(tainted).not.toBe(text);
    expect(placementOf(`${tainted}${deployment('web', 1)}`, from, to)).toEqual([]);
  });

  it('replicas that are enough are spread, and not scaled', () => {
    const more = ['web-8', 'web-9'].map(
      (name, at) =>
        `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: default, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: main, ports: [{containerPort: 80}]}]}
status: {phase: Running, podIP: 10.0.1.2${at}, conditions: [{type: Ready, status: "True"}]}`,
    );
    const [fix] = placementOf(`${text}${more.join('')}${deployment('web', 3)}`, from, to);
    expect(fix).toMatchObject({
      title: 'spread the pods of deployment/default/web over its nodes (topologySpreadConstraints)',
      verdictAfter: 'reached',
    });
    expect(JSON.stringify(fix?.patch)).not.toContain('replicas');
  });

  it('a pod of a ReplicaSet is known by its owner references, a client kept away by its template', () => {
    const loop = causeText('FL009');
    const { from: client, to: balancer } = whyOf(loop);
    const owned = loop.replace(
      'metadata: {name: near, namespace: default, labels: {app: client}}',
      'metadata: {name: near, namespace: default, labels: {app: client, pod-template-hash: 5d8f}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: asker-5d8f, uid: u, controller: true}]}',
    );
    expect(owned).not.toBe(loop);
    expect(placementOf(owned, client, balancer)).toMatchObject([
      {
        title:
          'keep the pods of deployment/default/asker off the nodes that serve (anti-affinity); default/near tried on n2',
        patch: { objects: [{ object: 'deployment/default/asker' }] },
        verdictAfter: 'reached',
      },
    ]);
  });

  it('a client of a DaemonSet is left where it is', () => {
    const loop = causeText('FL009');
    const { from: client, to: balancer } = whyOf(loop);
    const owned = loop.replace(
      'metadata: {name: near, namespace: default, labels: {app: client}}',
      'metadata: {name: near, namespace: default, labels: {app: client}, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}]}',
    );
    expect(placementOf(owned, client, balancer)).toEqual([]);
  });
});
