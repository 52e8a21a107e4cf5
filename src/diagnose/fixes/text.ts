import { type Palette, paintVerdict } from '../palette.ts';
import type { Fix } from './fix.ts';

/** What helps, for a person: the change, what becomes of the connection, the command and the price. */
export function fixesText(fixes: readonly Fix[], palette: Palette): string {
  if (fixes.length === 0) return '';
  const blocks = fixes.map(({ title, verdictAfter, costs, command }, at) => [
    `  ${at + 1}. ${title}: ${paintVerdict(palette, verdictAfter, verdictAfter)}`,
    ...(command === undefined ? [] : [`     ${palette.quiet(command)}`]),
    ...(costs.length === 0 ? ['none'] : costs).map((cost) => `     price: ${cost}`),
  ]);
  return `\n${[palette.strong('What helps, each tried on a copy'), ...blocks.flat()].join('\n')}\n`;
}
