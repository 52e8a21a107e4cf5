/** Every vector as real packets: the same rules in the kernel, dialled from every machine of the bed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyMode } from '../../src/proxy/proxy.ts';
import type { World } from '../../src/world/world.ts';
import { LOOPBACK, worldOf } from './bed.ts';
import { type Dial, dialAll } from './dial.ts';
import { healthPortOf } from './objects.ts';
import { groupsOf, worldOfGroup } from './rules.ts';
import { Stand } from './stand.ts';
import { expectedOf, readVectors, type Source, type Vector } from './vectors.ts';
import { differenceOf, walkOf } from './walking.ts';

const vectors = readVectors();
/** What every kernel offers. */
const MODES = ['nftables', 'iptables'] as const satisfies readonly ProxyMode[];
/** Generous where nothing listens to a clock: an answer takes a millisecond, silence is only told by waiting. */
const FIRST_MS = 700;
/** On a busy machine an answer may be late, and of three endpoints one may not have come up: asked again, alone. */
const AGAIN_MS = 3000;

let stand: Stand;
beforeAll(async () => {
  const healthPorts = [...new Set(vectors.map((vector) => healthPortOf(vector.case)))];
  stand = await Stand.open(worldOf({ packetFilter: {}, healthPorts }));
});
afterAll(() => stand.close());

describe.each(MODES)('%s', (mode) => {
  it.each(groupsOf(vectors).map((group) => [group.configuration, group] as const))('%s', async (_, group) => {
    const world = worldOfGroup(group, mode);
    await stand.load(world);
    const bySource = [...Map.groupBy(group.vectors, ({ from }) => from)];
    const differences = await Promise.all(
      bySource.map(([from, some]) => differencesFrom(world, mode, from, some)),
    );
    expect(differences.flat().join('\n')).toBe('');
  });
});

/** Dials the vectors of one machine, and once more those that gave something else. */
async function differencesFrom(
  world: World,
  mode: ProxyMode,
  from: Source,
  some: readonly Vector[],
): Promise<string[]> {
  const exec = stand.cage.exec(from === 'node' || from === 'localhost' ? 'n1' : from);
  const asked = some.map((vector) => ({ vector, expected: expectedOf(vector, mode) }));
  const first = await dialAll(
    exec,
    asked.map(({ vector, expected }) => dialOf(vector, enough(vector, expected))),
    FIRST_MS,
  );
  const suspects = asked.filter((one, at) => !agrees(one.vector, one.expected, first[at] ?? []));
  const again = await dialAll(
    exec,
    suspects.map(({ vector, expected }) => dialOf(vector, expected.size > 1 ? 40 : 3)),
    AGAIN_MS,
  );
  return suspects.flatMap(({ vector, expected }, at) => {
    const got = again[at] ?? [];
    if (agrees(vector, expected, got)) return [];
    const walked = differenceOf(vector, expected, walkOf(world, vector));
    return [`${walked}\n    the kernel: ${[...new Set(got)].join(' or ')}`];
  });
}

function dialOf({ from, target, protocol }: Vector, times: number): Dial {
  const source = from === 'localhost' ? { source: LOOPBACK[target.family].text } : {};
  return { protocol, address: target.addr.text, port: target.port, times, ...source };
}

/** As many connections as find every endpoint nearly always. */
const enough = ({ flow }: Vector, { size }: ReadonlySet<string>): number =>
  size === 1 ? 1 : flow.sticky === true ? 5 : 8 * (size - 1);

/** Nothing but what is expected, and all of it; under session affinity always the same of it. */
function agrees({ flow }: Vector, expected: ReadonlySet<string>, got: readonly string[]): boolean {
  const seen = new Set(got);
  if (seen.size === 0 || [...seen].some((each) => !expected.has(each))) return false;
  return seen.size === (flow.sticky === true ? 1 : expected.size);
}
