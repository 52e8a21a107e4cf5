import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Cluster, startCluster } from '../../cluster/cluster.ts';
import { DataFolder } from '../../cluster/data-folder.ts';
import { Exec } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { lineLog } from '../../fault/log.ts';
import { type ClusterProfile, profileOf } from '../../world/profile.ts';

export interface UpOptions {
  readonly data: string;
  readonly nodes: number;
  readonly profile: string;
  readonly proxyMode: string;
  readonly port: number;
  readonly detach?: boolean;
}

/** Starts a cluster; in the foreground it stays until SIGINT or SIGTERM. */
export async function up(options: UpOptions): Promise<void> {
  if (options.detach) return upDetached(options);
  const cluster = await startSaying(options);
  // Whoever reads "ready" may ask it to end at once.
  const asked = ended();
  process.stdout.write('ready\n');
  say(howToUse(cluster));
  const signal = await asked;
  await cluster.stop();
  process.exitCode = signal === 'SIGINT' ? 130 : 0;
}

/** Starts a cluster as the options say, with its progress on standard error. */
export async function startSaying(options: Omit<UpOptions, 'detach'>): Promise<Cluster> {
  const data = new DataFolder(options.data);
  const log = lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
  );
  const quiet = { ...log, info: () => undefined };
  const began = performance.now();
  return startCluster({
    data,
    nodes: options.nodes,
    profile: clusterProfile(options.profile, options.proxyMode),
    port: options.port,
    log: quiet,
    progress: (what) => say(`${((performance.now() - began) / 1000).toFixed(1)} s  ${what}`),
  });
}

/**
 * The documents' cluster: CCE runs kube-proxy with masquerade-all, without which a pod on a bridge (network `vpc`) gets the
 * answer of a neighbour on its node past the node, untranslated.
 */
export const clusterProfile = (network: string, proxyMode: string): ClusterProfile =>
  profileOf({ cloud: 'cce', network, proxyMode }, network);

export function howToUse(cluster: Cluster): string {
  return [
    '',
    'To use the cluster:',
    `  export KUBECONFIG=${cluster.kubeconfig}`,
    '  kubectl get nodes',
    'A client outside of it:  npm run -s fairlead -- enter external curl http://NODE_EIP:NODEPORT',
  ].join('\n');
}

/** The signal that asked this process to end. */
export async function ended(): Promise<NodeJS.Signals> {
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  return Promise.race(signals.map(async (signal) => once(process, signal).then(() => signal)));
}

/** The same supervisor in a session of its own; this process waits for its word that it is ready. */
async function upDetached(options: UpOptions): Promise<void> {
  const data = new DataFolder(options.data);
  data.claim();
  const main = new URL(import.meta.filename.endsWith('.ts') ? '../main.ts' : '../main.js', import.meta.url)
    .pathname;
  const { nodes, profile, proxyMode, port } = options;
  const args = [
    '--nodes',
    nodes,
    '--profile',
    profile,
    '--proxy-mode',
    proxyMode,
    '--port',
    port,
    '--data',
    data.path,
  ];
  const running = await new Exec().start(process.execPath, [main, 'up', ...args.map(String)], {
    stdout: 'pipe',
    stderr: data.openLog('supervisor'),
    detached: true,
  });
  const { stdout } = running;
  if (stdout === null) throw new Error('the supervisor has a pipe');
  const ready = new Promise<'ready'>((resolve) =>
    createInterface(stdout).on('line', (line) => line === 'ready' && resolve('ready')),
  );
  const word = await Promise.race([ready, running.ended]);
  if (word !== 'ready') {
    throw new Fault(
      'FE002',
      'the supervisor ended before the cluster was ready',
      `see ${data.log('supervisor')}`,
    );
  }
  stdout.destroy();
  running.unref();
  say(`the cluster is up (process ${running.pid}); end it with: fairlead down --data ${data.path}`);
  say(`export KUBECONFIG=${data.kubeconfig}`);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
