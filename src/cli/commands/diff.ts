import { diffJson, diffOf } from '../../diagnose/diff/diff.ts';
import { diffText } from '../../diagnose/diff/text.ts';
import { paletteOf } from '../colours.ts';
import { EXIT } from '../exit.ts';
import { fitted } from '../fitted.ts';
import type { InputOptions } from '../input-options.ts';
import { readInput } from '../inputs.ts';

export interface DiffOptions extends InputOptions {
  readonly to: Readonly<Record<string, string>>;
  readonly output: 'text' | 'json';
}

/** Which clients are answered otherwise after a change of the profile; exit code 2 if any is. */
export async function diff(options: DiffOptions): Promise<void> {
  const { cluster, inventory } = await readInput(options);
  const found = diffOf(cluster, inventory, options.to);
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(diffJson(found), null, 2)}\n`
      : fitted(diffText(found, paletteOf(process.stdout)), process.stdout),
  );
  if (found.cells.length > 0) process.exitCode = EXIT.finding;
}
