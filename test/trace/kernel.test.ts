/** The walk against the kernel: every client dials every address for real, and gets what was foretold. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { startResponder } from '../../src/lab/probe.ts';
import { realise } from '../../src/lab/realise.ts';
import { type Outcome, walk } from '../../src/trace/trace.ts';
import { hostOf } from '../../src/world/world.ts';
import { type Address, addressesOf, CLIENTS, clusterOf } from './cluster.ts';
import { dialAll, type Target } from './dial.ts';

/** Each network in each mode once, two of them as CCE runs kube-proxy: masquerade-all, and no pod told from others. */
const WORLDS = [
  { network: 'tunnel', proxyMode: 'nftables' },
  { network: 'vpc', proxyMode: 'iptables' },
  { network: 'eni', proxyMode: 'nftables' },
  { network: 'tunnel', proxyMode: 'iptables', cloud: 'cce' },
  { network: 'vpc', proxyMode: 'nftables', cloud: 'cce' },
  { network: 'eni', proxyMode: 'iptables' },
] as const;

describe.each(WORLDS.map((spec) => ({ name: Object.values(spec).join(' '), spec })))('$name', ({ spec }) => {
  const cluster = clusterOf(spec);
  const { world } = cluster;
  const addresses = addressesOf(cluster);
  let cage: Cage;

  beforeAll(async () => {
    cage = await openCage();
    await realise(world, cage);
    for (const { netns, listeners } of world.hosts.values()) {
      if (listeners.length === 0) continue;
      // All refusals come at once, and the kernel would hold most of them back.
      const args = ['-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv4.icmp_msgs_per_sec=100000'];
      await cage.exec(netns).run({ file: 'sysctl', args, accept: [0, 1, 255] });
    }
    await Promise.all(
      [...world.hosts.values()]
        .filter(({ listeners }) => listeners.length > 0)
        .map(({ name, netns, listeners }) =>
          startResponder(
            cage.exec(netns),
            name,
            listeners.map(({ protocol, port }) => ({ protocol: protocol === 'UDP' ? 'UDP' : 'TCP', port })),
          ),
        ),
    );
  });
  afterAll(() => cage.close());

  /** What the walk foretells, as the dialer puts it. */
  const foretold = (from: string, { address, port }: Address, protocol: 'TCP' | 'UDP'): readonly Outcome[] =>
    walk(world, { from, to: address, port, protocol });

  const inWords = ({ verdict, endpoint, sourceSeen }: Outcome): string =>
    verdict === 'reached' ? `reached ${endpoint?.host} ${sourceSeen}` : verdict;

  const differencesOf = async (client: string): Promise<string[]> => {
    const dialled = addresses.flatMap((address) =>
      (['TCP', 'UDP'] as const).map((protocol) => ({
        address,
        protocol,
        outcomes: foretold(client, address, protocol),
      })),
    );
    const targets = dialled.map(
      ({ address: { address, port }, protocol, outcomes }): Target => ({
        protocol,
        address: address.text,
        port,
        times: outcomes.length > 1 ? 6 : 1,
      }),
    );
    const exec = cage.exec(hostOf(world, client).netns);
    const seen = await dialAll(exec, targets, 1000);
    const wrongOf = (at: number, answers: readonly string[] = ['nothing']) => {
      const expected = new Set(dialled[at]?.outcomes.map(inWords));
      return answers.filter((answer) => !expected.has(answer));
    };
    // On a busy machine an answer may be late: what differs is asked again, without the crowd.
    const suspects = targets.flatMap((target, at) =>
      wrongOf(at, seen[at]).length > 0 ? [{ target, at }] : [],
    );
    const again = await dialAll(
      exec,
      suspects.map(({ target }) => target),
      3000,
    );
    return suspects.flatMap(({ at }, index) => {
      const wrong = wrongOf(at, again[index]);
      const one = dialled[at];
      if (wrong.length === 0 || one === undefined) return [];
      const expected = one.outcomes.map((outcome) => `${inWords(outcome)} (${outcome.reason})`);
      return [
        `${client} -> ${one.address.what} ${one.protocol}: foretold ${expected.join(' or ')}, got ${wrong.join(', ')}`,
      ];
    });
  };

  it.each(CLIENTS)('%s gets what was foretold at every address', async (client) => {
    expect(await differencesOf(client)).toEqual([]);
  });
});
