/** Runs the collector where a node's administrator would: in the namespaces of a World that stands. */
import type { Cage } from '../../src/lab/cage.ts';
import { collectScript, type DumpFolder, PODS_FOLDER } from '../../src/world/from-nodes/from-nodes.ts';
import { hostOf, hostsOf, type World } from '../../src/world/world.ts';

const FOLDER = '/run/fairlead/nodes';

/** What each node prints, or those that are named, and with `pods` what their pods' namespaces do. */
export async function collect(
  world: World,
  cage: Cage,
  { pods = false, only }: { readonly pods?: boolean; readonly only?: readonly string[] } = {},
): Promise<DumpFolder[]> {
  await cage.exec().run({ file: 'rm', args: ['-rf', FOLDER] });
  const nodes = only ?? hostsOf(world, 'node').map(({ name }) => name);
  await Promise.all(
    nodes.map(async (name) => {
      const spaces = pods ? podsOf(world, name).map((netns) => `${netns}=/run/netns/${netns}`) : [];
      const args = ['-c', collectScript(), 'collect.sh', `${FOLDER}/${name}`, ...spaces];
      await cage.exec(hostOf(world, name).netns).run({ file: 'sh', args });
    }),
  );
  const texts = await read(cage);
  return nodes.map((name) => ({
    ...folderOf(texts, name),
    pods: pods ? podsOf(world, name).map((netns) => folderOf(texts, `${name}/${PODS_FOLDER}/${netns}`)) : [],
  }));
}

function podsOf({ hosts, links }: World, node: string): string[] {
  return links.flatMap(({ a, b }) => {
    const pod = a.host === node ? hosts.get(b.host) : b.host === node ? hosts.get(a.host) : undefined;
    return pod?.role === 'pod' ? [pod.netns] : [];
  });
}

const MARK = '\u0001';

/** All files below the folder, by their paths in it. */
async function read(cage: Cage): Promise<ReadonlyMap<string, string>> {
  const print = `cd ${FOLDER} && find . -type f | while read -r file; do printf '${MARK}%s\\n' "$file"; cat "$file"; done`;
  const { stdout } = await cage.exec().run({ file: 'sh', args: ['-c', print] });
  return new Map(
    stdout
      .split(MARK)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n');
        return [part.slice(2, end), part.slice(end + 1)] as const;
      }),
  );
}

function folderOf(texts: ReadonlyMap<string, string>, path: string): DumpFolder {
  const own = [...texts].flatMap(([file, text]) => {
    const name = file.startsWith(`${path}/`) ? file.slice(path.length + 1) : '/';
    return name.includes('/') ? [] : [[name, text] as const];
  });
  return { name: path.split('/').at(-1) ?? path, path, files: new Map(own), pods: [] };
}
