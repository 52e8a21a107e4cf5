import { assert, constantFrom, integer, property, record, stringMatching, uniqueArray } from 'fast-check';
import { expect, it } from 'vitest';
import { readCases, tryCase } from './cases.ts';
import { PLAIN, type Setting } from './setting.ts';

/*
 * No cell is written down anywhere: whatever the documents leave open is chosen at random, and the classes of the cells stay
 * as they are. Replicas stand on one node, as in the documents; node ports, ranges, names and counts are free.
 */
const label = stringMatching(/^[a-z][a-z0-9-]{0,11}[a-z0-9]$/);

const settings = record({
  nodes: uniqueArray(label, { minLength: 3, maxLength: 6 }),
  service: label,
  namespace: label,
  vpc: constantFrom('192.168', '172.20', '10.90'),
  pods: constantFrom('10.0', '172.16', '10.128'),
  services: constantFrom('10.247', '172.21', '10.96'),
  elastic: constantFrom('100.64.1', '198.51.100', '203.0.112'),
  firstNode: integer({ min: 2, max: 200 }),
  replicas: integer({ min: 1, max: 4 }),
  port: integer({ min: 1, max: 29_999 }).filter((port) => port !== 443),
  targetPort: integer({ min: 1, max: 65_535 }).filter((port) => port !== 443),
  nodePort: integer({ min: 30_000, max: 32_767 }),
}).map(({ nodes, service, namespace, ...rest }): Setting => {
  const [server = '', other = '', ...more] = nodes.map((name) => `node-${name}`);
  return { ...rest, names: { nodes: [server, other, ...more], service, namespace: `ns-${namespace}` } };
});

const CASES = [...readCases('cce'), ...readCases('ack'), ...readCases('mechanisms')];

it.each(CASES)('$id is the same for any names, addresses, ranges and counts', (one) => {
  const classes = (setting: Setting) => [
    ...new Set(
      tryCase(one, setting).flatMap(({ outcomes, expectedSource }) =>
        outcomes.map(
          ({ verdict, reason, sourceSeen }) =>
            `${verdict} ${reason} ${expectedSource === undefined || expectedSource === sourceSeen?.text}`,
        ),
      ),
    ),
  ];
  const plain = classes(PLAIN);
  assert(
    property(settings, (setting) => {
      expect(classes(setting)).toEqual(plain);
    }),
    { numRuns: 4 },
  );
});
