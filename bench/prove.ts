/**
 * How fast Worlds are built and proven: `npm run -s bench -- prove [--guest]`. Building and probing are measured apart, each
 * against the bound it is held to, in seconds; with `--guest` also the start of a guest and the Worlds that one boot serves.
 */
import { parseArgs } from 'node:util';
import type { Node, Pod, Service } from '../src/kube/objects.ts';
import { type Cage, openCage } from '../src/lab/cage.ts';
import { prove, type Question, startListeners } from '../src/lab/prove/prove.ts';
import { realise } from '../src/lab/realise.ts';
import { openVm } from '../src/lab/vm/vm.ts';
import { type Cluster, clusterFrom, inventoryOfCluster } from '../src/world/from-objects/from-objects.ts';
import { type ProfileSpec, profileOf } from '../src/world/profile.ts';
import { questionsOf } from '../test/prove/questions.ts';
import { clusterOf, type Scenario } from '../test/prove/scenario.ts';
import { report } from './report.ts';

/** Three nodes, a pod of the Service on one of them and a client on each; policy Local, so that there are timeouts. */
const THREE_NODES: Omit<Scenario, 'profile'> = {
  nodes: 3,
  pods: [
    { node: 0, app: 'a' },
    { node: 0, app: 'client' },
    { node: 1, app: 'client' },
    { node: 2, app: 'client' },
  ],
  services: [
    {
      type: 'LoadBalancer',
      app: 'a',
      external: 'Local',
      ingress: ['private', 'public'],
      ports: [
        { protocol: 'TCP', target: 'open' },
        { protocol: 'UDP', target: 'open' },
      ],
    },
  ],
};

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { guest: { type: 'boolean', default: false } } });
  for (const [network, proxyMode] of [
    ['tunnel', 'nftables'],
    ['vpc', 'iptables'],
  ] as const) {
    await measureMatrix({ network, proxyMode });
  }
  await measureHundredPods();
  if (values.guest) await measureGuest();
}

async function measureMatrix(profile: ProfileSpec): Promise<void> {
  const scenario = { ...THREE_NODES, profile };
  const cluster = clusterOf(scenario);
  const questions = questionsOf(scenario, cluster);
  const { building, probing, agreed } = await timed(cluster, questions, openCage);
  const what = `${profile.network} ${profile.proxyMode}`;
  tell(`a matrix of 3 nodes built, ${what}`, building, 10, 1);
  tell(`a matrix of 3 nodes probed, timeouts included, ${what}`, probing, 10, questions.length);
  if (agreed < questions.length) throw new Error(`${questions.length - agreed} answers were not foretold`);
}

async function measureHundredPods(): Promise<void> {
  const cluster = hundredPods();
  const { building } = await timed(cluster, [], openCage);
  tell('a World of 100 pods on 10 nodes built', building, 20, cluster.world.hosts.size);
}

function hundredPods(): Cluster {
  const nodes = Array.from(
    { length: 10 },
    (_, at): Node => ({
      metadata: { name: `n${at + 1}` },
      spec: { podCIDR: `172.16.${at + 1}.0/24` },
      status: { addresses: [{ type: 'InternalIP', address: `192.168.0.${11 + at}` }] },
    }),
  );
  const pods = Array.from({ length: 100 }, (_, at): Pod => {
    const node = at % nodes.length;
    return {
      metadata: { name: `pod-${at}`, namespace: 'default', labels: { app: `app-${at % 20}` } },
      spec: { nodeName: `n${node + 1}`, containers: [{ name: 'main', ports: [{ containerPort: 8080 }] }] },
      status: {
        phase: 'Running',
        podIP: `172.16.${node + 1}.${10 + at}`,
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    };
  });
  const services = Array.from(
    { length: 20 },
    (_, at): Service => ({
      metadata: { name: `svc-${at}`, namespace: 'default' },
      spec: {
        type: 'NodePort',
        clusterIP: `10.247.0.${10 + at}`,
        selector: { app: `app-${at}` },
        ports: [{ port: 80, targetPort: 8080, nodePort: 30000 + at, protocol: 'TCP' }],
      },
    }),
  );
  const profile = profileOf({ network: 'tunnel', proxyMode: 'nftables' });
  return clusterFrom(inventoryOfCluster({ nodes, pods, services, slices: [] }, []), profile);
}

/** One boot serves many Worlds: each is held against a boot of its own. */
async function measureGuest(): Promise<void> {
  const vm = await openVm({ progress: (line) => process.stderr.write(`${line}\n`) });
  const boot = vm.facts.bootMs / 1000;
  try {
    tell(`a guest started by ${vm.facts.accelerator}`, boot, 15, 1);
    for (const network of ['tunnel', 'vpc'] as const) {
      const cluster = clusterOf({ ...THREE_NODES, profile: { network, proxyMode: 'ipvs' } });
      const { building } = await timed(cluster, [], () => vm.openCage());
      tell(
        `a World of 3 nodes built in a guest that is up, ${network} ipvs, against its boot`,
        building,
        boot,
        1,
      );
    }
  } finally {
    await vm.close();
  }
}

async function timed({ world }: Cluster, questions: readonly Question[], open: () => Promise<Cage>) {
  const began = performance.now();
  const cage = await open();
  try {
    await realise(world, cage);
    await startListeners(world, cage);
    const stands = performance.now();
    const { agreements } = await prove(world, cage, questions);
    const ended = performance.now();
    return {
      building: (stands - began) / 1000,
      probing: (ended - stands) / 1000,
      agreed: agreements.length,
    };
  } finally {
    await cage.close();
  }
}

const tell = (name: string, ours: number, peer: number, n: number) =>
  report({ name, ours, peer, unit: 's', n });
