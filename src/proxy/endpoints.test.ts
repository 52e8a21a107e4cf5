import { describe, expect, it } from 'vitest';
import { Endpoint } from '../ip/ip.ts';
import { type Backend, type ChoiceContext, chooseEndpoints } from './endpoints.ts';

/**
 * Endpoints in short: a number, then r ready, s serving and terminating, t terminating alone, n not ready; l local; zX a hint
 * for zone X, @N a hint for node N.
 */
function backend(text: string): Backend {
  const has = (flag: string) => text.slice(1).split(' ').includes(flag);
  const hints = (mark: string) =>
    text
      .split(' ')
      .filter((word) => word.startsWith(mark))
      .map((word) => word.slice(1));
  return {
    endpoint: Endpoint.parse(`10.0.0.${text[0]}:80`),
    ready: has('r'),
    serving: has('r') || has('s'),
    terminating: has('s') || has('t'),
    local: has('l'),
    zoneHints: hints('z'),
    nodeHints: hints('@'),
  };
}

const numbers = (some: readonly Backend[]): string =>
  some.map((one) => one.endpoint.addr.text.split('.')[3]).join('');

function choose(endpoints: readonly string[], context: Partial<ChoiceContext> = {}) {
  const chosen = chooseEndpoints(endpoints.map(backend), {
    internal: 'Cluster',
    external: 'Cluster',
    externallyReachable: false,
    nodeName: 'n1',
    zone: 'a',
    ...context,
  });
  return `${numbers(chosen.cluster)}/${numbers(chosen.local)}${chosen.any ? '' : ' none'}`;
}

const EXTERNAL_LOCAL = { external: 'Local', externallyReachable: true } as const;
const INTERNAL_LOCAL = { internal: 'Local' } as const;

describe('chooseEndpoints', () => {
  it.each<[string, readonly string[], Partial<ChoiceContext>, string]>([
    ['no endpoints', [], {}, '/ none'],
    ['ready ones', ['1 r', '2 n', '3 r'], {}, '13/'],
    ['not ready ones count for nothing', ['1 n', '2 t'], {}, '/ none'],
    ['a ready one keeps terminating ones out', ['1 r', '2 s'], {}, '1/'],
    ['serving and terminating ones when none is ready', ['1 s', '2 t', '3 s'], {}, '13/'],
    ['a local list only where a policy asks for it', ['1 r l', '2 r'], {}, '12/'],
    ['policy Local of a Service that is not reachable from outside', ['1 r l'], { external: 'Local' }, '1/'],
    ['external Local', ['1 r l', '2 r'], EXTERNAL_LOCAL, '12/1'],
    ['external Local without a local endpoint', ['2 r'], EXTERNAL_LOCAL, '2/'],
    ['external Local drains locally', ['1 s l', '2 r'], EXTERNAL_LOCAL, '2/1'],
    ['external Local prefers a ready local one', ['1 s l', '3 r l', '2 r'], EXTERNAL_LOCAL, '32/3'],
    ['internal Local needs no cluster list', ['1 r l', '2 r'], INTERNAL_LOCAL, '/1'],
    ['internal Local with endpoints elsewhere only', ['2 r'], INTERNAL_LOCAL, '/'],
    ['internal Local without any', ['2 n'], INTERNAL_LOCAL, '/ none'],
    [
      'internal Local, reachable from outside',
      ['1 r l', '2 r'],
      { ...INTERNAL_LOCAL, externallyReachable: true },
      '12/1',
    ],
    ['both Local', ['1 r l', '2 r'], { ...INTERNAL_LOCAL, ...EXTERNAL_LOCAL }, '12/1'],
  ])('%s', (_, endpoints, context, expected) => {
    expect(choose(endpoints, context)).toBe(expected);
  });
});

describe('topology hints', () => {
  it.each<[string, readonly string[], Partial<ChoiceContext>, string]>([
    ['this zone', ['1 r za', '2 r zb', '3 r za'], {}, '13/'],
    ['several zones for one endpoint', ['1 r za zb', '2 r zb'], {}, '1/'],
    ['an endpoint without a hint voids them', ['1 r za', '2 r'], {}, '12/'],
    ['no endpoint for this zone voids them', ['1 r zb', '2 r zc'], {}, '12/'],
    ['a node without a zone', ['1 r za', '2 r zb'], { zone: '' }, '12/'],
    ['endpoints that are not ready have no say', ['1 r za', '2 n', '3 r zb'], {}, '1/'],
    ['this node', ['1 r @n1 za', '2 r @n2 za'], {}, '1/'],
    ['this node before this zone', ['1 r @n1 zb', '2 r @n2 za'], {}, '1/'],
    ['the zone where no endpoint is for this node', ['1 r @n3 za', '2 r @n2 zb'], {}, '1/'],
    ['no hints for policy Local', ['1 r l zb', '2 r zb', '3 r za'], EXTERNAL_LOCAL, '3/1'],
    ['none when all are terminating', ['1 s za', '2 s zb'], {}, '12/'],
  ])('%s', (_, endpoints, context, expected) => {
    expect(choose(endpoints, context)).toBe(expected);
  });
});
