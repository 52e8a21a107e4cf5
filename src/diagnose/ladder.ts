import type { Hop, Outcome, Step, StepKind } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import type { Answer, AnsweredOutcome } from './answer.ts';
import { type Palette, paintVerdict } from './palette.ts';
import { nodesText, profileText } from './profile-text.ts';

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

/** Outcomes that differ in nothing but the endpoint. */
interface Group {
  readonly first: AnsweredOutcome;
  readonly all: readonly AnsweredOutcome[];
}

function groupsOf(outcomes: readonly AnsweredOutcome[]): Group[] {
  const likeness = ({ outcome, cause }: AnsweredOutcome) =>
    [
      outcome.verdict,
      outcome.reason,
      cause?.code,
      outcome.verdict === 'reached' ? '' : outcome.deciding?.host,
    ].join();
  return [...Map.groupBy(outcomes, likeness).values()].flatMap((all) => {
    const first = all.reduce((best, one) => (one.probability > best.probability ? one : best));
    return [{ first, all }];
  });
}

function heading({ profile, world }: Cluster, { question, verdict }: Answer, palette: Palette): string[] {
  const { client, target } = question;
  const [address] = target.addresses;
  const dialled =
    target.addresses.length === 1
      ? `${address}:${target.port}`
      : `${target.addresses.length} addresses, port ${target.port}`;
  const where = target.name.startsWith(`${address}`) ? '' : ` (${dialled}/${target.protocol})`;
  return [
    `${paintVerdict(palette, verdict, palette.strong(verdict))}  ${client.name} → ${target.name}${where}`,
    palette.quiet(profileText(profile)),
    ...nodesText(world).map(palette.quiet),
  ];
}

function groupLines({ first, all }: Group, several: boolean, palette: Palette): string[] {
  const { outcome, cause } = first;
  const share = all.reduce((sum, { probability }) => sum + probability, 0);
  const said = `${several ? `${percent(share)} ` : ''}${outcome.verdict}${endpointText(all)}`;
  // Alone and without an endpoint it would but repeat the heading.
  const verdict = several || said !== outcome.verdict ? [paintVerdict(palette, outcome.verdict, said)] : [];
  const why = cause === undefined ? [] : causeLines(first, palette);
  return [...verdict, ...why, '', ...rungs(outcome, palette)];
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

function endpointText(all: readonly AnsweredOutcome[]): string {
  const names = new Set(
    all.flatMap(({ endpoint }) =>
      endpoint === undefined
        ? []
        : [
            `${endpoint.pod ?? 'a process'} at ${endpoint.ip}:${endpoint.port}${endpoint.node === undefined ? '' : ` on ${endpoint.node}`}`,
          ],
    ),
  );
  if (names.size === 0) return '';
  const [only] = names;
  const sources = new Set(all.flatMap(({ outcome }) => outcome.sourceSeen?.text ?? []));
  const seen = sources.size === 0 ? '' : `, which sees ${[...sources].join(' or ')}`;
  return names.size === 1 ? `: ${only}${seen}` : `: any of ${names.size} endpoints${seen}`;
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
