import { causeOf } from '../../diagnose/cause-of.ts';
import { matrixHtml } from '../../diagnose/matrix/html.ts';
import { type Matrix, type MatrixCell, matrices, matrixJson } from '../../diagnose/matrix/matrix.ts';
import { matrixTable } from '../../diagnose/matrix/table.ts';
import { Fault } from '../../fault/fault.ts';
import type { Question } from '../../lab/prove/prove.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { paletteOf } from '../colours.ts';
import { EXIT } from '../exit.ts';
import { fitted } from '../fitted.ts';
import type { InputOptions } from '../input-options.ts';
import { readInput } from '../inputs.ts';
import type { ProofOptions } from '../proving.ts';

export interface MatrixOptions extends InputOptions, ProofOptions {
  readonly output: 'table' | 'json' | 'html';
}

/**
 * Every class of clients on every address of one Service, or of all; exit code 2 unless all of them are reached, and where
 * they are proven, as it was foretold.
 */
export async function matrix(service: string | undefined, options: MatrixOptions): Promise<void> {
  const { cluster, namespace } = await readInput(options);
  const found = matrices(cluster, service === undefined ? undefined : [keyOf(service, namespace)], causeOf);
  if (service !== undefined && found.length === 0) {
    throw new Fault('FE013', `${service} has no address of its own`, 'ask why of one of its pods');
  }
  const show = (all: readonly Matrix[]) => print(cluster, all, service === undefined, options);
  if (options.prove !== true) return show(found);
  const { provenCluster, questionOf, withObserved, withProof } = await import('../proving.ts');
  const questions = new Map(
    found.flatMap((one) =>
      one.cells.flatMap((cell): [MatrixCell, Question][] => {
        const question = questionOf(cluster, one.service, cell);
        return question === undefined ? [] : [[cell, question]];
      }),
    ),
  );
  await withProof(provenCluster(cluster), options, [...questions.values()], (comparison) =>
    show(withObserved(found, questions, comparison)),
  );
}

function print(cluster: Cluster, found: readonly Matrix[], isAll: boolean, { output }: MatrixOptions): void {
  if (output === 'json') {
    const all = found.map((one) => matrixJson(cluster, one));
    process.stdout.write(`${JSON.stringify(isAll ? all : all[0], null, 2)}\n`);
  } else if (output === 'html') {
    process.stdout.write(matrixHtml(cluster, found));
  } else {
    const palette = paletteOf(process.stdout);
    const { columns: width } = process.stdout;
    const tables = found.map((one) => matrixTable(cluster, one, palette, width));
    process.stdout.write(fitted(tables.join('\n'), process.stdout));
  }
  const cells = found.flatMap((one) => one.cells);
  const isWell = ({ verdict, observed }: MatrixCell) => verdict === 'reached' && observed?.agrees !== false;
  if (!cells.every(isWell)) process.exitCode = EXIT.finding;
}

function keyOf(text: string, namespace: string): string {
  const [, own = namespace, name] = /^(?:svc|service|services)\/(?:([^/]+)\/)?([^/]+)$/.exec(text) ?? [];
  if (name !== undefined) return `${own}/${name}`;
  throw new Fault('FE006', `'${text}' is no Service`, 'write svc/[namespace/]name');
}
