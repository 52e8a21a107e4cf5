/** What the tests of this room ask about: the examples, one for each cause in testdata/, and clusters that a test writes itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { Endpoint } from '../ip/ip.ts';
import { type Outcome, walk } from '../trace/trace.ts';
import {
  type Cluster,
  chooseProfile,
  clusterFrom,
  inventoryOf,
  parseManifests,
} from '../world/from-objects/from-objects.ts';
import { hostsOf } from '../world/world.ts';
import { causeOf } from './cause-of.ts';
import type { CauseCode } from './causes/registry.ts';

/** @param set settings of the profile, before those of the file */
export function readCluster(text: string, set: Readonly<Record<string, string>> = {}) {
  const inventory = inventoryOf(parseManifests('objects.yaml', text), 'default');
  return { inventory, cluster: clusterFrom(inventory, chooseProfile(inventory, { set })) };
}

export const clusterOf = (text: string, set: Readonly<Record<string, string>> = {}): Cluster =>
  readCluster(text, set).cluster;

/** A file of examples/, without its ending. */
export const exampleText = (name: string): string =>
  readFileSync(new URL(`../../examples/${name}.yaml`, import.meta.url), 'utf8');

const CAUSES = new URL('testdata/', import.meta.url);

/** The example of a cause. */
export const causeText = (code: CauseCode): string => readFileSync(new URL(`${code}.yaml`, CAUSES), 'utf8');

/** The question that an example says it shows: `# why FROM TO`. */
export function whyOf(text: string): { readonly from: string; readonly to: string } {
  const [, from, to] = /^# why (\S+) (\S+)$/m.exec(text) ?? [];
  if (from === undefined || to === undefined) throw new TypeError('the example asks no question');
  return { from, to };
}

export interface CauseFile {
  readonly code: string;
  /** A cause may have further examples: FL001-udp. */
  readonly name: string;
  readonly text: string;
}

export const CAUSE_FILES: readonly CauseFile[] = readdirSync(CAUSES).map((file) => ({
  code: file.slice(0, 'FL000'.length),
  name: file.replace(/\.yaml$/, ''),
  text: readFileSync(new URL(file, CAUSES), 'utf8'),
}));

export interface CauseExample extends CauseFile {
  readonly from: string;
  readonly to: string;
  readonly verdict: string;
}

/** Those that a walk shows. */
export const WALKED_EXAMPLES: readonly CauseExample[] = CAUSE_FILES.flatMap((file) => {
  const [, from, to, verdict] = /^# why (\S+) (\S+)\n# expect (\w+)$/m.exec(file.text) ?? [];
  if (from === undefined || to === undefined || verdict === undefined) return [];
  return [{ ...file, from, to, verdict }];
});

/** What becomes of the connection that an example is about, and why. */
export function diagnosed(
  example: CauseExample,
  cluster = clusterOf(example.text),
): (Pick<Outcome, 'verdict' | 'reason'> & { readonly code: string | undefined })[] {
  const [, end = '', udp] = /^(.+?)(\/udp)?$/.exec(example.to) ?? [];
  const { addr, port } = Endpoint.parse(end);
  const protocol = udp === undefined ? 'TCP' : 'UDP';
  const request = { from: hostFor(cluster, example.from), to: addr, port, protocol } as const;
  return walk(cluster.world, request).map((outcome) => ({
    verdict: outcome.verdict,
    reason: outcome.reason,
    code: causeOf(cluster, request, outcome)?.code,
  }));
}

function hostFor({ world }: Cluster, from: string): string {
  if (from === 'vpc-host') return hostsOf(world, 'vpc-host')[0]?.name ?? from;
  const [kind, name = ''] = from.split('/');
  return kind === 'pod' ? `default/${name}` : kind === 'node' ? name : from;
}
