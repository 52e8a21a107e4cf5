/** The example cluster with any network and proxy, and every way to dial it. */
import { readFileSync } from 'node:fs';
import { Addr, portOf } from '../../src/ip/ip.ts';
import type { Question } from '../../src/lab/prove/prove.ts';
import type { Outcome } from '../../src/trace/trace.ts';
import {
  type Cluster,
  chooseProfile,
  clusterFrom,
  inventoryOf,
  parseManifests,
} from '../../src/world/from-objects/from-objects.ts';

const FILE = 'examples/three-nodes.yaml';

export function exampleCluster(set: Readonly<Record<string, string>>): Cluster {
  const text = readFileSync(new URL(`../../${FILE}`, import.meta.url), 'utf8');
  // With eni pods have addresses of the VPC.
  const fitting = set.network === 'eni' ? text.replaceAll(/\b10\.0\.(\d)\./g, '192.168.7$1.') : text;
  const inventory = inventoryOf(parseManifests(FILE, fitting), 'default');
  return clusterFrom(inventory, chooseProfile(inventory, { set }));
}

const CLIENTS = ['default/near', 'default/far', 'default/nginx-0', 'n1', 'n2', 'n3', 'external', 'vpc-host'];

/** Everybody dials the Service by each of its addresses, and each pod. */
export function questionsOf({ pods }: Cluster): Question[] {
  const targets = [
    ['10.247.0.10', 80],
    ['192.168.0.11', 30080],
    ['192.168.0.12', 30080],
    ['192.168.0.13', 30080],
    ['100.64.1.1', 30080],
    ['100.64.1.2', 30080],
    ['192.168.0.100', 80],
    ...[...pods.values()].map(({ address }) => [address.text, 80] as const),
  ] as const;
  return CLIENTS.flatMap((from) =>
    targets.map(([to, port]) => ({ from, to: Addr.parse(to), port: portOf(port), protocol: 'TCP' })),
  );
}

export const inWords = (outcomes: readonly Outcome[]): string =>
  outcomes
    .map(({ verdict, reason, sourceSeen, endpoint, probability }) =>
      [probability, verdict, reason, sourceSeen, endpoint?.host].join(' '),
    )
    .join(' | ');
