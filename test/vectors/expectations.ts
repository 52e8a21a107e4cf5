/** What a vector expects of a mode, in the words of whoever looks: a walk or a dialler. */
import type { ProxyMode } from '../../src/proxy/proxy.ts';
import { addressesOf, type HostName, LOOPBACK, masqueradeTowards, NODE } from './bed.ts';
import { serviceOf, type Target } from './objects.ts';
import type { Given, Seen, Source, Vector } from './vectors.ts';

const givenOf = ({ flow }: Vector, mode: ProxyMode): Given => flow.except?.[mode]?.gives ?? flow.gives;

/** What may be seen, as a dialler puts it: `refused`, `silence`, or `near 172.16.0.2`. */
export function expectedOf(vector: Vector, mode: ProxyMode): ReadonlySet<string> {
  const given = givenOf(vector, mode);
  if (typeof given === 'string') return new Set([given]);
  const seen = Object.entries(given) as [HostName, Seen][];
  return new Set(seen.map(([host, how]) => sightOf(vector, host, how)));
}

function sightOf({ from, target }: Vector, host: HostName, how: Seen): string {
  const { addr, family } = target;
  switch (how) {
    case 'kept':
      return `${host} ${sourceOf(from, target)}`;
    case 'masqueraded':
      return `${host} ${masqueradeTowards(host)[family]}`;
    case 'target':
      return `${host} ${addr}`;
    case 'lost':
      return 'silence';
  }
}

/** The address a client takes by itself: the dialled one where that is its own. */
function sourceOf(from: Source, { addr, family, isOnNode }: Target): string {
  if (from === 'localhost') return LOOPBACK[family].text;
  if (from !== 'node') return addressesOf(from)[family].text;
  return isOnNode ? addr.text : NODE[family].text;
}

/** The same for real connections: who asks about health is told more than that he is heard. */
export function answersOf(vector: Vector, mode: ProxyMode): ReadonlySet<string> {
  const { health } = vector.flow;
  if (health === undefined) return expectedOf(vector, mode);
  const { status, localEndpoints } = health;
  const { name, namespace } = serviceOf(vector.case).metadata ?? {};
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: true };
  return new Set([`${status} ${localEndpoints} ${JSON.stringify(body)}`]);
}
