/** Random policy routing on a host between two others: walk and kernel agree on every packet, and what is read is what was written. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Prefix, portOf } from '../../src/ip/ip.ts';
import { openCage } from '../../src/lab/cage.ts';
import { prove, type Question, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { CLIENT, GATE2, line, SERVER, VIRTUAL } from '../../src/trace/line-fixture.ts';
import { readDump } from '../../src/world/from-nodes/from-nodes.ts';
import { DEFAULT } from '../../src/world/wiring.ts';
import { type Host, MAIN_TABLE, type Route, type RoutingRule } from '../../src/world/world.ts';
import { collect } from '../nodes/collecting.ts';

const SEED = 20261121;
const HOSTS = 20;
const EIGHTY = portOf(80);
const TABLES = [MAIN_TABLE, 100, 101];
const DISCARDS = ['blackhole', 'unreachable', 'prohibit'] as const;
const PREFIXES = [
  DEFAULT,
  ...['10.0.0.0/8', '10.0.1.0/24', '10.0.2.0/24', '10.9.0.0/16'].map(Prefix.parse),
  ...[CLIENT, SERVER, VIRTUAL].map(Prefix.host),
];

const sometimes = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined, freq: 1 });
const prefix = fc.constantFrom(...PREFIXES);

const rule: fc.Arbitrary<RoutingRule> = fc
  .record({
    priority: fc.integer({ min: 1, max: 400 }),
    from: sometimes(prefix),
    to: sometimes(prefix),
    input: sometimes(fc.constantFrom('left', 'right', 'lo', 'gone')),
    output: fc.option(fc.constantFrom('left', 'right'), { nil: undefined, freq: 8 }),
    isInverted: fc.option(fc.constant(true as const), { nil: undefined, freq: 3 }),
    discard: fc.option(fc.constantFrom(...DISCARDS), { nil: undefined, freq: 3 }),
    suppress: fc.option(fc.constantFrom(0, 8, 24), { nil: undefined, freq: 3 }),
    table: fc.constantFrom(...TABLES),
  })
  .map(({ discard, suppress, ...rest }) => {
    const known = { ...rest, ...(discard === undefined ? { suppress } : { discard, table: MAIN_TABLE }) };
    return Object.fromEntries(
      // `from all` and `to all` are no conditions.
      Object.entries(known).filter(([, value]) => value !== undefined && value !== DEFAULT),
    ) as unknown as RoutingRule;
  });

/** The kernel itself has made those to the networks of the addresses. */
const isConnected = ([to, table]: readonly [Prefix, number]): boolean =>
  table === MAIN_TABLE && to.length === 24;
const place = fc.tuple(prefix, fc.constantFrom(...TABLES)).filter((one) => !isConnected(one));

const route: fc.Arbitrary<Route> = place.chain(([to, table]) =>
  fc.constantFrom<Route>(
    { kind: 'unicast', to, table, interface: 'left' },
    { kind: 'unicast', to, table, interface: 'right' },
    { kind: 'unicast', to, table, interface: 'right', via: SERVER },
    { kind: 'unicast', to, table, interface: 'left', source: GATE2 },
    ...[...DISCARDS, 'throw' as const].map((kind) => ({ kind, to, table })),
  ),
);

const host = fc.record({
  routingRules: fc.uniqueArray(rule, { selector: ({ priority }) => priority, minLength: 1, maxLength: 5 }),
  routes: fc.uniqueArray(route, { selector: ({ to, table }) => `${to} ${table}`, maxLength: 6 }),
  rpFilter: fc.constantFrom(0, 1, 2),
});

const listeners = (['TCP', 'UDP'] as const).map((protocol) => ({ protocol, port: EIGHTY }));

/** Few, for a host sends a peer no more than five errors of routing in a row (ip_error in net/ipv4/route.c). */
const questions = (
  [
    ['client', SERVER],
    ['client', VIRTUAL],
    ['server', CLIENT],
    ['middle', SERVER],
    ['middle', CLIENT],
    ['middle', VIRTUAL],
  ] as const
).flatMap(([from, to]) =>
  (['TCP', 'UDP'] as const).map((protocol): Question => ({ from, to, port: EIGHTY, protocol })),
);

it.each(fc.sample(host, { seed: SEED, numRuns: HOSTS }).map((one, at) => ({ at, ...one })))(
  'host $at',
  async ({ routingRules, routes, rpFilter }) => {
    const sysctls: Host['sysctls'] = { ipForward: true, rpFilter, bridgeNfCallIptables: false };
    const middle = { routingRules, routes, sysctls, listeners };
    const world = line({ middle, client: { listeners } });
    const cage = await openCage();
    try {
      await realise(world, cage);
      await startListeners(world, cage);
      const { mismatches, unknowns } = await prove(world, cage, questions);
      const told = mismatches.map(({ question, outcomes, unexpected, missing }) => {
        const foretold = outcomes.map((outcome) => `${textOf(outcome)} (${outcome.reason})`).join(' or ');
        const way = `${question.from}: ${question.protocol} ${question.to}`;
        return `${way}: foretold ${foretold}; got ${unexpected.map(textOf).join(', ')}; missed ${missing.join(', ')}`;
      });
      const { stdout: printed } = await cage.exec('middle').run({
        file: 'sh',
        args: ['-c', 'ip rule; ip route show table all type unicast; ip route show table all'],
      });
      expect(told, printed).toEqual([]);
      expect(unknowns).toEqual([]);
      const [read] = (await collect(world, cage)).map(readDump);
      expect(read?.routingRules).toEqual(routingRules.toSorted((a, b) => a.priority - b.priority));
    } finally {
      await cage.close();
    }
  },
);
