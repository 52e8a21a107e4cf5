import { describe, expect, it } from 'vitest';
import { causeOf } from './cause-of.ts';
import type { CauseCode } from './causes/registry.ts';
import { matrices } from './matrix/matrix.ts';
import { causeText, clusterOf } from './test-examples.ts';

/** What is said where no mechanism is recognised. */
const GENERAL: readonly CauseCode[] = ['FL035', 'FL036', 'FL037', 'FL039', 'FL040', 'FL041'];

const MODES = [
  { proxyMode: 'iptables' },
  { proxyMode: 'nftables' },
  { proxyMode: 'ipvs', kubernetesVersion: '1.22' },
  { proxyMode: 'ipvs', kubernetesVersion: '1.28' },
];
const CLOUDS = ['cce', 'ack', 'tke', 'generic'];

const settings = CLOUDS.flatMap((cloud) =>
  ['tunnel', 'vpc'].flatMap((network) =>
    ['Local', 'Cluster'].flatMap((policy) =>
      MODES.map((mode) => ({ policy, set: { cloud, network, ...mode } })),
    ),
  ),
);

describe('a Service behind a balancer, under every setting', () => {
  const text = causeText('FL008');

  it.each(settings)(
    '$set.cloud $set.network $set.proxyMode $policy: each failure inside has its mechanism',
    (at) => {
      const changed = text.replace('externalTrafficPolicy: Local', `externalTrafficPolicy: ${at.policy}`);
      const cluster = clusterOf(changed, at.set);
      const cells = matrices(cluster, undefined, causeOf).flatMap((matrix) => matrix.cells);
      const failing = cells.filter(({ node, verdict }) => node !== undefined && verdict !== 'reached');
      const told = failing.map(({ client, target, cause }) => ({ client, target, code: cause?.code }));
      const general: readonly (string | undefined)[] = [undefined, ...GENERAL];
      expect(told.filter(({ code }) => general.includes(code))).toEqual([]);
      // Nothing inside should fail with policy Cluster but for loops, and for what a bridge switches.
      if (at.policy === 'Cluster') {
        const codes = new Set(told.map(({ code }) => code));
        expect([...codes].filter((code) => !['FL007', 'FL008', 'FL009'].includes(String(code)))).toEqual([]);
      }
    },
  );
});
