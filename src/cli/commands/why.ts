import { answer, answerJson } from '../../diagnose/answer.ts';
import { causeOf } from '../../diagnose/cause-of.ts';
import { fixesFor } from '../../diagnose/fixes/fixes.ts';
import { fixesText } from '../../diagnose/fixes/text.ts';
import { ladder } from '../../diagnose/ladder.ts';
import { mermaid } from '../../diagnose/mermaid.ts';
import { type Access, readQuestion, type Side } from '../../diagnose/question.ts';
import { paletteOf } from '../colours.ts';
import { EXIT } from '../exit.ts';
import type { InputOptions } from '../input-options.ts';
import { readInput } from '../inputs.ts';

export interface WhyOptions extends InputOptions {
  readonly at?: Access;
  readonly node?: string;
  readonly address?: Side;
  readonly output: 'text' | 'json' | 'mermaid';
}

/** What becomes of one connection, by which way, and why; exit code 2 unless it is reached. */
export async function why(from: string, to: string, options: WhyOptions): Promise<void> {
  const { cluster, inventory, namespace } = await readInput(options);
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
  const [asked] = found.outcomes;
  const fixes = asked === undefined ? [] : fixesFor(cluster, inventory, asked.request);
  switch (options.output) {
    case 'json':
      process.stdout.write(`${JSON.stringify(answerJson(found, fixes), null, 2)}\n`);
      break;
    case 'mermaid':
      process.stdout.write(mermaid(found));
      break;
    case 'text':
      process.stdout.write(ladder(cluster, found, paletteOf(process.stdout)));
      process.stdout.write(fixesText(fixes, paletteOf(process.stdout)));
  }
  if (found.verdict !== 'reached') process.exitCode = EXIT.finding;
}
