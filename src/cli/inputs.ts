import { chooseProfile, clusterFrom, inventoryOf } from '../world/from-objects/from-objects.ts';
import type { Input, InputOptions } from './input-options.ts';
import { readManifests } from './manifest-files.ts';

/** Reads what the options name; what was left out or taken for granted goes to standard error. */
export async function readInput(options: InputOptions): Promise<Input> {
  const input =
    options.nodes === undefined ? await objectsOf(options) : await fromNodes(options, options.nodes);
  for (const { place, message } of input.cluster.problems) process.stderr.write(`${place}: ${message}\n`);
  return input;
}

function objectsOf(options: InputOptions): Input | Promise<Input> {
  return options.filename === undefined ? fromKubeconfig(options) : fromFiles(options, options.filename);
}

/** What nodes printed, over what the objects tell; without any, what the nodes tell has to do. Others do without its code. */
async function fromNodes(options: InputOptions, path: string): Promise<Input> {
  const { inventoryOfNodes, readDump, signsOf, withNodes } = await import(
    '../world/from-nodes/from-nodes.ts'
  );
  const { readNodeFolders } = await import('./node-folders.ts');
  const dumps = readNodeFolders(path).map(readDump);
  const hasObjects = [options.filename, options.kubeconfig, options.context].some((one) => one !== undefined);
  if (hasObjects) {
    const input = await objectsOf(options);
    return { ...input, cluster: withNodes(input.cluster, dumps) };
  }
  const inventory = inventoryOfNodes(dumps);
  const profile = chooseProfile(inventory, { ...options, detected: signsOf(dumps) });
  const cluster = withNodes(clusterFrom(inventory, profile), dumps);
  return { cluster, inventory, namespace: options.namespace ?? 'default' };
}

function fromFiles(options: InputOptions, paths: readonly string[]): Input {
  const namespace = options.namespace ?? 'default';
  const inventory = inventoryOf(readManifests(paths), namespace);
  return { cluster: clusterFrom(inventory, chooseProfile(inventory, options)), inventory, namespace };
}

/** A connection brings in TLS and HTTP, which files do without. */
async function fromKubeconfig(options: InputOptions): Promise<Input> {
  return (await import('./live-cluster.ts')).readLiveCluster(options);
}
