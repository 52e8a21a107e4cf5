import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Fault } from '../fault/fault.ts';
import { DUMP_FILES, type DumpFolder, PODS_FOLDER } from '../world/from-nodes/from-nodes.ts';

const NAMES: ReadonlySet<string> = new Set(DUMP_FILES.map(({ name }) => name));

/**
 * The folders of nodes below one, or that one where it is a node's itself. Throws {@link Fault} FE006 for what cannot be
 * read, and where no folder holds any file that the collector writes.
 */
export function readNodeFolders(path: string): DumpFolder[] {
  const entries = entriesOf(path);
  if (entries.some(isDumpFile)) return [folderAt(path, basename(resolve(path)), entries)];
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, at: join(path, name), inside: entriesOf(join(path, name)) }))
    .filter(({ inside }) => inside.some(isDumpFile))
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, at, inside }) => folderAt(at, name, inside));
  if (folders.length > 0) return folders;
  throw new Fault(
    'FE006',
    `${path}: no folder below it holds what a node printed`,
    'name the folder that holds one of each node; fairlead collect --script fills them',
  );
}

const isDumpFile = (entry: Dirent): boolean => entry.isFile() && NAMES.has(entry.name);

function folderAt(path: string, name: string, entries: readonly Dirent[]): DumpFolder {
  const texts = entries
    .filter(isDumpFile)
    .map((entry) => [entry.name, reading(() => readFileSync(join(path, entry.name), 'utf8'), path)] as const);
  const hasPods = entries.some((entry) => entry.isDirectory() && entry.name === PODS_FOLDER);
  const below = join(path, PODS_FOLDER);
  const pods = hasPods ? entriesOf(below).filter((entry) => entry.isDirectory()) : [];
  return {
    name,
    path,
    files: new Map(texts),
    pods: pods.map((pod) => folderAt(join(below, pod.name), pod.name, entriesOf(join(below, pod.name)))),
  };
}

const entriesOf = (path: string): Dirent[] => reading(() => readdirSync(path, { withFileTypes: true }), path);

function reading<T>(read: () => T, path: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new Fault('FE006', `${path}: ${error.message}`, 'name a folder with one of each node', {
      cause: error,
    });
  }
}
