/** The walk against the kernel: every client dials every address for real, and gets what was foretold. */
import { expect, it } from 'vitest';
import { openCage } from '../../src/lab/cage.ts';
import { prove, type Question, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { addressesOf, CLIENTS, clusterOf } from './cluster.ts';

/** Each network in each mode once, two of them as CCE runs kube-proxy: masquerade-all, and no pod told from others. */
const WORLDS = [
  { network: 'tunnel', proxyMode: 'nftables' },
  { network: 'vpc', proxyMode: 'iptables' },
  { network: 'eni', proxyMode: 'nftables' },
  { network: 'tunnel', proxyMode: 'iptables', cloud: 'cce' },
  { network: 'vpc', proxyMode: 'nftables', cloud: 'cce' },
  { network: 'eni', proxyMode: 'iptables' },
] as const;

const CASES = [
  ...WORLDS.map((spec) => ({ name: Object.values(spec).join(' '), cluster: clusterOf(spec) })),
  { name: 'vpc nftables br_netfilter', cluster: clusterOf({ network: 'vpc', proxyMode: 'nftables' }, true) },
];

it.each(CASES)('$name', async ({ cluster }) => {
  const { world } = cluster;
  const asked = CLIENTS.flatMap((from) =>
    addressesOf(cluster).flatMap(({ what, address, port }) =>
      (['TCP', 'UDP'] as const).map((protocol) => {
        const isSticky = what.startsWith('sticky');
        return { what, question: { from, to: address, port, protocol, isSticky } satisfies Question };
      }),
    ),
  );
  const whatOf = new Map<Question, string>(asked.map(({ what, question }) => [question, what]));
  const cage = await openCage();
  try {
    await realise(world, cage);
    await startListeners(world, cage);
    const { agreements, mismatches, unknowns } = await prove(world, cage, [...whatOf.keys()]);
    const told = mismatches.map(({ question, outcomes, unexpected, missing }) => {
      const foretold = outcomes.map((outcome) => `${textOf(outcome)} (${outcome.reason})`).join(' or ');
      const way = `${question.from} -> ${whatOf.get(question)} ${question.protocol}`;
      return `${way}: foretold ${foretold}; got ${unexpected.map(textOf).join(', ')}; missed ${missing.join(', ')}`;
    });
    expect(told).toEqual([]);
    expect(unknowns).toEqual([]);
    expect(agreements).toHaveLength(asked.length);
  } finally {
    await cage.close();
  }
});
