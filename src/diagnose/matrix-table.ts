import type { Cluster } from '../world/from-objects/from-objects.ts';
import { CLIENT_CLASSES, type ClientClass, type Matrix, type MatrixCell } from './matrix.ts';
import { type Palette, paintVerdict } from './palette.ts';
import { nodesText, profileText } from './profile-text.ts';
import { clientText } from './stand-ins.ts';

/** A matrix for a person: a row an address, a column a class of clients, and below it why the cells that fail do. */
export function matrixTable(cluster: Cluster, matrix: Matrix, palette: Palette): string {
  const { cells } = matrix;
  const columns = CLIENT_CLASSES.filter((kind) => cells.some(({ client }) => client === kind));
  const rows = [...Map.groupBy(cells, ({ target, port }) => `${port ?? ''} ${target}`).values()].sort(
    byTarget,
  );
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
  const lines = aligned([head, from, ...body], palette);
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

/** In this order, each port by itself. */
const TARGETS = ['clusterIP', 'serverNode', 'ownNode', 'otherNode', 'loadBalancer', 'natGateway', 'podIP'];

function byTarget([a]: readonly MatrixCell[], [b]: readonly MatrixCell[]): number {
  const place = (cell: MatrixCell | undefined) => TARGETS.indexOf(cell?.target.split('.')[0] ?? '');
  return (a?.port ?? '').localeCompare(b?.port ?? '') || place(a) - place(b);
}

interface Box {
  readonly text: string;
  readonly verdict?: string;
}

function heading({ services, profile, world }: Cluster, { service }: Matrix, palette: Palette): string[] {
  const { type = 'ClusterIP', externalTrafficPolicy: policy } = services.get(service)?.spec ?? {};
  const outside = policy === undefined ? '' : `, externalTrafficPolicy ${policy}`;
  return [
    `${palette.strong(`svc/${service}`)}  ${type}${outside}`,
    palette.quiet(profileText(profile)),
    ...nodesText(world).map(palette.quiet),
  ];
}

const nameOf = ([first]: readonly MatrixCell[]): string =>
  first === undefined ? '' : first.port === undefined ? first.target : `${first.target} ${first.port}`;

/** The address of the row; which it is may depend on the client. */
function addressOf(row: readonly MatrixCell[]): string {
  const addresses = new Set(row.map(({ address }) => address));
  const [only] = addresses;
  return addresses.size === 1 && only !== undefined ? only : 'by client';
}

const fromOf = (cells: readonly MatrixCell[], kind: ClientClass): string => {
  const from = cells.find(({ client }) => client === kind)?.from ?? '';
  return from === kind
    ? ''
    : from.startsWith('-client/')
      ? `a pod on ${from.slice('-client/'.length)}`
      : from;
};

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

function aligned(rows: readonly (readonly Box[])[], palette: Palette): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.text.length ?? 0)),
  );
  return rows.map((row, at) =>
    row
      .map(({ text, verdict }, column) => {
        const padded = text.padEnd(widths[column] ?? 0);
        if (verdict !== undefined) return paintVerdict(palette, verdict, padded);
        return at === 0 ? palette.strong(padded) : at === 1 || column === 1 ? palette.quiet(padded) : padded;
      })
      .join('  ')
      .trimEnd(),
  );
}
