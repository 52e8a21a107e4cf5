/**
 * An answer as a picture: SVG by itself or in a page, and Mermaid's sequence diagram (mermaid.ts). way.ts has what there is
 * to draw, without how. Names and rules come from people's files, so all text is escaped (markup.ts).
 */
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import type { Answer } from '../answer.ts';
import { type Group, groupsOf, groupText, questionText, shareOf } from '../answer-words.ts';
import type { Fix } from '../fixes/fix.ts';
import { assumptionsText, nodesText, profileText } from '../profile-text.ts';
import { escaped, wrapped } from './markup.ts';
import { type Drawing, drawSequence, LINE } from './sequence.ts';

const MARGIN = 24;
const LEAST_WIDTH = 720;

/**
 * An answer as a picture, complete in itself: a lane a host, an arrow a link with the header it comes with, a box where a
 * host changes it, with the rule that did. One sequence for each thing that may happen, the likeliest first. Light or dark
 * as whoever looks at it prefers.
 */
export function svg(cluster: Cluster, answer: Answer, fixes: readonly Fix[] = []): string {
  const { drawn, page } = begun(cluster, answer);
  const title = questionText(answer);
  page.heading(answer.verdict, title);
  page.lines('quiet', [profileText(cluster.profile), ...nodesText(cluster.world)]);
  page.lines('', assumptionsText(answer.assumptions));
  for (const [group, drawing] of drawn) drawGroup(page, group, drawing, drawn.length > 1);
  if (fixes.length > 0) {
    page.lines('strong', ['', 'What helps']);
    page.lines(
      '',
      fixes.map(({ title: what, verdictAfter }) => `• ${what} (then: ${verdictAfter})`),
    );
  }
  return page.document(`${answer.verdict}: ${title}`, true);
}

/** The sequences alone, to stand in a page that has {@link SVG_STYLE} and says what they are. */
export function svgInPage(cluster: Cluster, answer: Answer): string {
  const { drawn, page } = begun(cluster, answer);
  for (const [group, drawing] of drawn) drawGroup(page, group, drawing, drawn.length > 1);
  return page.document(`${answer.verdict}: ${questionText(answer)}`, false);
}

function begun(cluster: Cluster, answer: Answer) {
  const groups = groupsOf(answer.outcomes).sort((a, b) => shareOf(b) - shareOf(a));
  const drawn = groups.map((group) => [group, drawSequence(cluster.world, group.first.outcome)] as const);
  const width = Math.max(LEAST_WIDTH, ...drawn.map(([, drawing]) => drawing.width)) + 2 * MARGIN;
  return { drawn, page: new Page(width) };
}

function drawGroup(page: Page, group: Group, drawing: Drawing, isOneOfSeveral: boolean): void {
  const { outcome, cause } = group.first;
  page.lines(`strong ${outcome.verdict}`, ['', ...groupText(group, isOneOfSeveral)]);
  if (cause !== undefined) {
    page.lines('strong', [`${cause.code}: ${cause.title}`]);
    page.lines('', cause.because === undefined ? [] : [cause.because]);
  }
  page.drawing(drawing);
}

/** Lines and drawings, one below the other. */
class Page {
  readonly #width: number;
  readonly #body: string[] = [];
  #y = MARGIN;

  constructor(width: number) {
    this.#width = width;
  }

  heading(verdict: string, title: string): void {
    const pill = verdict.length * 8 + 24;
    const y = this.#y + 17;
    this.#body.push(
      `<rect class="pill ${verdict}" x="${MARGIN}" y="${this.#y}" width="${pill}" height="24" rx="12"/>`,
      `<text class="on-pill" x="${MARGIN + pill / 2}" y="${y}" text-anchor="middle">${verdict}</text>`,
      `<text class="title" x="${MARGIN + pill + 12}" y="${y}">${escaped(title)}</text>`,
    );
    this.#y += 32;
  }

  /** An empty one is a gap. */
  lines(kind: string, texts: readonly string[]): void {
    const most = Math.floor((this.#width - 2 * MARGIN) / 7);
    for (const line of texts.flatMap((text) => wrapped(text, most))) {
      this.#y += line === '' ? LINE * 0.7 : LINE + 2;
      if (line !== '')
        this.#body.push(`<text class="${kind}" x="${MARGIN}" y="${this.#y - 5}">${escaped(line)}</text>`);
    }
  }

  drawing({ height, body }: Drawing): void {
    const y = this.#y + 12;
    this.#body.push(`<g transform="translate(${MARGIN} ${y})">`, ...body, '</g>');
    this.#y = y + height;
  }

  /** @param isAlone with the style */
  document(title: string, isAlone: boolean): string {
    const [width, height] = [this.#width, Math.ceil(this.#y + MARGIN)];
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
      `<title>${escaped(title)}</title>`,
      ...(isAlone ? [`<style>${SVG_STYLE}</style>`] : []),
      `<rect class="paper" width="${width}" height="${height}"/>`,
      ...this.#body,
      '</svg>',
      '',
    ].join('\n');
  }
}

/** Of a verdict as text, of its pill and of the border of its box. */
const verdictStyle = (verdict: string, colour: string): string =>
  `text.${verdict}{fill:${colour}}.pill.${verdict}{fill:${colour}}.end.${verdict}{stroke:${colour};stroke-width:2}`;

export const SVG_STYLE = [
  'text{font:13px system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:#1f2328}',
  '.title{font-size:15px;font-weight:600}.strong{font-weight:600}.small{font-size:11px}',
  '.mono{font:11px ui-monospace,"DejaVu Sans Mono",monospace}.quiet{fill:#656d76}.new{fill:#0550ae;font-weight:600}',
  '.paper{fill:#ffffff}.on-pill{fill:#ffffff;font-weight:600}',
  '.head{fill:#f6f8fa;stroke:#d0d7de}.box{fill:#f6f8fa;stroke:#d0d7de}.lane{stroke:#d0d7de;stroke-dasharray:3 4}',
  '.wire{stroke:#57606a;stroke-width:1.5}.back{stroke-dasharray:6 4}.tip{fill:#57606a}',
  '.halo{paint-order:stroke;stroke:#ffffff;stroke-width:4px;stroke-linejoin:round}',
  verdictStyle('reached', '#1a7f37'),
  verdictStyle('refused', '#cf222e'),
  verdictStyle('timeout', '#cf222e'),
  verdictStyle('mixed', '#9a6700'),
  verdictStyle('unknown', '#9a6700'),
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.new{fill:#79c0ff}.paper{fill:#0d1117}',
  '.head,.box{fill:#161b22;stroke:#3d444d}.lane{stroke:#3d444d}.wire{stroke:#9198a1}.tip{fill:#9198a1}.halo{stroke:#0d1117}',
  verdictStyle('reached', '#3fb950'),
  verdictStyle('refused', '#ff7b72'),
  verdictStyle('timeout', '#ff7b72'),
  verdictStyle('mixed', '#d29922'),
  verdictStyle('unknown', '#d29922'),
  '.on-pill{fill:#0d1117}}',
].join('');
