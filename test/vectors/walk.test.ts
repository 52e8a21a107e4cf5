/** Every vector through the executor: the rules that are compiled, run in software, in every mode. */
import { describe, expect, it } from 'vitest';
import { expectedOf } from './expectations.ts';
import { groupsOf, MODES, worldOfGroup } from './rules.ts';
import { readVectors } from './vectors.ts';
import { differenceOf, sightOf, walkOf } from './walking.ts';

const vectors = readVectors();

it('are four hundred and more, each source, target, policy and family among them', () => {
  expect(vectors.length).toBeGreaterThan(400);
});

describe.each(MODES)('%s', (mode) => {
  it.each(groupsOf(vectors, mode).map((group) => [group.name, group] as const))('%s', (_, group) => {
    const world = worldOfGroup(group, mode);
    const differences = group.vectors.flatMap((vector) => {
      const expected = expectedOf(vector, mode);
      const outcomes = walkOf(world, vector);
      return isSame(new Set(outcomes.map(sightOf)), expected)
        ? []
        : [differenceOf(vector, expected, outcomes)];
    });
    expect(differences.join('\n')).toBe('');
  });
});

const isSame = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
  one.size === other.size && [...one].every((each) => other.has(each));
