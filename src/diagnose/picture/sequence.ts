import type { Outcome } from '../../trace/trace.ts';
import type { World } from '../../world/world.ts';
import { escaped, wrapped } from './markup.ts';
import { type Arrow, type Note, wayOf } from './way.ts';

/** A piece of a picture, from its own upper left corner. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: readonly string[];
}

/** In pixels: between lines of text, and of one character of the two fonts. */
export const LINE = 17;
const MONO = 6.7;
const SANS = 7.3;
const BOLD = 8.2;
const HEAD = 40;
const ARROW = 38;
/** The most characters of a line in a box. */
const BOX_TEXT = 58;
const LEAST_LANE = 120;

/** One way as a sequence: a lane a host, an arrow a link, a box where a host changes the header or decides. */
export function drawSequence(world: World, outcome: Outcome): Drawing {
  const rows = wayOf(outcome);
  const hosts = [...new Set(rows.flatMap((row) => (row.kind === 'arrow' ? [row.from, row.to] : [row.host])))];
  const lanes = new Lanes(hosts, rows);
  const body: string[] = [];
  let y = HEAD + 14;
  let before: Arrow | undefined;
  for (const row of rows) {
    if (row.kind === 'arrow') {
      y += ARROW;
      body.push(...arrow(row, before, lanes, y));
      before = row;
      continue;
    }
    const box = boxOf(row, lanes);
    body.push(...box.draw(y + 10));
    y += box.height + 14;
  }
  const height = y + 16;
  const heads = hosts.flatMap((host) => head(host, world.hosts.get(host)?.role ?? '', lanes, height));
  return { width: lanes.width, height, body: [...heads, ...body] };
}

/** Where the lanes stand: far enough apart for what is written between them. */
class Lanes {
  readonly #centres = new Map<string, number>();
  readonly width: number;

  constructor(hosts: readonly string[], rows: readonly (Arrow | Note)[]) {
    const gaps = hosts.map((host, at) => {
      const next = hosts[at + 1];
      const labels = rows.flatMap((row) =>
        row.kind === 'arrow' && [row.from, row.to].every((end) => end === host || end === next)
          ? (row.source.length + row.destination.length + 3) * MONO + 30
          : 0,
      );
      return Math.max(LEAST_LANE, headWidth(host), ...labels);
    });
    let x = Math.max(90, headWidth(hosts[0] ?? '') / 2 + 2);
    for (const [at, host] of hosts.entries()) {
      this.#centres.set(host, Math.round(x));
      x += gaps[at] ?? 0;
    }
    const last = this.#centres.get(hosts.at(-1) ?? '') ?? 0;
    const boxes = rows.map((row) => (row.kind === 'note' ? widthOf(linesOf(row)) : 0));
    this.width = Math.ceil(Math.max(last + Math.max(90, headWidth(hosts.at(-1) ?? '') / 2 + 2), ...boxes));
  }

  of(host: string): number {
    return this.#centres.get(host) ?? 0;
  }
}

const headWidth = (host: string): number => host.length * BOLD + 22;

function head(host: string, role: string, lanes: Lanes, height: number): string[] {
  const x = lanes.of(host);
  const width = headWidth(host);
  return [
    `<line class="lane" x1="${x}" y1="${HEAD}" x2="${x}" y2="${height}"/>`,
    `<rect class="head" x="${x - width / 2}" y="0" width="${width}" height="${HEAD}" rx="6"/>`,
    `<text class="strong" x="${x}" y="17" text-anchor="middle">${escaped(host)}</text>`,
    `<text class="small quiet" x="${x}" y="32" text-anchor="middle">${role === host ? '' : escaped(role)}</text>`,
  ];
}

function arrow(row: Arrow, before: Arrow | undefined, lanes: Lanes, y: number): string[] {
  const [from, to] = [lanes.of(row.from), lanes.of(row.to)];
  const towards = Math.sign(to - from);
  const end = to - towards * 2;
  const kind = row.isBack ? 'wire back' : 'wire';
  // Where the direction turns, the ends change places and nobody has changed them.
  const compared = before?.isBack === row.isBack ? before : undefined;
  const part = (text: string, was: string | undefined) =>
    `<tspan${was === undefined || was === text ? '' : ' class="new"'}>${escaped(text)}</tspan>`;
  return [
    `<line class="${kind}" x1="${from}" y1="${y}" x2="${end - towards * 7}" y2="${y}"/>`,
    `<path class="tip" d="M${end} ${y} l${-towards * 9} -4.5 v9 z"/>`,
    `<text class="mono halo" x="${(from + to) / 2}" y="${y - 8}" text-anchor="middle">${part(row.source, compared?.source)} → ${part(row.destination, compared?.destination)}</text>`,
  ];
}

interface Line {
  readonly kind: string;
  readonly text: string;
  /** Before the text, struck through. */
  readonly old?: string;
}

function linesOf({ text, changes, rule, verdict }: Note): Line[] {
  const said =
    text === undefined ? [] : wrapped(verdict === undefined ? text : `${MARKS[verdict]} ${text}`, BOX_TEXT);
  const quoted = rule === undefined ? [] : wrapped(rule, BOX_TEXT);
  return [
    ...changes.map(({ field, from, to }) => ({ kind: 'mono', old: `${field} ${from} → `, text: to })),
    ...said.map((line) => ({ kind: verdict === undefined ? '' : `strong ${verdict}`, text: line })),
    ...quoted.map((line) => ({ kind: verdict === undefined ? 'mono quiet' : 'mono', text: line })),
  ];
}

const MARKS = { reached: '✓', refused: '✗', timeout: '✗', unknown: '?' } as const;

const widthOf = (lines: readonly Line[]): number =>
  Math.ceil(
    Math.max(...lines.map(({ kind, old = '', text }) => (old.length + text.length) * characterOf(kind))) + 24,
  );

const characterOf = (kind: string): number =>
  kind.includes('mono') ? MONO : kind.includes('strong') ? BOLD : SANS;

function boxOf(
  note: Note,
  lanes: Lanes,
): { readonly height: number; readonly draw: (y: number) => string[] } {
  const lines = linesOf(note);
  const width = widthOf(lines);
  const height = lines.length * LINE + 12;
  const x = Math.max(0, Math.min(lanes.of(note.host) - width / 2, lanes.width - width));
  const draw = (y: number) => [
    `<rect class="box ${note.verdict === undefined ? '' : `end ${note.verdict}`}" x="${x}" y="${y}" width="${width}" height="${height}" rx="5"/>`,
    ...lines.map(({ kind, old, text }, at) => {
      const before = old === undefined ? '' : `<tspan class="quiet">${escaped(old)}</tspan>`;
      const now = old === undefined ? escaped(text) : `<tspan class="new">${escaped(text)}</tspan>`;
      return `<text class="${kind}" x="${x + 12}" y="${y + 6 + LINE * (at + 1) - 4}" xml:space="preserve">${before}${now}</text>`;
    }),
  ];
  return { height, draw };
}
