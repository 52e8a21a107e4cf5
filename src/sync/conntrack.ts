import type { Clock } from '../client/clock.ts';
import type { Exec } from '../exec/exec.ts';
import type { Log } from '../fault/log.ts';
import type { PortPlan, ServicePlan } from '../proxy/proxy.ts';
import type { ProxyMetrics } from './metrics.ts';
import type { Replanned } from './planner.ts';

/** Where clients of a UDP port send, and who may answer. */
interface UdpTarget {
  /** Undefined for a node port, which every address of the node has. */
  readonly address: string | undefined;
  readonly port: number;
  /**
   * All that serve, whatever policy, hints and their ending say of new flows: what there is stays where it is, as connections
   * do (CleanStaleEntries in kube-proxy's pkg/proxy/conntrack).
   */
  readonly endpoints: ReadonlySet<string>;
}

/** One connection of `conntrack -L`. */
interface Flow {
  readonly destination: string;
  readonly destinationPort: number;
  readonly answerer: string;
  readonly answererPort: number;
}

/**
 * Deletes what conntrack remembers of UDP flows to endpoints that are gone. TCP notices a dead peer; a UDP client that sends
 * again within the timeout keeps the old rewriting for ever (kubernetes 48370, 125467, 139628), also where the Service has
 * no endpoint left or is deleted, and where it had none when the flow began.
 */
export class ConntrackSweeper {
  readonly #exec: Exec;
  readonly #log: Log;
  readonly #metrics: ProxyMetrics;
  readonly #clock: Clock;

  constructor(exec: Exec, log: Log, metrics: ProxyMetrics, clock: Clock) {
    this.#exec = exec;
    this.#log = log;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  async sweep(changes: readonly Replanned[]): Promise<void> {
    for (const family of [4, 6] as const) {
      const targets = changes.flatMap((change) => targetsOf(change, family));
      if (targets.length === 0) continue;
      const began = this.#clock.now();
      const deleted = await this.#sweepFamily(family, targets);
      this.#metrics.conntrackSwept(family, this.#clock.now() - began, deleted);
    }
  }

  /** How many flows are gone. */
  async #sweepFamily(family: 4 | 6, targets: readonly UdpTarget[]): Promise<number> {
    const base = ['-f', `ipv${family}`, '-p', 'udp'];
    const { stdout } = await this.#exec.run({ file: 'conntrack', args: ['-L', ...base] });
    const byKey = new Map(targets.map((one) => [keyOf(one.address, one.port), one]));
    const stale = new Map<string, Flow>();
    for (const flow of parseFlows(stdout)) {
      const target =
        byKey.get(keyOf(flow.destination, flow.destinationPort)) ??
        byKey.get(keyOf(undefined, flow.destinationPort));
      if (target === undefined) continue;
      const answerer = endpointText(flow.answerer, flow.answererPort);
      if (!target.endpoints.has(answerer))
        stale.set(`${flow.destination} ${flow.destinationPort} ${answerer}`, flow);
    }
    for (const flow of stale.values()) {
      const match = ['--orig-dst', flow.destination, '--orig-port-dst', String(flow.destinationPort)];
      const answerer = ['--reply-src', flow.answerer, '--reply-port-src', String(flow.answererPort)];
      const args = ['-D', ...base, ...match, ...answerer];
      // 1: the entry has run out meanwhile.
      await this.#exec.run({ file: 'conntrack', args, accept: [0, 1] });
    }
    if (stale.size > 0) this.#log.info('deleted stale UDP flows', { flows: stale.size });
    return stale.size;
  }
}

const keyOf = (address: string | undefined, port: number): string => `${address ?? '*'} ${port}`;
const endpointText = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** What the change can have made stale: a port that sends elsewhere than before, or is gone. */
function targetsOf(change: Replanned, family: 4 | 6): UdpTarget[] {
  const before = udpTargets(change.before, family);
  const after = udpTargets(change.plan, family);
  const changed: UdpTarget[] = [];
  for (const [key, target] of after) {
    const old = before.get(key);
    if (old === undefined || [...old.endpoints].sort().join() !== [...target.endpoints].sort().join()) {
      changed.push(target);
    }
  }
  for (const [key, target] of before) if (!after.has(key)) changed.push({ ...target, endpoints: new Set() });
  return changed;
}

function udpTargets(plan: ServicePlan | undefined, family: 4 | 6): Map<string, UdpTarget> {
  const targets = new Map<string, UdpTarget>();
  for (const port of plan?.ports ?? []) {
    if (port.protocol !== 'UDP' || port.family !== family) continue;
    for (const target of targetsOfPort(port)) targets.set(keyOf(target.address, target.port), target);
  }
  return targets;
}

function targetsOfPort(port: PortPlan): UdpTarget[] {
  const planned = [...port.cluster, ...port.local].map(({ endpoint }) => endpoint);
  const endpoints = new Set([...planned, ...(port.spared ?? [])].map(({ text }) => text));
  const { addr: clusterIP, port: number } = port.clusterIP;
  const targets = [clusterIP, ...port.externalIPs, ...port.loadBalancerIPs].map(
    (addr): UdpTarget => ({ address: addr.text, port: number, endpoints }),
  );
  const { nodePort } = port;
  return nodePort === undefined ? targets : [...targets, { address: undefined, port: nodePort, endpoints }];
}

/** The second `src=` of a line is who answers: the endpoint, once the destination is rewritten. */
function parseFlows(text: string): Flow[] {
  const flows: Flow[] = [];
  for (const line of text.split('\n')) {
    const [original, reply] = line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g);
    if (original?.[2] === undefined || reply?.[1] === undefined) continue;
    flows.push({
      destination: original[2],
      destinationPort: Number(original[4]),
      answerer: reply[1],
      answererPort: Number(reply[3]),
    });
  }
  return flows;
}
