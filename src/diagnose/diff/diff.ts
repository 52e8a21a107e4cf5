/**
 * Diff: who is answered otherwise after a change of the proxy mode, the version, the network or another field.
 *
 * Promises: both sides are matrices of the same Services, walked; a cell is told if its verdict, its endpoints or the source
 * that pods see differ, with the cause on each side. Where the change gives pods other addresses, endpoints and sources are
 * compared by who has them.
 * Refuses: to say what happens while the change is under way.
 *
 * @example
 * diffOf(cluster, inventory, { proxyMode: 'nftables' }).cells.map(({ client, target, kind }) => `${client} ${target}: ${kind}`);
 */
import { Addr } from '../../ip/ip.ts';
import { type Cluster, clusterFrom, type Inventory } from '../../world/from-objects/from-objects.ts';
import { type ClusterProfile, specOf } from '../../world/profile.ts';
import { causeOf } from '../cause-of.ts';
import { type Matrix, type MatrixCell, matrices } from '../matrix/matrix.ts';
import { destinationOf } from './destination.ts';

/** `worse`: reached before and not, or not always, after. `source`: reached on both sides, and pods see another address. */
export type ChangeKind = 'worse' | 'better' | 'source' | 'endpoint' | 'failure';

export interface ChangedCell {
  /** `namespace/name`. */
  readonly service: string;
  readonly client: MatrixCell['client'];
  readonly from: string;
  readonly node?: string;
  readonly target: string;
  readonly port?: string;
  readonly kind: ChangeKind;
  readonly before: CellSide;
  readonly after: CellSide;
}

export type CellSide = Pick<MatrixCell, 'address' | 'verdict' | 'sourceSeen' | 'endpoints' | 'cause'>;

export interface Diff {
  readonly before: ClusterProfile;
  readonly after: ClusterProfile;
  /** How many cells both sides have. */
  readonly compared: number;
  readonly cells: readonly ChangedCell[];
  /** Addresses that one side alone has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  readonly isRenumbered: boolean;
}

/**
 * @param inventory what the cluster was built from
 * @param to fields of the profile, as `--set` takes them
 * @param services keys; all of them unless said
 */
export function diffOf(
  cluster: Cluster,
  inventory: Inventory,
  to: Readonly<Record<string, string>>,
  services?: readonly string[],
): Diff {
  const destination = destinationOf({ inventory, profile: cluster.profile }, to);
  const changed = clusterFrom(destination.inventory, destination.profile);
  const before = cellsOf(matrices(cluster, services, causeOf));
  const after = cellsOf(matrices(changed, services, causeOf));
  const shared = [...before].flatMap(([key, one]) => {
    const other = after.get(key);
    return other === undefined ? [] : [[one, other] as const];
  });
  const { isRenumbered } = destination;
  const likeness = (side: Cluster) => (isRenumbered ? ownerOf(side) : (address: string) => address);
  return {
    before: cluster.profile,
    after: destination.profile,
    compared: shared.length,
    cells: shared.flatMap(([one, other]) => changedCell(one, other, likeness(cluster), likeness(changed))),
    onlyBefore: [...before.keys()].filter((key) => !after.has(key)),
    onlyAfter: [...after.keys()].filter((key) => !before.has(key)),
    isRenumbered,
  };
}

interface ServiceCell {
  readonly service: string;
  readonly cell: MatrixCell;
}

function cellsOf(found: readonly Matrix[]): Map<string, ServiceCell> {
  const cells = found.flatMap(({ service, cells }) => cells.map((cell) => ({ service, cell })));
  return new Map(
    cells.map((one) => {
      const { client, target, port } = one.cell;
      return [`${client} to svc/${one.service}${port === undefined ? '' : `:${port}`} at ${target}`, one];
    }),
  );
}

type Likeness = (address: string) => string;

/** Who has an address. */
function ownerOf({ world }: Cluster): Likeness {
  const owners = new Map(
    [...world.hosts.values()].flatMap(({ name, interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => [addr.text, name] as const)),
    ),
  );
  return (text) => {
    const address = Addr.isAddr(text) ? text : text.slice(0, text.lastIndexOf(':'));
    return owners.get(address) ?? text;
  };
}

function changedCell(
  { service, cell: before }: ServiceCell,
  { cell: after }: ServiceCell,
  likeBefore: Likeness,
  likeAfter: Likeness,
): ChangedCell[] {
  const same = (pick: (cell: MatrixCell) => readonly string[]) =>
    setText(pick(before).map(likeBefore)) === setText(pick(after).map(likeAfter));
  const kind = kindOf(before, after, {
    sources: same((cell) => cell.sourceSeen),
    endpoints: same((cell) => cell.endpoints),
  });
  if (kind === undefined) return [];
  const { client, from, node, target, port } = before;
  return [
    {
      service,
      client,
      from,
      ...(node === undefined ? {} : { node }),
      target,
      ...(port === undefined ? {} : { port }),
      kind,
      before: sideOf(before),
      after: sideOf(after),
    },
  ];
}

const setText = (names: readonly string[]): string => [...new Set(names)].sort().join();

const GOODNESS: Readonly<Record<MatrixCell['verdict'], number>> = {
  reached: 2,
  mixed: 1,
  refused: 0,
  timeout: 0,
  unknown: 0,
};

function kindOf(
  before: MatrixCell,
  after: MatrixCell,
  same: { readonly sources: boolean; readonly endpoints: boolean },
): ChangeKind | undefined {
  const gain = GOODNESS[after.verdict] - GOODNESS[before.verdict];
  if (gain < 0) return 'worse';
  if (gain > 0) return 'better';
  if (before.verdict !== after.verdict) return 'failure';
  if (after.verdict !== 'reached' && after.verdict !== 'mixed') return undefined;
  if (!same.endpoints) return 'endpoint';
  return same.sources ? undefined : 'source';
}

const sideOf = ({ address, verdict, sourceSeen, endpoints, cause }: MatrixCell): CellSide => ({
  address,
  verdict,
  sourceSeen,
  endpoints,
  ...(cause === undefined ? {} : { cause }),
});

/** As `fairlead diff -o json` prints it. */
export function diffJson({ before, after, cells, ...rest }: Diff) {
  const side = ({ cause, ...one }: CellSide) => (cause === undefined ? one : { ...one, cause: cause.code });
  return {
    before: { name: before.name, ...specOf(before) },
    after: { name: after.name, ...specOf(after) },
    ...rest,
    cells: cells.map((cell) => ({ ...cell, before: side(cell.before), after: side(cell.after) })),
  };
}
