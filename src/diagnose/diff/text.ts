import { type Palette, paintVerdict } from '../palette.ts';
import { profileText } from '../profile-text.ts';
import type { CellSide, ChangedCell, ChangeKind, Diff } from './diff.ts';

const TITLES: readonly (readonly [ChangeKind, string])[] = [
  ['worse', 'no longer reached'],
  ['better', 'reached from then on'],
  ['failure', 'fails otherwise'],
  ['endpoint', 'answered by others'],
  ['source', 'reached, and pods see another source'],
];

/** What changes, for a person: by what it means, a line a cell, and the causes below. */
export function diffText(diff: Diff, palette: Palette): string {
  const { before, after, cells, compared, isRenumbered } = diff;
  const groups = TITLES.flatMap(([kind, title]) => {
    const found = cells.filter((cell) => cell.kind === kind);
    return found.length === 0
      ? []
      : ['', palette.strong(`${title} (${found.length})`), ...rows(found, palette)];
  });
  const once = (title: string, keys: readonly string[]) =>
    keys.length === 0 ? [] : ['', palette.strong(title), ...keys.map((key) => `  ${key}`)];
  return [
    `${palette.quiet('from')} ${profileText(before)}`,
    `${palette.quiet('to  ')} ${profileText(after)}`,
    ...(isRenumbered
      ? [palette.quiet('pods get other addresses; endpoints and sources are compared by who has them')]
      : []),
    ...groups,
    ...once('there before only', diff.onlyBefore),
    ...once('there after only', diff.onlyAfter),
    ...causeLines(cells),
    '',
    `${cells.length} of ${compared} answers change`,
    '',
  ].join('\n');
}

function rows(cells: readonly ChangedCell[], palette: Palette): string[] {
  const heads = cells.map(({ client, service, target, port }) => [
    client,
    `svc/${service}${port === undefined ? '' : `:${port}`}`,
    target,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...heads.map((head) => head[column]?.length ?? 0)));
  return cells.map((cell, at) => {
    const head = (heads[at] ?? []).map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ');
    return `  ${head}  ${changeText(cell, palette)}`;
  });
}

function changeText({ kind, before, after }: ChangedCell, palette: Palette): string {
  const both = (pick: (side: CellSide) => readonly string[]) =>
    `${pick(before).join(' or ')} → ${pick(after).join(' or ')}`;
  if (kind === 'source') return both(({ sourceSeen }) => sourceSeen);
  if (kind === 'endpoint') return both(({ endpoints }) => endpoints);
  const side = ({ verdict, cause }: CellSide) =>
    `${paintVerdict(palette, verdict)}${cause === undefined ? '' : ` ${cause.code}`}`;
  return `${side(before)} → ${side(after)}`;
}

function causeLines(cells: readonly ChangedCell[]): string[] {
  const causes = new Map(
    cells
      .flatMap(({ before, after }) => [before.cause, after.cause])
      .flatMap((cause) => (cause === undefined ? [] : [[cause.code, cause.title] as const])),
  );
  return causes.size === 0 ? [] : ['', ...[...causes].sort().map(([code, title]) => `${code}: ${title}`)];
}
