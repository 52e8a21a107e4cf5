import { readFileSync } from 'node:fs';
import { CAUSES } from '../../diagnose/causes/registry.ts';
import { FAULTS, Fault } from '../../fault/fault.ts';
import { paletteOf } from '../colours.ts';

/** From this file it is the same way to docs/ in a checkout and in the package. */
const DOCS = new URL('../../../docs/', import.meta.url);

/** Prints what {@link explanationOf} says: for a terminal as it is read there, else as the file has it. */
export async function explain(code: string | undefined): Promise<void> {
  const { stdout } = process;
  const text = explanationOf(code);
  if (code === undefined || !stdout.isTTY) stdout.write(text);
  else stdout.write((await import('../page.ts')).pageText(text, paletteOf(stdout), stdout));
}

/**
 * The page of a cause (FLnnn) or of a fault (FEnnn); without a code, all of them with their titles. Throws {@link Fault}
 * FE006 for a code there is none of.
 */
export function explanationOf(code: string | undefined): string {
  return code === undefined ? listing() : pageOf(code.toUpperCase());
}

function pageOf(code: string): string {
  if (Object.hasOwn(CAUSES, code)) return readFileSync(new URL(`causes/${code}.md`, DOCS), 'utf8');
  if (Object.hasOwn(FAULTS, code)) return readFileSync(new URL(`errors/${code}.md`, DOCS), 'utf8');
  const known = [...Object.keys(CAUSES), ...Object.keys(FAULTS)];
  throw new Fault('FE006', `there is no code '${code}'`, `there are ${known.join(', ')}`);
}

function listing(): string {
  const causes = Object.entries(CAUSES).map(([code, { title }]) => `${code}  ${title}\n`);
  const faults = Object.entries(FAULTS).map(([code, title]) => `${code}  ${title}\n`);
  return `Causes of what becomes of a connection\n${causes.join('')}\nFaults of Fairlead itself\n${faults.join('')}`;
}
