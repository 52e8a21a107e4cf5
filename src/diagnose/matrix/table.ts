import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { assumptionsOfService } from '../assumptions.ts';
import { type Palette, paintVerdict } from '../palette.ts';
import { assumptionsText, nodesText, profileText } from '../profile-text.ts';
import type { Matrix, MatrixCell } from './matrix.ts';
import { addressOf, columnsOf, fromOf, nameOf, rowsOf, titleOf } from './rows.ts';
import { clientText } from './stand-ins.ts';

/**
 * A matrix for a person: a row an address, a column a class of clients, and below it why the cells that fail do.
 *
 * @param width in characters; what is wider is told in several tables, one below the other
 */
export function matrixTable(
  cluster: Cluster,
  matrix: Matrix,
  palette: Palette,
  width = Number.POSITIVE_INFINITY,
): string {
  const { cells } = matrix;
  const columns = columnsOf(matrix);
  const rows = rowsOf(matrix);
  const notes = new Notes();
  const body = rows.map((row) => [
    { text: nameOf(row) },
    { text: addressOf(row) },
    ...columns.map((kind) =>
      cellText(
        row.find(({ client }) => client === kind),
        notes,
      ),
    ),
  ]);
  const head = [{ text: '' }, { text: '' }, ...columns.map((kind) => ({ text: kind }))];
  const from = [{ text: '' }, { text: '' }, ...columns.map((kind) => ({ text: fromOf(cells, kind) }))];
  const lines = aligned([head, from, ...body], palette, width);
  return [
    ...heading(cluster, matrix, palette),
    '',
    ...lines,
    ...(cells.some(({ observed }) => observed !== undefined)
      ? ['', palette.quiet('=  the kernel does so too    ≠  what the kernel does instead')]
      : []),
    ...notes.lines(palette),
    '',
  ].join('\n');
}

interface Box {
  readonly text: string;
  readonly verdict?: string;
}

function heading(cluster: Cluster, { service }: Matrix, palette: Palette): string[] {
  const { services, profile, world } = cluster;
  return [
    `${palette.strong(`svc/${service}`)}  ${titleOf(services.get(service))}`,
    palette.quiet(profileText(profile)),
    ...nodesText(world).map(palette.quiet),
    ...assumptionsText(assumptionsOfService(cluster, service)),
  ];
}

function cellText(cell: MatrixCell | undefined, notes: Notes): Box {
  if (cell === undefined) return { text: '-' };
  const { verdict, cause, observed } = cell;
  const note = cause === undefined ? '' : ` [${notes.add(cell)}]`;
  const seen = observed === undefined ? '' : observed.agrees ? ' =' : ` ≠ ${observed.verdict}`;
  return { text: `${verdict}${seen}${note}`, verdict };
}

/** The distinct causes, numbered as they come. */
class Notes {
  readonly #cells: MatrixCell[] = [];

  add(cell: MatrixCell): number {
    const at = this.#cells.findIndex(({ cause }) => cause?.code === cell.cause?.code);
    return at < 0 ? this.#cells.push(cell) : at + 1;
  }

  lines(palette: Palette): string[] {
    if (this.#cells.length === 0) return [];
    const notes = this.#cells.map(({ cause, from, client, target }, at) => {
      const who = client === 'external' || client === 'vpc-host' ? client : clientText(from);
      return `[${at + 1}] ${cause?.code}: ${cause?.title}${palette.quiet(` (${who} to ${target})`)}`;
    });
    return ['', ...notes];
  }
}

/** What stands at the left of every table: the name of a row and its address. */
const LEFT = 2;
const GAP = '  ';

function aligned(rows: readonly (readonly Box[])[], palette: Palette, width: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.text.length ?? 0)),
  );
  const line = (row: readonly Box[], at: number, columns: readonly number[]) =>
    columns
      .map((column) => {
        const { text, verdict } = row[column] ?? { text: '' };
        const padded = text.padEnd(widths[column] ?? 0);
        if (verdict !== undefined) return paintVerdict(palette, verdict, padded);
        return at === 0 ? palette.strong(padded) : at === 1 || column === 1 ? palette.quiet(padded) : padded;
      })
      .join(GAP)
      .trimEnd();
  return tablesOf(widths, width).flatMap((columns, table) => [
    ...(table === 0 ? [] : ['']),
    ...rows.map((row, at) => line(row, at, columns)),
  ]);
}

/** The columns of each table: as many as fit, and one at least. */
function tablesOf(widths: readonly number[], most: number): number[][] {
  const left = [...widths.keys()].slice(0, LEFT);
  const room = (columns: readonly number[]) =>
    columns.reduce((sum, column) => sum + (widths[column] ?? 0) + GAP.length, -GAP.length);
  const tables: number[][] = [];
  for (const column of [...widths.keys()].slice(LEFT)) {
    const last = tables.at(-1);
    if (last !== undefined && room([...last, column]) <= most) last.push(column);
    else tables.push([...left, column]);
  }
  return tables;
}
