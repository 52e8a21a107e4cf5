/**
 * Every vector as real packets: the same rules in the kernel, dialled from every machine of the bed. IPVS and SCTP, which the
 * running kernel may lack (CONFIG_IP_VS, CONFIG_IP_SCTP), are in guest-packets.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCage } from '../../src/lab/cage.ts';
import { differencesOf } from './dialling.ts';
import { casesOf, groupsOf } from './rules.ts';
import { Stand } from './stand.ts';
import { readVectors } from './vectors.ts';

const vectors = readVectors().filter(({ protocol }) => protocol !== 'SCTP');
const patience = { first: 700, again: 3000, crowd: 300 };

let stand: Stand;
beforeAll(async () => {
  stand = await Stand.open(casesOf(vectors), await openCage());
});
afterAll(() => stand.close());

describe.each(['nftables', 'iptables'] as const)('%s', (mode) => {
  it.each(groupsOf(vectors, mode).map((group) => [group.name, group] as const))('%s', async (_, group) => {
    expect((await differencesOf(stand, group, mode, patience)).join('\n')).toBe('');
  });
});
