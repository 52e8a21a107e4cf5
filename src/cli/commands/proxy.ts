import { existsSync, readFileSync, unwatchFile, watchFile, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse } from 'yaml';
import type { ProxySettings } from '../../cluster/settings.ts';
import { Exec } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { errorFields, type Log } from '../../fault/log.ts';
import { Addr } from '../../ip/ip.ts';
import { DEFAULT_CONFIG, type ProxyConfig, type ProxyMode } from '../../proxy/proxy.ts';
import {
  cleanupProxy,
  type IpvsSettings,
  type ProxyListen,
  runProxy,
  type SyncIntervals,
} from '../../sync/sync.ts';
import { profileOf } from '../../world/profile.ts';
import { proxyConfigOf } from '../../world/proxy-config.ts';
import { type DaemonOptions, daemonClient, daemonContext } from '../daemon.ts';
import { compactHeap, keepHeapLean } from '../lean-heap.ts';
import { isKubeProxyConfiguration, readKubeProxyConfiguration } from './kube-proxy-configuration.ts';

export interface ProxyOptions extends DaemonOptions {
  readonly node?: string;
  readonly proxyMode?: ProxyMode;
  readonly cleanup?: boolean;
  /** Milliseconds; 0 is as good as left out. */
  readonly syncPeriod?: number;
  readonly minSyncPeriod?: number;
}

/** kube-proxy's own addresses. */
const LISTEN = { health: { host: '0.0.0.0', port: 10256 }, metrics: { host: '127.0.0.1', port: 10249 } };

/** The Service rules of one node, whose network namespace this process runs in. */
export async function proxy(options: ProxyOptions): Promise<void> {
  const exec = new Exec();
  if (options.cleanup === true) return cleanupProxy(exec);
  const choice = chosen(options);
  const { node, nodeIPs, mode, config, ipvs, listen, intervals, access } = choice;
  keepHeapLean();
  const { log, signal, ready } = daemonContext('proxy');
  const own = log.with({ node });
  for (const field of choice.unknown)
    own.warn('the configuration has a field kube-proxy does not know', { field });
  for (const field of choice.without) own.info('a field of the configuration has no effect', { field });
  await adjustKernel(exec, choice, own);
  const client = await daemonClient(access);
  const changed = choice.watched === undefined ? undefined : changeOf(choice.watched, signal);
  const running = runProxy({
    client,
    nodeName: node,
    ...(nodeIPs === undefined ? {} : { nodeIPs }),
    mode,
    config,
    ipvs,
    exec,
    signal: changed === undefined ? signal : AbortSignal.any([signal, changed]),
    log: own,
    listen,
    intervals: { ...intervals, ...intervalsOf(options) },
    // What the lists were read from would be kept beside the plans that are made of them.
    listed: compactHeap,
  });
  try {
    await running.synced;
    ready();
    compactHeap();
  } catch (error) {
    // It was ended before its first rules stood.
    if (!changed?.aborted) throw error;
  }
  await running.ended;
  await client.close();
  if (changed?.aborted)
    throw new Fault('FE016', `${choice.watched?.file} has changed`, 'start the proxy again');
}

/** How often the configuration is looked at: a ConfigMap in a pod is a link that is led elsewhere, of which no event tells. */
const LOOK_MS = 1000;

/** Aborts once the file holds something else than was read. One that is gone is taken to be on its way. */
function changeOf({ file, text }: Watched, signal: AbortSignal): AbortSignal {
  const changed = new AbortController();
  const look = () => {
    if (existsSync(file) && readFileSync(file, 'utf8') !== text) changed.abort();
  };
  watchFile(file, { interval: LOOK_MS, persistent: false }, look);
  const end = () => unwatchFile(file, look);
  for (const one of [signal, changed.signal]) one.addEventListener('abort', end, { once: true });
  return changed.signal;
}

const intervalsOf = ({ syncPeriod, minSyncPeriod }: ProxyOptions): Partial<SyncIntervals> => ({
  ...(syncPeriod ? { fullMs: syncPeriod } : {}),
  ...(minSyncPeriod ? { minMs: minSyncPeriod } : {}),
});

/** What the kernel does not let this namespace have is said, and no reason to leave the node without Services. */
async function adjustKernel(exec: Exec, { sysctls, oomScoreAdj }: Choice, log: Log): Promise<void> {
  for (const [name, value] of Object.entries(sysctls)) {
    try {
      await exec.run({ file: 'sysctl', args: ['-qw', `${name}=${value}`] });
    } catch (error) {
      log.warn('a sysctl that the configuration asks for cannot be set', {
        name,
        value,
        ...errorFields(error),
      });
    }
  }
  if (oomScoreAdj === undefined) return;
  try {
    writeFileSync('/proc/self/oom_score_adj', String(oomScoreAdj));
  } catch (error) {
    log.warn('oomScoreAdj cannot be set', { oomScoreAdj, ...errorFields(error) });
  }
}

interface Choice {
  readonly node: string;
  readonly nodeIPs?: readonly Addr[];
  readonly mode: ProxyMode;
  readonly config: ProxyConfig;
  readonly ipvs: IpvsSettings;
  readonly listen: ProxyListen;
  readonly intervals: Partial<SyncIntervals>;
  /** By the names of sysctl(8). */
  readonly sysctls: Readonly<Record<string, number>>;
  readonly oomScoreAdj?: number;
  /** Fields of the configuration that have no effect, and those that are none. */
  readonly without: readonly string[];
  readonly unknown: readonly string[];
  /** Where the API server is. */
  readonly access: DaemonOptions;
  /** kube-proxy's configuration, whose every change ends the proxy, so that whoever runs it starts it with the new one. */
  readonly watched?: Watched;
}

/** A file and what it held when it was read. */
interface Watched {
  readonly file: string;
  readonly text: string;
}

/** The file decides: kube-proxy's own by its apiVersion, else the supervisor's. */
function chosen(options: ProxyOptions): Choice {
  const rest = {
    ipvs: {},
    listen: LISTEN,
    intervals: {},
    sysctls: {},
    without: [],
    unknown: [],
    access: options,
  };
  if (options.config !== undefined) {
    const { document, ...read } = documentOf(options.config);
    if (isKubeProxyConfiguration(document)) return asKubeProxy(options, read, document);
    const settings = document as ProxySettings;
    const profile = profileOf(settings.profile);
    const nodeIPs = [Addr.parse(settings.nodeIP)];
    const { proxyMode: mode, kubernetesVersion } = profile;
    const config = proxyConfigOf(profile);
    return { ...rest, node: settings.node, nodeIPs, mode, config, ipvs: { kubernetesVersion } };
  }
  if (options.node === undefined) {
    throw new Fault('FE006', 'fairlead proxy must know its node', 'name it with --node or in $NODE_NAME');
  }
  return { ...rest, node: options.node, mode: options.proxyMode ?? 'nftables', config: DEFAULT_CONFIG };
}

/** JSON is YAML, too. */
function documentOf(file: string): Watched & { readonly document: unknown } {
  try {
    const text = readFileSync(file, 'utf8');
    return { file, text, document: parse(text) };
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new Fault('FE006', `${file} cannot be read: ${what}`, 'name a file of YAML or JSON', {
      cause: error,
    });
  }
}

/** What is said on the command line goes before the file. */
function asKubeProxy(options: ProxyOptions, watched: Watched, document: object): Choice {
  const { nodeIP, kubeconfig, ...read } = readKubeProxyConfiguration(
    watched.file,
    document,
    options.proxyMode,
  );
  const path = options.kubeconfig ?? kubeconfig;
  return {
    ...read,
    node: options.node ?? read.node ?? hostname().toLowerCase(),
    ...(nodeIP === undefined ? {} : { nodeIPs: [nodeIP] }),
    access: path === undefined ? {} : { kubeconfig: path },
    watched,
  };
}
