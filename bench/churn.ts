/**
 * From the request that deletes a pod to the moment every node's rules have changed: what a client of the Service may
 * still be sent to the dying pod. Watched in each node's kernel with nft monitor. The peer is the bound, 200 ms.
 */
import { on } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clusterProfile } from '../src/cli/commands/up.ts';
import { type Cluster, startCluster } from '../src/cluster/cluster.ts';
import { DataFolder } from '../src/cluster/data-folder.ts';
import type { Running } from '../src/exec/exec.ts';
import { lineLog } from '../src/fault/log.ts';
import type { Deployment, Endpoints, Pod, Service } from '../src/kube/objects.ts';
import { RESOURCES } from '../src/kube/resources.ts';
import { percentile, report } from './report.ts';

const REPLICAS = 10;
const LABELS = { app: 'churn' };

export async function run(args: readonly string[]): Promise<void> {
  const n = Number(args[0] ?? 100);
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  const cluster = await startCluster({
    data: new DataFolder(folder),
    nodes: 3,
    profile: clusterProfile('tunnel', 'nftables'),
    port: 0,
    log: lineLog(
      (line) => process.stderr.write(line),
      () => new Date(),
    ),
  });
  try {
    await serve(cluster);
    const monitors = await Promise.all(cluster.nodes.map(({ name }) => monitor(cluster, name)));
    const took: number[] = [];
    // The first deletion shows that the monitors listen; it is not counted.
    for (let at = 0; at <= n; at++) {
      const ms = await deleteOne(cluster, monitors);
      if (at > 0) took.push(ms);
    }
    for (const { process: running } of monitors) running.kill('SIGTERM');
    for (const [share, name] of [
      [0.5, 'p50'],
      [0.99, 'p99'],
    ] as const) {
      report({
        name: `churn: pod deleted to every node's rules, ${name} (peer: bound)`,
        ours: percentile(took, share),
        peer: 200,
        unit: 'ms',
        n,
      });
    }
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true });
  }
}

async function serve({ client }: Cluster): Promise<void> {
  await client.create<Deployment>(RESOURCES.deployments, deployment(), 'default');
  await client.create<Service>(RESOURCES.services, service(), 'default');
  await settled(client);
}

/** Waits until the Service has all its endpoints. */
async function settled(client: Cluster['client']): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  const options = { namespace: 'default', fieldSelector: 'metadata.name=churn', signal };
  const full = (one: Endpoints) => (one.subsets?.[0]?.addresses?.length ?? 0) === REPLICAS;
  const { items, resourceVersion } = await client.list<Endpoints>(RESOURCES.endpoints, options);
  if (items.some(full)) return;
  for await (const event of client.watch<Endpoints>(RESOURCES.endpoints, { ...options, resourceVersion })) {
    if (event.type !== 'ERROR' && event.type !== 'BOOKMARK' && full(event.object)) return;
  }
}

interface Monitor {
  readonly process: Running;
  /** Resolves with the time of the transaction after which the kernel held no element with this address. */
  gone(address: string): Promise<number>;
}

/**
 * nft monitor tells when a transaction has come into force. What is in it this version cannot print for maps of typeof
 * keys, so the map is listed after each, and the time of the first one without the address counts.
 */
async function monitor(cluster: Cluster, node: string): Promise<Monitor> {
  const exec = cluster.exec(node);
  const process = await exec.start('stdbuf', ['-oL', 'nft', 'monitor'], { stdout: 'pipe' });
  if (process.stdout === null) throw new Error('the monitor has a pipe');
  const lines = createInterface(process.stdout);
  const holds = async (address: string) => {
    const args = ['list', 'map', 'ip', 'fairlead', 'endpoints-tcp'];
    return (await exec.run({ file: 'nft', args })).stdout.includes(`: ${address} .`);
  };
  const gone = async (address: string) => {
    const late = AbortSignal.timeout(10_000);
    for await (const [line] of on(lines, 'line', { signal: late }) as AsyncIterable<[string]>) {
      const at = performance.now();
      if (line.startsWith('# new generation') && !(await holds(address))) return at;
    }
    throw new Error(`${node}: ${address} stayed in the rules for 10 s`);
  };
  return { process, gone };
}

async function deleteOne({ client }: Cluster, monitors: readonly Monitor[]): Promise<number> {
  const { items } = await client.list<Pod>(RESOURCES.pods, {
    namespace: 'default',
    labelSelector: 'app=churn',
  });
  const pod = items.find(({ metadata }) => metadata?.deletionTimestamp === undefined);
  const address = pod?.status?.podIP ?? '';
  const gone = Promise.all(monitors.map((each) => each.gone(address)));
  const began = performance.now();
  await client.delete(RESOURCES.pods, { name: pod?.metadata?.name ?? '', namespace: 'default' });
  const last = Math.max(...(await gone));
  await settled(client);
  return last - began;
}

const deployment = (): Deployment => ({
  metadata: { name: 'churn' },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: LABELS },
    template: {
      metadata: { labels: LABELS },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'responder', image: 'fairlead/responder', ports: [{ containerPort: 80 }] }],
      },
    },
  },
});

const service = (): Service => ({
  metadata: { name: 'churn' },
  spec: { selector: LABELS, ports: [{ port: 80 }] },
});
