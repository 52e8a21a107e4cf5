import type { FieldOrigin } from '../world/from-objects/detect-profile.ts';
import type { Cluster, Inventory } from '../world/from-objects/from-objects.ts';

/** Where a World comes from: the options that `why`, `matrix` and their like share. */
export interface InputOptions {
  /** Files, folders or `-`; the cluster of the kubeconfig if there are none. */
  readonly filename?: readonly string[];
  /** A folder with one of each node that printed itself. */
  readonly nodes?: string;
  readonly profile?: string;
  /** Over the fields of the profile. */
  readonly set?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface Input {
  readonly cluster: Cluster;
  /** What the cluster was built from; copies of it are where cures are tried. */
  readonly inventory: Inventory;
  /** The namespace of names that do not say theirs. */
  readonly namespace: string;
  /** Of a cluster that runs: how each field of its profile was found. */
  readonly origins?: readonly FieldOrigin[];
}
