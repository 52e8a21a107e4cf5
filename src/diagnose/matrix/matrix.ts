/**
 * Matrix: every class of clients at every address of a Service.
 *
 * Promises: each cell is what a walk says. Services that differ in names, addresses and ports alone are walked once
 * ({@link Shapes}); a World with rules that did not come from objects is walked cell by cell.
 * Refuses: to say which rule decided a cell; `why` does, for the client and the address of the cell.
 *
 * @example
 * matrices(cluster, ['default/web'], causeOf).map(({ cells }) => cells.map(({ client, target, verdict }) => [client, target, verdict]));
 */
import { Endpoint, type Protocol } from '../../ip/ip.ts';
import type { Service } from '../../kube/objects.ts';
import { isHeadless } from '../../kube/service-endpoints.ts';
import { type Cluster, isDerived } from '../../world/from-objects/from-objects.ts';
import { specOf } from '../../world/profile.ts';
import { type AnswerVerdict, type CauseFinder, causeByReason } from '../answer.ts';
import { assumptionsOfService } from '../assumptions.ts';
import { nodesOf } from '../profile-text.ts';
import { nothingNamed } from '../question.ts';
import { Shapes } from './shape.ts';
import { type Client, type ClientClass, clientsOf, stageOf, type Target, targetsOf } from './stage.ts';
import { withStandIns } from './stand-ins.ts';
import { AnswersByShape, type CellAnswer } from './walks.ts';

export { CLIENT_CLASSES, type ClientClass } from './stage.ts';

/** One client at one address. */
export interface MatrixCell extends CellAnswer {
  readonly client: ClientClass;
  /** A pod as `namespace/name`, else the host's name. */
  readonly from: string;
  /** The client's node. */
  readonly node?: string;
  /** See {@link targetsOf}. */
  readonly target: string;
  readonly address: string;
  readonly protocol: Protocol;
  /** Name or number, where the Service has several ports. */
  readonly port?: string;
  /** What the kernel made of it, where it was asked. */
  readonly observed?: ObservedCell;
}

export interface ObservedCell {
  readonly verdict: AnswerVerdict;
  readonly sourceSeen: readonly string[];
  /** It is what was foretold. */
  readonly agrees: boolean;
}

export interface Matrix {
  /** `namespace/name`. */
  readonly service: string;
  readonly cells: readonly MatrixCell[];
}

/** How matrices are walked. */
export interface MatrixOptions {
  /** Walks every cell by itself, which comes to the same and takes longer. */
  readonly cellByCell?: boolean;
  /** Told how many cells were walked, and how many read off those of Services alike. */
  readonly onDone?: (counts: { readonly walked: number; readonly readOff: number }) => void;
}

/** Matrices of these Services, or of all that have an address. Throws {@link Fault} FE013 for one that there is not. */
export function matrices(
  cluster: Cluster,
  services: readonly string[] | undefined,
  causeOf: CauseFinder = causeByReason,
  { cellByCell = false, onDone }: MatrixOptions = {},
): Matrix[] {
  const wanted = services ?? [...cluster.services.keys()];
  const unknown = wanted.find((key) => !cluster.services.has(key));
  if (unknown !== undefined) throw nothingNamed('service', unknown, cluster.services.keys());
  const staffed = withStandIns(cluster);
  const answers = new AnswersByShape(staffed, causeOf);
  const shapes = cellByCell || !isDerived(cluster.world) ? undefined : new Shapes(staffed);
  const found = wanted.flatMap((key) => {
    const service = cluster.services.get(key);
    const hasAddress = service !== undefined && service.spec?.type !== 'ExternalName' && !isHeadless(service);
    return hasAddress ? [matrixOf(staffed, key, service, answers, shapes)] : [];
  });
  onDone?.(answers.counts);
  return found;
}

function matrixOf(
  cluster: Cluster,
  key: string,
  service: Service,
  answers: AnswersByShape,
  shapes: Shapes | undefined,
): Matrix {
  const stage = stageOf(cluster, key, service);
  const clients = clientsOf(stage);
  const shape = shapes?.shapeOf(stage, clients);
  const ports = service.spec?.ports ?? [];
  const cells = clients.flatMap((client) =>
    ports.flatMap((port, place) =>
      targetsOf(stage, port, client).map((target): MatrixCell => {
        const portName = ports.length > 1 ? { port: port.name || String(port.port) } : {};
        return { ...cellOf(client, target), ...portName, ...answers.answer(shape, client, target, place) };
      }),
    ),
  );
  return { service: key, cells };
}

const cellOf = ({ kind, host, node }: Client, { name, addr, port, protocol }: Target) => ({
  client: kind,
  from: host,
  ...(node === undefined ? {} : { node }),
  target: name,
  address: new Endpoint(addr, port).text,
  protocol,
});

/** As `fairlead matrix -o json` prints it. */
export function matrixJson(cluster: Cluster, { service, cells }: Matrix) {
  const { profile, world } = cluster;
  const assumptions = assumptionsOfService(cluster, service);
  const nodes = nodesOf(world);
  return {
    profile: { name: profile.name, ...specOf(profile) },
    ...(nodes === undefined ? {} : { nodes }),
    service,
    ...(assumptions.length === 0 ? {} : { assumptions }),
    cells: cells.map(({ cause, ...cell }) => (cause === undefined ? cell : { ...cell, cause: cause.code })),
  };
}
