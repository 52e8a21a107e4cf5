import { type Cluster, chooseProfile, clusterFrom, inventoryOf } from '../world/from-objects/from-objects.ts';
import { readManifests } from './manifest-files.ts';

/** Where a World comes from: the options that `why`, `matrix` and their like share. */
export interface InputOptions {
  /** Files, folders or `-`; the cluster of the kubeconfig if there are none. */
  readonly filename?: readonly string[];
  readonly profile?: string;
  /** Over the fields of the profile. */
  readonly set?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface Input {
  readonly cluster: Cluster;
  /** The namespace of names that do not say theirs. */
  readonly namespace: string;
}

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
  return { cluster: clusterFrom(inventory, chooseProfile(inventory, options)), namespace };
}

/** A connection brings in TLS and HTTP, which files do without. */
async function fromKubeconfig(options: InputOptions): Promise<Input> {
  return (await import('./live-cluster.ts')).readLiveCluster(options);
}
