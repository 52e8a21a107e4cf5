/** A node agent as a process of its own, for tests: `node kubelet-fixture.ts '<FixtureOptions as JSON>'` at a node of a cage. */
import { socketClient } from '../client/http-client.ts';
import { Exec } from '../exec/exec.ts';
import { lineLog } from '../fault/log.ts';
import { Addr, Prefix } from '../ip/ip.ts';
import { NodeNetwork, type NodeNetworkConfig } from '../lab/node-network.ts';
import { runKubelet } from './kubelet.ts';

export interface FixtureOptions {
  readonly admin: string;
  readonly node: NodeNetworkConfig;
  readonly runtimeDir: string;
  readonly socketPath: string;
}

const options = JSON.parse(process.argv[2] ?? '{}') as FixtureOptions;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const client = socketClient(options.admin);
await runKubelet({
  client,
  nodeName: options.node.name,
  nodeIP: Addr.parse(options.node.address),
  network: new NodeNetwork(options.node, new Exec()),
  clusterDns: Addr.parse('10.247.3.10'),
  clusterDomain: 'cluster.local',
  runtimeDir: options.runtimeDir,
  socketPath: options.socketPath,
  podCidr: Prefix.parse(options.node.podCIDR),
  signal: stop.signal,
  log: lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
  ),
});
await client.close();
