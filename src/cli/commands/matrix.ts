import { causeOf } from '../../diagnose/cause-of.ts';
import { matrices, matrixJson } from '../../diagnose/matrix.ts';
import { matrixTable } from '../../diagnose/matrix-table.ts';
import { Fault } from '../../fault/fault.ts';
import { paletteOf } from '../colours.ts';
import { EXIT } from '../exit.ts';
import type { InputOptions } from '../input-options.ts';
import { readInput } from '../inputs.ts';

export interface MatrixOptions extends InputOptions {
  readonly output: 'table' | 'json';
}

/** Every class of clients on every address of one Service, or of all; exit code 2 unless all of them are reached. */
export async function matrix(service: string | undefined, options: MatrixOptions): Promise<void> {
  const { cluster, namespace } = await readInput(options);
  const found = matrices(cluster, service === undefined ? undefined : [keyOf(service, namespace)], causeOf);
  if (options.output === 'json') {
    const all = found.map((one) => matrixJson(cluster, one));
    process.stdout.write(`${JSON.stringify(service === undefined ? all : all[0], null, 2)}\n`);
  } else {
    const palette = paletteOf(process.stdout);
    process.stdout.write(found.map((one) => matrixTable(cluster, one, palette)).join('\n'));
  }
  const cells = found.flatMap((one) => one.cells);
  if (cells.some(({ verdict }) => verdict !== 'reached')) process.exitCode = EXIT.finding;
}

function keyOf(text: string, namespace: string): string {
  const [, own = namespace, name] = /^(?:svc|service|services)\/(?:([^/]+)\/)?([^/]+)$/.exec(text) ?? [];
  if (name !== undefined) return `${own}/${name}`;
  throw new Fault('FE006', `'${text}' is no Service`, 'write svc/[namespace/]name');
}
