/** Random rules on a host between two others: the walk and the kernel run the same trees, and must agree on every packet. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Addr, portOf } from '../../src/ip/ip.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { startResponder } from '../../src/lab/probe.ts';
import { loadPacketFilter, realise } from '../../src/lab/realise.ts';
import { printIptablesRuleset, printNftTable } from '../../src/netfilter/netfilter.ts';
import { GATE1, line, SERVER, VIRTUAL } from '../../src/trace/line-fixture.ts';
import { type Outcome, walk } from '../../src/trace/trace.ts';
import { DEFAULT } from '../../src/world/wiring.ts';
import { hostOf, MAIN_TABLE, type PacketFilter } from '../../src/world/world.ts';
import { dialAll, type Target } from './dial.ts';
import { randomIptables, randomNftables } from './random-rules.ts';

const SEED = 20261120;
const RULESETS = 25;
const EIGHTY = portOf(80);

const ADDRESSES: readonly (readonly [Addr, number])[] = [
  [SERVER, 80],
  [SERVER, 81],
  [GATE1, 80],
  [VIRTUAL, 80],
  [VIRTUAL, 443],
];
const listeners = [
  { protocol: 'TCP', port: EIGHTY },
  { protocol: 'UDP', port: EIGHTY },
] as const;
/** The client listens too, for what is sent back to it. The kernel holds back all but a few errors of routing a second. */
const worldWith = (packetFilter: PacketFilter) =>
  line({
    client: { listeners },
    middle: { packetFilter, listeners, routes: [{ kind: 'blackhole', to: DEFAULT, table: MAIN_TABLE }] },
  });

const inWords = ({ verdict, endpoint, sourceSeen }: Outcome): string =>
  verdict === 'reached' ? `reached ${endpoint?.host} ${sourceSeen}` : verdict;

describe.each([
  { format: 'iptables', rules: randomIptables },
  { format: 'nftables', rules: randomNftables },
])('random $format', ({ rules }) => {
  let cage: Cage;

  beforeAll(async () => {
    cage = await openCage();
    await realise(worldWith({}), cage);
    for (const name of ['client', 'middle', 'server']) {
      await startResponder(cage.exec(name), name, listeners);
      const args = ['-qw', 'net.ipv4.icmp_ratelimit=0'];
      await cage.exec(name).run({ file: 'sysctl', args });
    }
  });
  afterAll(() => cage.close());

  const load = async (packetFilter: PacketFilter) => {
    const middle = cage.exec('middle');
    await middle.run({ file: 'nft', args: ['flush', 'ruleset'] });
    await middle.run({ file: 'ipset', args: ['destroy'] });
    await loadPacketFilter(hostOf(worldWith(packetFilter), 'middle'), middle);
  };

  it.each(fc.sample(rules, { seed: SEED, numRuns: RULESETS }).map((filter, at) => ({ at, filter })))(
    'ruleset $at',
    async ({ filter }) => {
      await load(filter);
      const world = worldWith(filter);
      const asked = ADDRESSES.flatMap(([to, port]) =>
        (['TCP', 'UDP'] as const).map((protocol) => ({ to, port: portOf(port), protocol })),
      );
      const outcomes = asked.map((one) => walk(world, { from: 'client', ...one }));
      const targets = asked.map(
        ({ to, port, protocol }, at): Target => ({
          protocol,
          address: to.text,
          port,
          times: (outcomes[at]?.length ?? 1) > 1 ? 6 : 1,
        }),
      );
      const wrongOf = (at: number, answers: readonly string[] = ['nothing']) => {
        const expected = new Set(outcomes[at]?.map(inWords));
        return answers.filter((answer) => !expected.has(answer));
      };
      const seen = await dialAll(cage.exec('client'), targets, 300);
      const suspects = targets.flatMap((target, at) =>
        wrongOf(at, seen[at]).length > 0 ? [{ target, at }] : [],
      );
      const again = await dialAll(
        cage.exec('client'),
        suspects.map(({ target }) => target),
        2500,
      );
      const differences = suspects.flatMap(({ target, at }, index) => {
        const wrong = wrongOf(at, again[index]);
        const foretold = outcomes[at]?.map((one) => `${inWords(one)} (${one.reason})`).join(' or ');
        const what = `${target.protocol} ${target.address}:${target.port}`;
        return wrong.length === 0 ? [] : [`${what}: foretold ${foretold}, got ${wrong.join(', ')}`];
      });
      expect(differences, printed(filter)).toEqual([]);
    },
  );
});

const printed = ({ iptables = [], nftables }: PacketFilter): string =>
  [...iptables.map(printIptablesRuleset), ...(nftables?.tables ?? []).flatMap(printNftTable)].join('\n');
