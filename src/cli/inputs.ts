import { chooseProfile, clusterFrom, inventoryOf } from '../world/from-objects/from-objects.ts';
import type { Input, InputOptions } from './input-options.ts';
import { readManifests } from './manifest-files.ts';

/** Reads what the options name; what was left out or taken for granted goes to standard error. */
export async function readInput(options: InputOptions): Promise<Input> {
  const input =
    options.filename === undefined ? await fromKubeconfig(options) : fromFiles(options, options.filename);
  for (const { place, message } of input.cluster.problems) process.stderr.write(`${place}: ${message}\n`);
  return input;
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
