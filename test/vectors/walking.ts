/** What the executor says becomes of a vector's connection, in the words of {@link expectedOf}. */
import { type Outcome, walk } from '../../src/trace/trace.ts';
import type { World } from '../../src/world/world.ts';
import { LOOPBACK } from './bed.ts';
import type { Vector } from './vectors.ts';

export function walkOf(world: World, { from, target, protocol }: Vector): readonly Outcome[] {
  const host = from === 'node' || from === 'localhost' ? 'n1' : from;
  const source = from === 'localhost' ? { source: LOOPBACK[target.family] } : {};
  return walk(world, { from: host, to: target.addr, port: target.port, protocol, ...source });
}

export function sightOf({ verdict, reason, endpoint, sourceSeen, deciding }: Outcome): string {
  if (verdict === 'reached') return `${endpoint?.host} ${sourceSeen}`;
  if (verdict === 'unknown') return `unknown: ${deciding?.step.detail}`;
  // A datagram that the rules of its own host drop is an error (EPERM), and no word from anybody else.
  return verdict === 'refused' && reason !== 'droppedByRule' ? 'refused' : 'silence';
}

/** The rules that had a say on the way there. */
export function rulesMet({ hops }: Outcome): string[] {
  return hops
    .filter(({ direction }) => direction === 'forward')
    .flatMap(({ host, steps }) =>
      steps
        .filter(({ rule, kind }) => rule !== undefined && kind !== 'route')
        .map(({ rule, detail }) => `      ${host}: ${rule} (${detail})`),
    );
}

/** Where the executor and a vector part: the vector, both answers, and the rules on the way. */
export function differenceOf(
  vector: Vector,
  expected: ReadonlySet<string>,
  outcomes: readonly Outcome[],
): string {
  const wrong = outcomes.find((outcome) => !expected.has(sightOf(outcome))) ?? outcomes[0];
  const said = new Set(outcomes.map(sightOf));
  return [
    vector.name,
    `    expected ${[...expected].join(' or ')}`,
    `    walked   ${[...said].join(' or ')} (${wrong?.reason})`,
    ...(wrong === undefined ? [] : rulesMet(wrong)),
  ].join('\n');
}
