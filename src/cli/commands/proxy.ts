import { type ProxySettings, readSettings } from '../../cluster/settings.ts';
import { Exec } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { Addr } from '../../ip/ip.ts';
import { DEFAULT_CONFIG, type ProxyConfig, type ProxyMode } from '../../proxy/proxy.ts';
import { runProxy } from '../../sync/sync.ts';
import { profileOf } from '../../world/profile.ts';
import { proxyConfigOf } from '../../world/proxy-config.ts';
import { type DaemonOptions, daemonClient, daemonContext } from '../daemon.ts';

export interface ProxyOptions extends DaemonOptions {
  readonly node?: string;
  readonly proxyMode?: ProxyMode;
}

/** kube-proxy's own addresses. */
const LISTEN = { health: { host: '0.0.0.0', port: 10256 }, metrics: { host: '127.0.0.1', port: 10249 } };

/** The Service rules of one node, whose network namespace this process runs in. */
export async function proxy(options: ProxyOptions): Promise<void> {
  const { node, nodeIPs, mode, config } = chosen(options);
  const { log, signal, ready } = daemonContext('proxy');
  const client = await daemonClient(options);
  const running = runProxy({
    client,
    nodeName: node,
    ...(nodeIPs === undefined ? {} : { nodeIPs }),
    mode,
    config,
    exec: new Exec(),
    signal,
    log: log.with({ node }),
    listen: LISTEN,
  });
  await running.synced;
  ready();
  await running.ended;
  await client.close();
}

interface Choice {
  readonly node: string;
  readonly nodeIPs?: readonly Addr[];
  readonly mode: ProxyMode;
  readonly config: ProxyConfig;
}

function chosen(options: ProxyOptions): Choice {
  if (options.config !== undefined) {
    const settings = readSettings<ProxySettings>(options.config, 'fairlead proxy');
    const profile = profileOf(settings.profile);
    const nodeIPs = [Addr.parse(settings.nodeIP)];
    return { node: settings.node, nodeIPs, mode: profile.proxyMode, config: proxyConfigOf(profile) };
  }
  if (options.node === undefined) {
    throw new Fault('FE006', 'fairlead proxy must know its node', 'name it with --node or in $NODE_NAME');
  }
  return { node: options.node, mode: options.proxyMode ?? 'nftables', config: DEFAULT_CONFIG };
}
