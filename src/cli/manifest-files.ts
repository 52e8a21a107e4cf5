import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../fault/fault.ts';
import { type Manifest, parseManifests } from '../world/from-objects/from-objects.ts';

/** Standard input, as kubectl has it. */
const STDIN = '-';
const IS_MANIFEST = /\.(ya?ml|json)$/;

/**
 * The objects of files and folders, as `-f` names them: a folder with all that is below it, in the order of names; `-` is
 * standard input. Throws {@link Fault} FE006 that names file and line, or the path that cannot be read.
 */
export function readManifests(paths: readonly string[]): Manifest[] {
  return paths.flatMap((path) => {
    if (path === STDIN) return parseManifests('stdin', readFileSync(0, 'utf8'));
    return filesAt(path).flatMap((file) =>
      parseManifests(
        file,
        reading(file, () => readFileSync(file, 'utf8')),
      ),
    );
  });
}

function filesAt(path: string): string[] {
  if (!reading(path, () => statSync(path)).isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && IS_MANIFEST.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new Fault(
      'FE006',
      `${path}: ${error.message}`,
      'name a file or folder of YAML, or - for standard input',
      {
        cause: error,
      },
    );
  }
}

/** `key=value` as `--set` and `--to` take it, over what was given before. Throws {@link Fault} FE006. */
export function assignment(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new Fault('FE006', `'${text}' is no key=value`, 'write it like proxyMode=nftables');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** For options that may be given again. */
export const collected = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];
