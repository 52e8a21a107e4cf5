type Paint = (text: string) => string;

/** How a text marks what matters; the identity where there are no colours. */
export interface Palette {
  readonly good: Paint;
  readonly bad: Paint;
  readonly doubtful: Paint;
  readonly strong: Paint;
  readonly quiet: Paint;
}

const plain: Paint = (text) => text;
export const NO_COLOURS: Palette = { good: plain, bad: plain, doubtful: plain, strong: plain, quiet: plain };

/** ECMA-48, Select Graphic Rendition. */
const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\u001b[${on}m${text}\u001b[${off}m`;

export const COLOURS: Palette = {
  good: sgr(32, 39),
  bad: sgr(31, 39),
  doubtful: sgr(33, 39),
  strong: sgr(1, 22),
  quiet: sgr(2, 22),
};

export function paintVerdict(palette: Palette, verdict: string, text: string = verdict): string {
  if (verdict === 'reached') return palette.good(text);
  return verdict === 'mixed' || verdict === 'unknown' ? palette.doubtful(text) : palette.bad(text);
}
