/** What `diff` says of a change is what the documents' tables say on either side of it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { diffOf } from '../../src/diagnose/diff/diff.ts';
import {
  chooseProfile,
  clusterFrom,
  inventoryOf,
  parseManifests,
} from '../../src/world/from-objects/from-objects.ts';
import { type Case, readCases } from './cases.ts';

type Profile = Pick<Case['profile'], 'network' | 'proxyMode' | 'kubernetesVersion'>;

const path = new URL('../../examples/three-nodes.yaml', import.meta.url);
const inventory = inventoryOf(parseManifests('three-nodes.yaml', readFileSync(path, 'utf8')), 'default');
const textOf = ({ network, proxyMode, kubernetesVersion }: Profile) =>
  `${network} ${proxyMode} ${kubernetesVersion}`;

/** Whether each client reaches each address, by profile; only what the tables of CCE say of node ports. */
const TABLES = Map.groupBy(
  readCases('cce').filter(({ service, client }) => service === 'NodePort' && !client.endsWith(':any')),
  ({ profile }) => textOf(profile),
);
const cellsOf = (cases: readonly Case[]) =>
  new Map(cases.map(({ client, target, expect: told }) => [`${client} ${target}`, told === 'reached']));

const PAIRS = [...TABLES].flatMap(([from, before]) =>
  [...TABLES].flatMap(([to, after]) => (from === to ? [] : [{ from, to, before, after }])),
);

it('is held to changes that the tables tell of', () => {
  const differing = PAIRS.filter(({ before, after }) => {
    const later = cellsOf(after);
    return [...cellsOf(before)].some(([cell, isReached]) => (later.get(cell) ?? isReached) !== isReached);
  });
  expect(differing.length).toBeGreaterThan(PAIRS.length / 2);
});

it.each(PAIRS)('from $from to $to', ({ before, after }) => {
  const { network = '', proxyMode = '', kubernetesVersion = '' } = after[0]?.profile ?? {};
  const { cloud, ...own } = before[0]?.profile ?? { cloud: 'cce' };
  const cluster = clusterFrom(inventory, chooseProfile(inventory, { set: { cloud, ...own } }));
  const { cells } = diffOf(cluster, inventory, { network, proxyMode, kubernetesVersion });
  const told = new Map(cells.map(({ client, target, kind }) => [`${client} ${target}`, kind]));
  const reachedAfter = cellsOf(after);
  for (const [cell, wasReached] of cellsOf(before)) {
    const isReached = reachedAfter.get(cell);
    if (isReached === undefined) continue;
    const kind = told.get(cell);
    const expected = wasReached === isReached ? undefined : isReached ? 'better' : 'worse';
    expect(kind === 'better' || kind === 'worse' ? kind : undefined, cell).toBe(expected);
  }
});
