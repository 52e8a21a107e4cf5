/** Vectors as real connections: every machine of the bed dials its own, and what differs is asked once more. */
import type { ProxyMode } from '../../src/proxy/proxy.ts';
import type { World } from '../../src/world/world.ts';
import { LOOPBACK } from './bed.ts';
import { type Dial, dialAll } from './dial.ts';
import { answersOf } from './expectations.ts';
import { type Group, worldOfGroup } from './rules.ts';
import type { Stand } from './stand.ts';
import type { Source, Vector } from './vectors.ts';
import { differenceOf, walkOf } from './walking.ts';

/** How long to wait for an answer, in milliseconds: it takes one, silence is only told by waiting. */
export interface Patience {
  readonly first: number;
  /** On a busy machine an answer may be late, and of three endpoints one may not have come up: asked again, alone. */
  readonly again: number;
  /** How many connections each machine opens at once. */
  readonly crowd: number;
}

/** Loads the rules of a group and dials all its vectors; each difference in words. */
export async function differencesOf(
  stand: Stand,
  group: Group,
  mode: ProxyMode,
  patience: Patience,
): Promise<string[]> {
  const world = worldOfGroup(group, mode);
  await stand.load(world);
  const bySource = [...Map.groupBy(group.vectors, ({ from }) => from)];
  const differences = await Promise.all(
    bySource.map(([from, some]) => new Asker(stand, world, mode, patience).differences(from, some)),
  );
  return differences.flat();
}

interface Asked {
  readonly vector: Vector;
  readonly expected: ReadonlySet<string>;
}

interface Suspect extends Asked {
  /** What the last dial gave. */
  readonly got: readonly string[];
}

class Asker {
  readonly #stand: Stand;
  readonly #world: World;
  readonly #mode: ProxyMode;
  readonly #patience: Patience;

  constructor(stand: Stand, world: World, mode: ProxyMode, patience: Patience) {
    this.#stand = stand;
    this.#world = world;
    this.#mode = mode;
    this.#patience = patience;
  }

  async differences(from: Source, some: readonly Vector[]): Promise<string[]> {
    const exec = this.#stand.cage.exec(from === 'node' || from === 'localhost' ? 'n1' : from);
    const { first, again, crowd } = this.#patience;
    let suspects: readonly Suspect[] = some.map((vector) => ({
      vector,
      expected: answersOf(vector, this.#mode),
      got: [],
    }));
    for (const timeoutMs of [first, again, again]) {
      const times = timeoutMs === first ? enough : plenty;
      const dials = suspects.map((one) => dialOf(one.vector, times(one)));
      const answers = await dialAll(exec, dials, { timeoutMs, crowd });
      suspects = suspects
        .map((one, at) => ({ ...one, got: answers[at] ?? [] }))
        .filter((one) => !agrees(one, one.got));
      if (suspects.length === 0) return [];
    }
    return suspects.map((one) => this.#difference(one, one.got));
  }

  #difference({ vector, expected }: Asked, got: readonly string[]): string {
    const walked = differenceOf(vector, expected, walkOf(this.#world, vector));
    return `${walked}\n    the kernel: ${[...new Set(got)].join(' or ')}`;
  }
}

function dialOf({ from, target, protocol, flow }: Vector, times: number): Dial {
  const source = from === 'localhost' ? { source: LOOPBACK[target.family].text } : {};
  const spoken = flow.health === undefined ? protocol : 'HTTP';
  return { protocol: spoken, address: target.addr.text, port: target.port, times, ...source };
}

/** As many connections as find every endpoint nearly always. */
function enough({ vector, expected: { size } }: Asked): number {
  if (size === 1) return 1;
  return vector.flow.sticky === true ? 5 : 8 * (size - 1);
}

const plenty = ({ expected: { size } }: Asked): number => (size === 1 ? 2 : 20 * (size - 1));

/** Nothing but what is expected, and all of it; under session affinity always the same of it. */
function agrees({ vector, expected }: Asked, got: readonly string[]): boolean {
  const seen = new Set(got);
  if (seen.size === 0 || [...seen].some((each) => !expected.has(each))) return false;
  return seen.size === (vector.flow.sticky === true ? 1 : expected.size);
}
