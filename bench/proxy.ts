/**
 * The Service rules of one node, in network namespaces that vanish. Peers, in the same run and by the same tools: the layout
 * kube-proxy's nftables mode writes, and iptables with kube-proxy's chains. Where no peer can be had within the time, the
 * peer is a bound, and the name says so.
 *
 * `npm run -s bench -- proxy [SERVICES [PART…]]`: parts are load, large, daemon and packets; all of them unless said.
 */
import type { Exec } from '../src/exec/exec.ts';
import { lineLog } from '../src/fault/log.ts';
import { type Cage, openCage } from '../src/lab/cage.ts';
import { DEFAULT_CONFIG } from '../src/proxy/proxy.ts';
import type { Backend } from '../src/sync/backend.ts';
import { IptablesBackend } from '../src/sync/iptables-backend.ts';
import { NetlinkRelay } from '../src/sync/netlink-relay.ts';
import { NftablesBackend } from '../src/sync/nftables-backend.ts';
import { measureDaemon } from './proxy/daemon.ts';
import { measure, type Took } from './proxy/loading.ts';
import { measurePackets } from './proxy/packets.ts';
import { measurePeer } from './proxy/peer.ts';
import { ENDPOINTS, NODE } from './proxy/services.ts';
import { percentile, report } from './report.ts';

const CHANGES = 20;
const DAEMON_CHANGES = 200;
const LARGE = 5;

type Part = (cage: Cage, services: number) => Promise<void>;

const PARTS: Readonly<Record<string, Part>> = { load, large, daemon, packets: measurePackets };

export async function run(args: readonly string[]): Promise<void> {
  const [services = '10000', ...named] = args;
  const parts = named.length === 0 ? Object.keys(PARTS) : named;
  const cage = await openCage();
  try {
    for (const name of parts) await PARTS[name]?.(cage, Number(services));
  } finally {
    await cage.close();
  }
}

const sizeOf = (services: number): string => `${services} Services x ${ENDPOINTS} endpoints`;

async function load(cage: Cage, services: number): Promise<void> {
  const ours = await withOurs(cage, 'ours', (backend) => measure(backend, services, CHANGES));
  const iptables = new IptablesBackend(await place(cage, 'iptables'), NODE, DEFAULT_CONFIG);
  const peers = [
    [
      'nftables with chains of each Service, tool alone',
      await measurePeer(await place(cage, 'chains'), services, CHANGES),
    ],
    ['iptables', await measure(iptables, services, CHANGES)],
  ] as const;
  for (const [peer, took] of peers) {
    const size = sizeOf(services);
    const name = `proxy: ${size}, plan, compile and load; peer: ${peer}`;
    report({ name, ours: ours.load, peer: took.load, unit: 'ms', n: 1 });
    const change = `proxy: one endpoint changed among ${size}, p50; peer: ${peer}`;
    report({ name: change, ours: ours.change, peer: took.change, unit: 'ms', n: CHANGES });
  }
}

/**
 * The per-service layout would take minutes here, so the peer is our own time at a fifth of the size, five times. Both are
 * the better of two, so that neither pays for code that is not compiled yet.
 */
async function large(cage: Cage, services: number): Promise<void> {
  const took: Took[] = [];
  const small: Took[] = [];
  for (let at = 0; at < 2; at++) {
    took.push(await withOurs(cage, 'large', (backend) => measure(backend, services * LARGE, CHANGES)));
    small.push(await withOurs(cage, 'small', (backend) => measure(backend, services, 0)));
  }
  const ours = Math.min(...took.map((one) => one.load));
  const peer = Math.min(...small.map((one) => one.load)) * LARGE;
  const name = `proxy: ${sizeOf(services * LARGE)}, plan, compile and load; peer: ${LARGE} times our load of ${services}`;
  report({ name, ours, peer, unit: 'ms', n: 2 });
  const change = `proxy: one endpoint changed among ${sizeOf(services * LARGE)}, p50 (peer: bound)`;
  const changed = Math.min(...took.map((one) => one.change));
  report({ name: change, ours: changed, peer: 10, unit: 'ms', n: CHANGES });
}

async function daemon(cage: Cage, services: number): Promise<void> {
  const size = sizeOf(services);
  const took = await measureDaemon(await place(cage, 'daemon'), services, DAEMON_CHANGES);
  const changes = { unit: 'ms', n: DAEMON_CHANGES, peer: 25 };
  const name = `proxy: one endpoint changed among ${size}, from the request to the API server to the kernel`;
  report({ name: `${name}, p50 (peer: bound)`, ours: percentile(took.changes, 0.5), ...changes });
  report({ name: `${name}, p99 (peer: bound)`, ours: percentile(took.changes, 0.99), ...changes });
  report({
    name: `proxy: resident memory of the daemon at ${size}, the most from its start on (peer: bound)`,
    ours: took.peak,
    peer: 200,
    unit: 'MB',
    n: 1,
    detail: { afterChanges: Math.round(took.changed), startMs: Math.round(took.start) },
  });
}

async function withOurs<T>(cage: Cage, name: string, use: (backend: Backend) => Promise<T>): Promise<T> {
  const exec = await place(cage, name);
  const log = lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
  );
  const relay = new NetlinkRelay(exec, log);
  try {
    return await use(new NftablesBackend(exec, NODE, DEFAULT_CONFIG, relay));
  } finally {
    await relay.close();
    await cage.exec().run({ file: 'ip', args: ['netns', 'del', name] });
  }
}

async function place(cage: Cage, name: string): Promise<Exec> {
  await cage.exec().run({ file: 'ip', args: ['netns', 'add', name] });
  return cage.exec(name);
}
