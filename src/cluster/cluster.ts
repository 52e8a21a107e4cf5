/**
 * A whole cluster on this machine: the cage, the network, and the daemons in it.
 *
 * Promises: when {@link startCluster} resolves, every node is Ready, every node's Service rules are programmed and the
 * cluster DNS answers; a daemon that dies is started again; {@link Cluster.stop}, SIGTERM and SIGKILL of this process all end
 * with no process, namespace, mount or rule left; objects acknowledged by the API server are there at the next start.
 * Refuses: to share a data folder with another supervisor, and to touch the machine's own network.
 *
 * @example
 * const cluster = await startCluster({ data: new DataFolder('/tmp/x'), nodes: 3, profile, port: 0, log });
 * await cluster.stop();
 */
import { closeSync, writeFileSync } from 'node:fs';
import type { KubeClient } from '../client/client.ts';
import { clientFromKubeconfig } from '../client/kubeconfig.ts';
import { type Exec, requireTools } from '../exec/exec.ts';
import type { Log } from '../fault/log.ts';
import { type Cage, openCage } from '../lab/cage.ts';
import { nodeNetworkConfig } from '../lab/node-network.ts';
import { realise } from '../lab/realise.ts';
import { chooseKernel, featuresOf } from '../lab/vm/kernel.ts';
import type { ProxyMode } from '../proxy/proxy.ts';
import { withoutIpvs } from '../sync/sync.ts';
import { buildCluster } from '../world/build.ts';
import { defaultNodes, type NodeFacts } from '../world/facts.ts';
import { podRange } from '../world/node-host.ts';
import { type ClusterProfile, dnsServiceAddress, specOf } from '../world/profile.ts';
import { addressOf, hostOf, type World } from '../world/world.ts';
import { Daemon } from './daemon.ts';
import type { DataFolder } from './data-folder.ts';
import { clusterReady } from './readiness.ts';
import { relay } from './relay.ts';
import type { ControlPlaneSettings, KubeletSettings, ProxySettings } from './settings.ts';
import { kubeletSocket, RUN, TLS_SOCKET } from './settings.ts';

export interface ClusterOptions {
  readonly data: DataFolder;
  readonly nodes: number;
  readonly profile: ClusterProfile;
  /** Of the API server on loopback; 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
  /** Told what is being waited for. */
  readonly progress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

export interface Cluster {
  readonly kubeconfig: string;
  readonly port: number;
  readonly world: World;
  readonly nodes: readonly NodeFacts[];
  readonly daemons: readonly Daemon[];
  /** With the administrator's credentials. */
  readonly client: KubeClient;
  /** How long each part of the start took, in milliseconds since it began. */
  readonly timings: Readonly<Record<string, number>>;
  /** Where commands run on a host of the cluster. */
  exec(host: string): Exec;
  stop(): Promise<void>;
}

export const CLUSTER_DOMAIN = 'cluster.local';
const API_PORT = 5444;
/** In a machine whose processor is translated the API server takes half a minute to start. */
const READY_BOUND_MS = 120_000;

/** What the network, the pods and the proxy are made with; `fairlead up` looks for all of it first. */
const TOOLS = [
  'unshare',
  'nsenter',
  'setpriv',
  'ip',
  'bridge',
  'nft',
  'sysctl',
  'conntrack',
  'crun',
  'conmon',
  'perl',
];
const IPTABLES_TOOLS = ['iptables-save', 'iptables-restore'];
const TOOLS_OF: Readonly<Record<ProxyMode, readonly string[]>> = {
  nftables: [],
  iptables: IPTABLES_TOOLS,
  ipvs: [...IPTABLES_TOOLS, 'ipvsadm', 'ipset'],
};

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  options.data.claim();
  await options.data.untilLater();
  const { proxyMode } = options.profile;
  requireTools([...TOOLS, ...TOOLS_OF[proxyMode]]);
  const { kernel, reason } = await chooseKernel(featuresOf(proxyMode));
  if (kernel === 'vm') throw withoutIpvs(reason);
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    while (closers.length > 0) await closers.pop()?.();
  };
  try {
    return await start(options, closers, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: ClusterOptions,
  closers: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<Cluster> {
  const { data, profile, log } = options;
  const timings: Record<string, number> = {};
  const began = performance.now();
  const passed = (what: string) => {
    timings[what] = Math.round(performance.now() - began);
    options.progress?.(what);
  };

  const cage = await openCage();
  closers.push(() => cage.close());
  const front = await relay(options.port, cage.root + TLS_SOCKET);
  closers.push(() => front.close());
  const nodes = defaultNodes(profile, options.nodes);
  const world = buildCluster({ profile, nodes });
  await realise(world, cage);
  passed('network');

  data.record({
    cagePid: cage.pid,
    port: front.port,
    privilege: cage.privilege,
    nodes: nodes.map(({ name }) => name),
    profile: profile.network,
  });
  closers.push(() => data.release());
  const daemons = startDaemons(options, cage, world, nodes, front.port, closers);
  closers.push(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
  });

  const controlPlane = daemons.find(({ name }) => name === 'control-plane');
  await controlPlane?.ready(READY_BOUND_MS);
  passed('API server');
  const client = await clientFromKubeconfig(data.kubeconfig);
  closers.push(() => client.close());
  await Promise.all([
    ...daemons.map((daemon) => daemon.ready(READY_BOUND_MS)),
    clusterReady(
      client,
      nodes.map(({ name }) => name),
      Date.now() - (performance.now() - began),
      READY_BOUND_MS,
    ),
  ]);
  passed('ready');
  log.info('cluster ready', { ms: timings.ready ?? 0, port: front.port });
  const exec = (host: string) => cage.exec(hostOf(world, host).netns);
  return {
    kubeconfig: data.kubeconfig,
    port: front.port,
    world,
    nodes,
    daemons,
    client,
    timings,
    exec,
    stop,
  };
}

function startDaemons(
  options: ClusterOptions,
  cage: Cage,
  world: World,
  nodes: readonly NodeFacts[],
  port: number,
  closers: (() => void)[],
): Daemon[] {
  const { data, profile, log } = options;
  const launch = (name: string, command: string, netns: string, settings: object) => {
    const file = `${RUN}/${name}.json`;
    writeFileSync(cage.root + file, JSON.stringify(settings), { mode: 0o600 });
    const logFd = data.openLog(name);
    closers.push(() => closeSync(logFd));
    const announces = command !== 'kubelet';
    return Daemon.start(
      { name, exec: cage.exec(netns), args: [command, '--config', file], log: logFd, announces },
      log,
    );
  };
  const spec = specOf(profile);
  const controlPlane: ControlPlaneSettings = {
    profile: spec,
    dataDir: data.path,
    kubeconfig: data.kubeconfig,
    publicServer: `https://127.0.0.1:${port}`,
    address: addressOf(hostOf(world, 'control-plane')).text,
    port: API_PORT,
    clusterDomain: CLUSTER_DOMAIN,
  };
  return [
    launch('control-plane', 'control-plane', hostOf(world, 'control-plane').netns, controlPlane),
    ...nodes.flatMap((node) => {
      const { netns } = hostOf(world, node.name);
      const kubelet: KubeletSettings = {
        node: node.name,
        nodeIP: node.address.text,
        ...(node.elastic === undefined ? {} : { externalIP: node.elastic.text }),
        podCIDR: podRange(node.name, node).text,
        network: nodeNetworkConfig(profile, node),
        clusterDns: dnsServiceAddress(profile).text,
        clusterDomain: CLUSTER_DOMAIN,
        socket: kubeletSocket(node.name),
      };
      const proxy: ProxySettings = { node: node.name, nodeIP: node.address.text, profile: spec };
      return [
        launch(`kubelet-${node.name}`, 'kubelet', netns, kubelet),
        launch(`proxy-${node.name}`, 'proxy', netns, proxy),
      ];
    }),
  ];
}
