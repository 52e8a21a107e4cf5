/**
 * What the vendors' documents say, on the kernel: test/oracles holds the walk to the tables, and here the kernel holds the
 * walk to itself, cell by cell. The cells of IPVS need a guest: `npm run -s bench -- documents`.
 */
import { expect, it } from 'vitest';
import { proveDocuments } from './documents.ts';

it('agrees with the kernel on the cells of iptables and nftables', async () => {
  const { differences, cases } = await proveDocuments(({ profile }) => profile.proxyMode !== 'ipvs');
  expect(differences).toEqual([]);
  expect(cases).toBeGreaterThan(50);
});
