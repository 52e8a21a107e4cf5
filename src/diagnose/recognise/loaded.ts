import { type Outcome, type Reason, walk } from '../../trace/trace.ts';
import type { World } from '../../world/world.ts';
import { type Recogniser, recognised } from './recognised.ts';
import { type Situation, serviceText } from './situation.ts';

/** Ends that say by themselves what was in the way, whatever the rules of Services are. */
const OTHERWISE: ReadonlySet<Reason> = new Set([
  'droppedByRule',
  'rejectedByRule',
  'unmodelled',
  'tooManyBranches',
]);

/**
 * A node that was read has loaded other rules for the dialled Service than its objects ask for: by those the connection
 * would be there, and the node either rewrites nothing or sends it to what is no endpoint.
 */
export const notLoaded: Recogniser = (situation) => {
  const { cluster, request, outcome, dialled } = situation;
  if (cluster.compiled === undefined || dialled === undefined || OTHERWISE.has(outcome.reason))
    return undefined;
  const meant = walk(cluster.compiled, request);
  if (!meant.every(({ verdict }) => verdict === 'reached')) return undefined;
  const choosing = meant.flatMap((one) => rewritesOf(cluster.compiled, one)).at(-1);
  const node = choosing?.host;
  if (node === undefined || cluster.world.hosts.get(node)?.readFrom === undefined) return undefined;
  const dialledText = `${request.to}:${request.port}`;
  const given = rewritesOf(cluster.world, outcome).findLast(({ host }) => host === node)?.to;
  if (given === undefined) {
    return recognised(
      'FL044',
      `${node} has loaded no rule that takes ${dialledText} for ${serviceText(dialled)}`,
    );
  }
  if (endpointsOf(situation).has(given)) return undefined;
  return recognised(
    'FL044',
    `${node} sends ${dialledText} on to ${given}, which is no endpoint of ${serviceText(dialled)}`,
  );
};

/** Which nodes gave the request another destination, and which. */
function rewritesOf(world: World | undefined, { hops }: Outcome) {
  return hops
    .filter(({ host, direction }) => direction === 'forward' && world?.hosts.get(host)?.role === 'node')
    .flatMap(({ host, steps }) =>
      steps.flatMap(({ changes }) =>
        changes.flatMap(({ field, to }) => (field === 'destination' ? [{ host, to }] : [])),
      ),
    );
}

/** `address:port`, as a walk tells of them. */
function endpointsOf({ cluster, dialled }: Situation): ReadonlySet<string> {
  const slices = dialled === undefined ? [] : (cluster.slices.get(dialled.name) ?? []);
  return new Set(
    slices.flatMap(({ endpoints, ports }) =>
      (endpoints ?? []).flatMap(({ addresses }) =>
        addresses.flatMap((address) =>
          (ports ?? []).map(({ port }) => `${address.includes(':') ? `[${address}]` : address}:${port}`),
        ),
      ),
    ),
  );
}
