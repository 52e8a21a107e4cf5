import type { Hop, Outcome, Step, StepKind } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import type { Answer, AnsweredOutcome } from './answer.ts';
import { type Group, groupsOf, groupText, questionText } from './answer-words.ts';
import { type Palette, paintVerdict } from './palette.ts';
import { assumptionsText, nodesText, profileText } from './profile-text.ts';

/**
 * An answer for a person: the verdict, then the way as a ladder, one block a host. Of headers only what changes is shown, as
 * old → new with the rule that did it; the step that decides is marked and quoted.
 */
export function ladder(cluster: Cluster, answer: Answer, palette: Palette): string {
  const groups = groupsOf(answer.outcomes);
  const several = groups.length > 1;
  return [
    ...heading(cluster, answer, palette),
    ...groups.flatMap((group) => ['', ...groupLines(group, several, palette)]),
    '',
  ].join('\n');
}

function heading({ profile, world }: Cluster, answer: Answer, palette: Palette): string[] {
  const { verdict, assumptions } = answer;
  return [
    `${paintVerdict(palette, verdict, palette.strong(verdict))}  ${questionText(answer)}`,
    palette.quiet(profileText(profile)),
    ...nodesText(world).map(palette.quiet),
    ...assumptionsText(assumptions),
  ];
}

function groupLines(group: Group, isOneOfSeveral: boolean, palette: Palette): string[] {
  const { outcome, cause } = group.first;
  const said = groupText(group, isOneOfSeveral).map((line) => paintVerdict(palette, outcome.verdict, line));
  const why = cause === undefined ? [] : causeLines(group.first, palette);
  return [...said, ...why, '', ...rungs(outcome, palette)];
}

function causeLines({ cause }: AnsweredOutcome, palette: Palette): string[] {
  if (cause === undefined) return [];
  const { code, title, because } = cause;
  return [`${palette.strong(code)}: ${title}`, ...(because === undefined ? [] : [`  ${because}`])];
}

/** One block a host, there and back. */
function rungs(outcome: Outcome, palette: Palette): string[] {
  const lines: string[] = [];
  let direction = 'forward';
  for (const [at, hop] of outcome.hops.entries()) {
    if (hop.direction !== direction) lines.push(palette.quiet('  and back'));
    direction = hop.direction;
    lines.push(`  ${palette.strong(hop.host)}`, ...stepLines(hop, outcome, at === 0, palette));
  }
  return lines;
}

/** Worth a line even where nothing changes. */
const TELLING: ReadonlySet<StepKind> = new Set([
  'switch',
  'encapsulate',
  'ipvs',
  'deliver',
  'drop',
  'unknown',
]);

function stepLines(hop: Hop, outcome: Outcome, isFirst: boolean, palette: Palette): string[] {
  return hop.steps.flatMap((step) => {
    if (step === outcome.deciding?.step) return decidingLines(step, outcome, palette);
    const changes = changeLines(step, palette);
    if (changes.length > 0) return changes;
    if (isFirst && step.kind === 'send')
      return [row('sends', step.detail.replace(/^\S+ \S+ /, '').replace('->', '→'))];
    return TELLING.has(step.kind) ? [row(step.kind, step.detail)] : [];
  });
}

const row = (word: string, text: string): string => `    ${word.padEnd(11)}  ${text}`;

/** Marks are between rules; a person looks at addresses. */
function changeLines({ changes, rule }: Step, palette: Palette): string[] {
  const shown = changes.filter(({ field }) => field === 'source' || field === 'destination');
  if (shown.length === 0) return [];
  const quoted = rule === undefined ? [] : [row('', palette.quiet(rule))];
  return [...shown.map(({ field, from, to }) => row(field, `${from} → ${to}`)), ...quoted];
}

function decidingLines(step: Step, { verdict }: Outcome, palette: Palette): string[] {
  if (verdict === 'reached') {
    const changes = changeLines(step, palette);
    return changes.length > 0 || step.rule === undefined ? changes : [row(step.kind, step.rule)];
  }
  const paint = (text: string) => paintVerdict(palette, verdict, text);
  const at = step.place === undefined ? [] : [row('', step.place)];
  const quoted = step.rule === undefined ? at : [row('', step.rule), ...at];
  return [paint(row(`✗ ${step.kind}`, step.detail)), ...quoted];
}
