/** Random rules on a host between two others: the walk and the kernel run the same trees, and must agree on every packet. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Addr, portOf } from '../../src/ip/ip.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { prove, type Question, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { loadPacketFilter, realise } from '../../src/lab/realise.ts';
import { parseIptablesSave, printIptablesRuleset, printNftTable } from '../../src/netfilter/netfilter.ts';
import { GATE1, line, SERVER, VIRTUAL } from '../../src/trace/line-fixture.ts';
import { DEFAULT } from '../../src/world/wiring.ts';
import { hostOf, MAIN_TABLE, type PacketFilter, type World } from '../../src/world/world.ts';
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
    middle: {
      packetFilter,
      listeners,
      // A mark that rules may set leads nowhere as well.
      routes: [MAIN_TABLE, 100].map((table) => ({ kind: 'blackhole', to: DEFAULT, table })),
      routingRules: [{ priority: 100, mark: { value: 2, mask: 3 }, table: 100 }],
    },
  });

const questions = (['client', 'middle'] as const).flatMap((from) =>
  ADDRESSES.flatMap(([to, port]) =>
    (['TCP', 'UDP'] as const).map((protocol): Question => ({ from, to, port: portOf(port), protocol })),
  ),
);

describe.each([
  { format: 'iptables', rules: randomIptables },
  { format: 'nftables', rules: randomNftables },
])('random $format', ({ rules }) => {
  let cage: Cage;

  beforeAll(async () => {
    cage = await openCage();
    await realise(worldWith({}), cage);
    await startListeners(worldWith({}), cage);
  });
  afterAll(() => cage.close());

  it.each(fc.sample(rules, { seed: SEED, numRuns: RULESETS }).map((filter, at) => ({ at, filter })))(
    'ruleset $at',
    async ({ filter }) => {
      const world = worldWith(filter);
      await load(cage, world);
      const { mismatches, unknowns } = await prove(world, cage, questions);
      const told = mismatches.map(({ question, outcomes, unexpected, missing }) => {
        const foretold = outcomes.map((outcome) => `${textOf(outcome)} (${outcome.reason})`).join(' or ');
        const way = `${question.from}: ${question.protocol} ${question.to}:${question.port}`;
        return `${way}: foretold ${foretold}; got ${unexpected.map(textOf).join(', ')}; missed ${missing.join(', ')}`;
      });
      expect(told, printed(filter)).toEqual([]);
      expect(unknowns).toEqual([]);
    },
  );
});

describe('a refusal at OUTPUT', () => {
  let cage: Cage;
  beforeAll(async () => {
    cage = await openCage();
    await realise(worldWith({}), cage);
    await startListeners(worldWith({}), cage);
  });
  afterAll(() => cage.close());

  const OWN = '-A OUTPUT -p tcp -j DNAT --to-destination 10.0.1.1:80\n';
  const OTHER = '-A OUTPUT -p tcp -j DNAT --to-destination 10.0.2.2:80\n';
  it.each([
    ['by RST, which the rule itself then drops', '', '-p tcp -j REJECT --reject-with tcp-reset', 'timeout'],
    ['by RST', '', '-p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset', 'refused'],
    [
      'by RST, led to the own host',
      OWN,
      '-p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset',
      'refused',
    ],
    ['by RST, led elsewhere', OTHER, '-p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset', 'refused'],
    ['by an error', '', '-p tcp -j REJECT --reject-with icmp-port-unreachable', 'refused'],
    [
      'by an error, led to the own host',
      OWN,
      '-p tcp -j REJECT --reject-with icmp-port-unreachable',
      'refused',
    ],
    ['by an error, led elsewhere', OTHER, '-p tcp -j REJECT --reject-with icmp-port-unreachable', 'refused'],
  ])('%s', async (_, nat, refusal, verdict) => {
    const text = `*nat\n:OUTPUT ACCEPT [0:0]\n${nat}COMMIT\n*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT ${refusal}\nCOMMIT\n`;
    const world = worldWith({ iptables: [parseIptablesSave(text, 4)] });
    await load(cage, world);
    const asked = [SERVER, GATE1].map(
      (to): Question => ({ from: 'middle', to, port: EIGHTY, protocol: 'TCP' }),
    );
    const { agreements, mismatches } = await prove(world, cage, asked);
    expect(mismatches.map(({ unexpected }) => unexpected.map(textOf))).toEqual([]);
    expect(agreements.flatMap(({ answers }) => answers.map(textOf))).toEqual([verdict, verdict]);
  });
});

async function load(cage: Cage, world: World): Promise<void> {
  const middle = cage.exec('middle');
  await middle.run({ file: 'nft', args: ['flush', 'ruleset'] });
  await middle.run({ file: 'ipset', args: ['destroy'] });
  // A port that comes again would bring back the connection of an earlier ruleset.
  await middle.run({ file: 'conntrack', args: ['--flush'] });
  await loadPacketFilter(hostOf(world, 'middle'), middle);
}

const printed = ({ iptables = [], nftables }: PacketFilter): string =>
  [...iptables.map(printIptablesRuleset), ...(nftables?.tables ?? []).flatMap(printNftTable)].join('\n');
