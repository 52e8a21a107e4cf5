/**
 * What packets pay: the first of a connection at different numbers of Services, and a stream of one that stands. Clients,
 * node and pods are network namespaces joined by veth pairs.
 */
import { createInterface } from 'node:readline';
import type { Exec, Running } from '../../src/exec/exec.ts';
import { lineLog } from '../../src/fault/log.ts';
import type { Cage } from '../../src/lab/cage.ts';
import { DEFAULT_CONFIG } from '../../src/proxy/proxy.ts';
import { NetlinkRelay } from '../../src/sync/netlink-relay.ts';
import { NftablesBackend } from '../../src/sync/nftables-backend.ts';
import { percentile, report } from '../report.ts';
import { measure } from './loading.ts';
import { FIRST_PACKETS, SINK, SOURCE } from './programs.ts';
import { clusterIP, NODE, POD_PORT, PORT, pod } from './services.ts';
import { type Wired, wire } from './wiring.ts';

/** A burst is short, so that the machine's other work spoils few of them; the sizes take turns. */
const BURST = 200;
const WARM_UP = 10;
const ROUNDS = 150;
const STREAMS = 7;

export async function measurePackets(cage: Cage, services: number): Promise<void> {
  const sizes = [...BUSY, services, services * 5];
  const nodes: Loaded[] = [];
  for (const size of sizes) nodes.push({ services: size, wired: await nodeWith(cage, size) });
  await firstPackets(nodes);
  const ours = nodes.find((node) => node.services === services);
  if (ours !== undefined) await streams(cage, services, ours.wired);
}

async function nodeWith(cage: Cage, services: number): Promise<Wired> {
  const wired = await wire(cage, String(services));
  const log = lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
  );
  const relay = new NetlinkRelay(wired.node, log);
  await measure(new NftablesBackend(wired.node, NODE, DEFAULT_CONFIG, relay), services, 0);
  await relay.close();
  return wired;
}

interface Loaded {
  readonly services: number;
  readonly wired: Wired;
}

/**
 * How many Services the connections of a burst go to, each to one drawn from so many. What the Services cost that are loaded and not
 * asked for shows where the same traffic meets more of them. Drawn from all, a connection also pays for what no cache of
 * the processor holds, whatever the rules.
 */
const BUSY = [1, 100, 1000];

/** Each packet opens a connection; the pods drop it, so that its way ends there. */
async function firstPackets(nodes: readonly Loaded[]): Promise<void> {
  const senders: Conversation[] = [];
  for (const { wired } of nodes) {
    await nft(
      wired.pods,
      'table ip sink { chain entry { type filter hook prerouting priority -300; policy accept; counter drop; }; }',
    );
    const args = [wired.mac, clusterIP(0), String(PORT)];
    senders.push(await Conversation.with(wired.client, FIRST_PACKETS, args));
  }
  const took = nodes.map(() => new Map<number, number[]>());
  let packets = 0;
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [at, { services }] of nodes.entries()) {
      for (const busy of spreads(services)) {
        const nanoseconds = await senders[at]?.ask(`${BURST} ${busy}`);
        const known = took[at]?.get(busy) ?? [];
        if (round >= 0) took[at]?.set(busy, [...known, Number(nanoseconds) / BURST]);
      }
    }
    packets += BURST;
  }
  for (const sender of senders) await sender.end();
  for (const { wired, services } of nodes) await arrived(wired.pods, packets * spreads(services).length);
  const cost = (at: number, busy: number) => percentile(took[at]?.get(busy) ?? [], 0.5);
  for (const [at, { services }] of nodes.entries()) {
    for (const busy of spreads(services)) {
      const fewest = nodes.findIndex((node) => node.services === busy);
      const [base, peer] = fewest < 0 ? [0, 1] : [fewest, busy];
      if (base === at) continue;
      const name = `proxy: first packet of a connection to one of ${busy} among ${services} Services, p50; peer: one of ${peer} among ${peer}`;
      report({ name, ours: cost(at, busy), peer: cost(base, peer), unit: 'ns', n: ROUNDS * BURST });
    }
  }
}

const spreads = (services: number): number[] => [
  ...new Set([...BUSY.filter((busy) => busy <= services), services]),
];

/** Throws if packets were lost on the way, whose cost was not paid then. */
async function arrived(pods: Exec, expected: number): Promise<void> {
  const { stdout } = await pods.run({ file: 'nft', args: ['list', 'table', 'ip', 'sink'] });
  const packets = Number(/packets (\d+)/.exec(stdout)?.[1]);
  if (!(packets >= expected)) throw new Error(`${packets} of ${expected} packets arrived`);
  await nft(pods, 'delete table ip sink');
}

/** One TCP connection each, in turns: through our rules, and through a node that has one DNAT rule and nothing else. */
async function streams(cage: Cage, services: number, ours: Wired): Promise<void> {
  const plain = await wire(cage, 'plain');
  const rule = `ip daddr ${clusterIP(0)} tcp dport ${PORT} dnat to ${pod(0, 0)}:${POD_PORT}`;
  await nft(
    plain.node,
    `table ip plain { chain entry { type nat hook prerouting priority -100; policy accept; ${rule}; }; }`,
  );
  const took: { ours: number[]; plain: number[] } = { ours: [], plain: [] };
  const sides = { ours, plain };
  const sinks = [];
  for (const { pods } of [ours, plain]) sinks.push(await Conversation.with(pods, SINK, [String(POD_PORT)]));
  for (let at = -1; at < STREAMS; at++) {
    for (const side of ['ours', 'plain'] as const) {
      const args = ['-e', SOURCE, clusterIP(0), String(PORT)];
      const { stdout } = await sides[side].client.run({ file: 'perl', args });
      if (at >= 0) took[side].push(Number(stdout));
    }
  }
  for (const sink of sinks) await sink.end();
  report({
    name: `proxy: TCP stream of a standing connection at ${services} Services, p50; peer: one DNAT rule`,
    ours: percentile(took.ours, 0.5),
    peer: percentile(took.plain, 0.5),
    unit: 'Gbit/s',
    n: STREAMS,
    smallerIsBetter: false,
  });
}

const nft = (exec: Exec, stdin: string) => exec.run({ file: 'nft', args: ['-f', '-'], stdin: `${stdin}\n` });

/** A Perl program that answers every line with a line; the first one says that it is ready. */
class Conversation {
  readonly #running: Running;
  readonly #lines: AsyncIterator<string>;

  private constructor(running: Running) {
    if (running.stdout === null) throw new Error('a conversation has a pipe');
    this.#running = running;
    this.#lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  }

  static async with(exec: Exec, program: string, args: readonly string[]): Promise<Conversation> {
    const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' } as const;
    const conversation = new Conversation(await exec.start('perl', ['-e', program, ...args], pipes));
    await conversation.#answer();
    return conversation;
  }

  ask(line: string): Promise<string> {
    this.#running.stdin?.write(`${line}\n`);
    return this.#answer();
  }

  async end(): Promise<void> {
    this.#running.kill('SIGTERM');
    await this.#running.ended;
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('a program of the benchmark has ended early');
    return value;
  }
}
