/** A cluster as large ones are: node pools, a few kinds of Services over and over, replicas where the scheduler left them. */

import type { Node, Pod, Service } from '../src/kube/objects.ts';
import {
  type Cluster,
  chooseProfile,
  clusterFrom,
  inventoryOfCluster,
} from '../src/world/from-objects/from-objects.ts';

export interface LargeCluster {
  readonly nodes: number;
  readonly services: number;
  readonly proxyMode: 'nftables' | 'iptables' | 'ipvs';
}

/** Numbers that look random and are the same in every run (a linear congruence, Numerical Recipes' constants). */
function numbers(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const REPLICAS = [1, 1, 2, 2, 3, 3, 3, 5];

export function largeCluster({ nodes, services, proxyMode }: LargeCluster): Cluster {
  const random = numbers();
  const last = new Array<number>(nodes).fill(9);
  const objects = Array.from({ length: services }, (_, at) => {
    const name = `service-${at}`;
    const ready = random(20) === 0 ? 'False' : 'True';
    const pods = Array.from({ length: REPLICAS[random(REPLICAS.length)] ?? 1 }, (_, replica) => {
      const node = random(nodes);
      last[node] = (last[node] ?? 9) + 1;
      return podObject(`${name}-${replica}`, name, node, last[node] ?? 9, replica === 0 ? ready : 'True');
    });
    return { service: serviceObject(name, at, random), pods };
  });
  const listed = {
    nodes: Array.from({ length: nodes }, (_, at) => nodeObject(at)),
    services: objects.map(({ service }) => service),
    pods: objects.flatMap(({ pods }) => pods),
    slices: [],
  };
  const inventory = inventoryOfCluster(listed, []);
  return clusterFrom(inventory, chooseProfile(inventory, { set: { proxyMode } }));
}

const nodeObject = (at: number): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `node-${at}` },
  spec: { podCIDR: `172.16.${at}.0/24` },
  status: {
    addresses: [
      { type: 'InternalIP', address: `192.168.${1 + (at >> 7)}.${1 + (at & 127)}` },
      { type: 'ExternalIP', address: `100.64.${1 + (at >> 7)}.${1 + (at & 127)}` },
    ],
  },
});

function serviceObject(name: string, at: number, random: (below: number) => number): Service {
  const type = (['ClusterIP', 'ClusterIP', 'NodePort', 'LoadBalancer'] as const)[random(4)] ?? 'ClusterIP';
  const isExposed = type !== 'ClusterIP';
  const ports = Array.from({ length: random(4) === 0 ? 2 : 1 }, (_, index) => ({
    name: `port-${index}`,
    port: 80 + index,
    targetPort: 8080,
    ...(isExposed ? { nodePort: 30_000 + 2 * at + index } : {}),
  }));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: `team-${at % 10}` },
    spec: {
      type,
      clusterIP: `10.247.${1 + (at >> 7)}.${1 + (at & 127)}`,
      selector: { app: name },
      ports,
      ...(isExposed && random(2) === 0 ? { externalTrafficPolicy: 'Local' as const } : {}),
      ...(random(10) === 0 ? { sessionAffinity: 'ClientIP' } : {}),
    },
    ...(type === 'LoadBalancer'
      ? { status: { loadBalancer: { ingress: [{ ip: `192.168.${200 + (at >> 7)}.${1 + (at & 127)}` }] } } }
      : {}),
  };
}

const podObject = (name: string, app: string, node: number, at: number, ready: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: `team-${Number(app.split('-')[1]) % 10}`, labels: { app } },
  spec: { nodeName: `node-${node}`, containers: [{ name: 'main', ports: [{ containerPort: 8080 }] }] },
  status: {
    phase: 'Running',
    podIP: `172.16.${node}.${at}`,
    conditions: [{ type: 'Ready', status: ready }],
  },
});
