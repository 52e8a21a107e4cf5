import type { Service } from '../../kube/objects.ts';
import { CLIENT_CLASSES, type ClientClass, type Matrix, type MatrixCell } from './matrix.ts';

/** A matrix as rows and columns, however it is drawn. */

/** What a Service is, in a few words. */
export function titleOf(service: Service | undefined): string {
  const { type = 'ClusterIP', externalTrafficPolicy: policy } = service?.spec ?? {};
  return `${type}${policy === undefined ? '' : `, externalTrafficPolicy ${policy}`}`;
}

export const columnsOf = ({ cells }: Matrix): ClientClass[] =>
  CLIENT_CLASSES.filter((kind) => cells.some(({ client }) => client === kind));

/** A row an address. */
export const rowsOf = ({ cells }: Matrix): MatrixCell[][] =>
  [...Map.groupBy(cells, ({ target, port }) => `${port ?? ''} ${target}`).values()].sort(byTarget);

/** In this order, each port by itself. */
const TARGETS = ['clusterIP', 'serverNode', 'ownNode', 'otherNode', 'loadBalancer', 'natGateway', 'podIP'];

function byTarget([a]: readonly MatrixCell[], [b]: readonly MatrixCell[]): number {
  const place = (cell: MatrixCell | undefined) => TARGETS.indexOf(cell?.target.split('.')[0] ?? '');
  return (a?.port ?? '').localeCompare(b?.port ?? '') || place(a) - place(b);
}

export const nameOf = ([first]: readonly MatrixCell[]): string =>
  first === undefined ? '' : first.port === undefined ? first.target : `${first.target} ${first.port}`;

/** The address of the row; which it is may depend on the client. */
export function addressOf(row: readonly MatrixCell[]): string {
  const addresses = new Set(row.map(({ address }) => address));
  const [only] = addresses;
  return addresses.size === 1 && only !== undefined ? only : 'by client';
}

export const fromOf = (cells: readonly MatrixCell[], kind: ClientClass): string => {
  const from = cells.find(({ client }) => client === kind)?.from ?? '';
  return from === kind
    ? ''
    : from.startsWith('-client/')
      ? `a pod on ${from.slice('-client/'.length)}`
      : from;
};
