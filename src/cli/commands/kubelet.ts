import { type KubeletSettings, RUN, readSettings } from '../../cluster/settings.ts';
import { Exec } from '../../exec/exec.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import { runKubelet } from '../../kubelet/kubelet.ts';
import { NodeNetwork } from '../../lab/node-network.ts';
import { type DaemonOptions, daemonClient, daemonContext } from '../daemon.ts';

/** The node agent of the node its settings name; it runs in that node's network namespace. */
export async function kubelet(options: DaemonOptions): Promise<void> {
  const settings = readSettings<KubeletSettings>(options.config, 'fairlead kubelet');
  const { log, signal } = daemonContext('kubelet');
  const client = await daemonClient(options);
  const { externalIP } = settings;
  await runKubelet({
    client,
    nodeName: settings.node,
    nodeIP: Addr.parse(settings.nodeIP),
    ...(externalIP === undefined ? {} : { externalIP: Addr.parse(externalIP) }),
    podCidr: Prefix.parse(settings.podCIDR),
    network: new NodeNetwork(settings.network, new Exec()),
    clusterDns: Addr.parse(settings.clusterDns),
    clusterDomain: settings.clusterDomain,
    runtimeDir: `${RUN}/kubelet-${settings.node}`,
    socketPath: settings.socket,
    signal,
    log: log.with({ node: settings.node }),
  });
  await client.close();
}
