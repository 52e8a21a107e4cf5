import { type Answer, answer, answerJson } from '../../diagnose/answer.ts';
import { causeOf } from '../../diagnose/cause-of.ts';
import { type Fix, fixesFor } from '../../diagnose/fixes/fixes.ts';
import { fixesText } from '../../diagnose/fixes/text.ts';
import { ladder } from '../../diagnose/ladder.ts';
import type { ObservedCell } from '../../diagnose/matrix/matrix.ts';
import { mermaid } from '../../diagnose/picture/mermaid.ts';
import { svg } from '../../diagnose/picture/svg.ts';
import { nodesOf } from '../../diagnose/profile-text.ts';
import { type Access, type Question as Asked, readQuestion, type Side } from '../../diagnose/question.ts';
import { Fault } from '../../fault/fault.ts';
import type { Question } from '../../lab/prove/prove.ts';
import type { FieldOrigin } from '../../world/from-objects/detect-profile.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { paletteOf } from '../colours.ts';
import { EXIT } from '../exit.ts';
import { fitted } from '../fitted.ts';
import type { InputOptions } from '../input-options.ts';
import { readInput } from '../inputs.ts';
import type { ProofOptions } from '../proving.ts';

export interface WhyOptions extends InputOptions, ProofOptions {
  readonly at?: Access;
  readonly node?: string;
  readonly address?: Side;
  readonly output: 'text' | 'json' | 'mermaid' | 'svg';
}

/** What becomes of one connection, by which way, and why; exit code 2 unless it is reached. */
export async function why(from: string, to: string, options: WhyOptions): Promise<void> {
  const { cluster, inventory, namespace, origins } = await readInput(options);
  const { at, node, address } = options;
  const question = readQuestion(cluster, {
    from,
    to,
    namespace,
    ...(at === undefined ? {} : { at }),
    ...(node === undefined ? {} : { node }),
    ...(address === undefined ? {} : { address }),
  });
  const found = answer(cluster, question, causeOf);
  const nodes = nodesOf(cluster.world);
  const [asked] = found.outcomes;
  const fixes = asked === undefined ? [] : fixesFor(cluster, inventory, asked.request);
  const extra = (observed?: ObservedCell) => ({
    ...(origins === undefined ? {} : { profile: origins }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(observed === undefined ? {} : { observed }),
  });
  const show = (observed?: ObservedCell) => print(cluster, found, fixes, options.output, extra(observed));
  if (found.verdict !== 'reached') process.exitCode = EXIT.finding;
  if (options.prove !== true) return show();
  // The lab is a third of what there is to load.
  const { observedOf, withProof } = await import('../proving.ts');
  await withProof(cluster, options, connectionsOf(cluster, question), (comparison) => {
    const { agreements, mismatches, unknowns } = comparison;
    const all = [...agreements, ...mismatches, ...unknowns].flatMap(({ answers }) => answers);
    if (mismatches.length > 0) process.exitCode = EXIT.finding;
    show(observedOf(all, mismatches.length === 0));
  });
}

/** One for each address of the target; SCTP cannot be proven. */
function connectionsOf({ services }: Cluster, { client, target }: Asked): Question[] {
  const { port, protocol, service } = target;
  if (protocol === 'SCTP')
    throw new Fault('FE006', 'SCTP cannot be proven: nobody here speaks it', 'leave --prove out');
  const isSticky = services.get(service ?? '')?.spec?.sessionAffinity === 'ClientIP';
  return target.addresses.map((to) => ({ from: client.host, to, port, protocol, isSticky }));
}

/** What is known beside the answer. */
interface Extra {
  readonly profile?: readonly FieldOrigin[];
  readonly observed?: ObservedCell;
}

function print(
  cluster: Cluster,
  found: Answer,
  fixes: readonly Fix[],
  output: WhyOptions['output'],
  extra: Extra,
): void {
  const { observed } = extra;
  switch (output) {
    case 'json': {
      process.stdout.write(`${JSON.stringify({ ...answerJson(found, fixes), ...extra }, null, 2)}\n`);
      break;
    }
    case 'mermaid':
      process.stdout.write(mermaid(found));
      break;
    case 'svg':
      process.stdout.write(svg(cluster, found, fixes));
      break;
    case 'text': {
      const palette = paletteOf(process.stdout);
      const tell = (text: string) => process.stdout.write(fitted(text, process.stdout));
      tell(ladder(cluster, found, palette));
      if (observed !== undefined) tell(`${observedText(observed)}\n`);
      tell(fixesText(fixes, palette));
    }
  }
}

function observedText({ verdict, sourceSeen, agrees }: ObservedCell): string {
  const seen = sourceSeen.length === 0 ? '' : ` as ${sourceSeen.join(' or ')}`;
  return `observed: ${verdict}${seen}, ${agrees ? 'as foretold' : 'which was not foretold'}`;
}
