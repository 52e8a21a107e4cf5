import type { ConfigMap, Container, KubeObject, Node, Pod, PodTemplateSpec } from '../../kube/objects.ts';
import type { ProfileSpec } from '../profile.ts';

/** A DaemonSet of apps/v1, as far as it tells something of the cluster. */
export interface DaemonSet extends KubeObject {
  readonly spec?: { readonly template?: PodTemplateSpec };
}

/** What a running cluster tells of itself. */
export interface ClusterSigns {
  /** As the API server's /version says it, e.g. `v1.30.4-aliyun.1`. */
  readonly gitVersion: string;
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** Of every namespace. */
  readonly daemonSets: readonly DaemonSet[];
  /** Those of the namespaces where network plugins keep theirs. */
  readonly configMaps: readonly ConfigMap[];
}

/** The fields of a profile, each with the object it was read from. */
export type Readings = { readonly [Field in keyof ProfileSpec]?: Reading };

export interface Reading {
  readonly value: string;
  /** The object and its field, for a person: `ConfigMap kube-system/kube-proxy, mode`. */
  readonly from: string;
  /** What the World has in the place of what is there, where it is not the same. */
  readonly walkedAs?: string;
}

/** How a person finds an object. */
export function objectText(kind: string, { metadata }: KubeObject): string {
  const { namespace, name = '' } = metadata ?? {};
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

/** A ConfigMap by its name, whatever its namespace: charts let people choose. */
export const configMapNamed = ({ configMaps }: ClusterSigns, ...names: string[]): ConfigMap | undefined =>
  names.flatMap((name) => configMaps.filter(({ metadata }) => metadata?.name === name))[0];

export const containersOf = ({ spec }: DaemonSet): readonly Container[] =>
  spec?.template?.spec?.containers ?? [];

/** The value of an environment variable of one of the containers. */
export function environmentOf(daemonSet: DaemonSet, name: string): string | undefined {
  const all = containersOf(daemonSet).flatMap(({ env = [] }) => env);
  return all.find((one) => one.name === name)?.value;
}

/** The value of a flag of one of the containers, `true` for one without; `--name=value` and `--name value`. */
export function flagOf(daemonSet: DaemonSet, name: string): string | undefined {
  for (const { command = [], args = [] } of containersOf(daemonSet)) {
    const words = [...command, ...args].flatMap((word) => word.split(/\s+/));
    const at = words.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
    const word = words[at];
    if (word === undefined) continue;
    const equals = word.indexOf('=');
    if (equals >= 0) return word.slice(equals + 1);
    const next = words[at + 1];
    return next === undefined || next.startsWith('-') ? 'true' : next;
  }
  return undefined;
}
