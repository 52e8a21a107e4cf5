/** The causes do not depend on the IP family: every example in IPv6, and what becomes of a Service of two families. */
import { expect, it } from 'vitest';
import { answer } from './answer.ts';
import { groupsOf, groupText, questionText } from './answer-words.ts';
import { causeOf } from './cause-of.ts';
import { matrices } from './matrix/matrix.ts';
import { readQuestion } from './question.ts';
import { type CauseExample, causeText, clusterOf, diagnosed, WALKED_EXAMPLES } from './test-examples.ts';

const inSix = (text: string): string =>
  text.replace(/"?\b(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+)|:(\d+))?"?/g, (_, a, b, c, d, length, port) => {
    const hex = (decimal: string) => Number(decimal).toString(16);
    const addr = a === '0' ? '::' : `fd00:${hex(a)}:${hex(b)}:${hex(c)}::${hex(d)}`;
    if (port !== undefined) return `[${addr}]:${port}`;
    return length === undefined ? `"${addr}"` : `"${addr}/${lengthInSix(Number(length))}"`;
  });

/** The third number has the lower half of a group for itself. */
const lengthInSix = (length: number): number =>
  length <= 16 ? 3 * length : length <= 24 ? 40 + length : 96 + length;

it.each(WALKED_EXAMPLES.filter(({ code }) => code !== 'FL045'))('$name in IPv6', (example) => {
  const six = { ...example, text: inSix(example.text), to: inSix(example.to) };
  const told = (one: CauseExample) => diagnosed(one).map(({ verdict, code }) => ({ verdict, code }));
  expect(told(six)).toEqual(told(example));
});

const dual = () => clusterOf(causeText('FL045'));
const targetOf = (from: string, to: string, more: object = {}) =>
  readQuestion(dual(), { from, to, namespace: 'default', ...more }).target.addresses.map(({ text }) => text);

it('a name gives a client the addresses of its own families, and the others if there are none', () => {
  expect(targetOf('pod/far', 'svc/both')).toEqual(['10.247.0.20', 'fd00:10:247::20']);
  expect(targetOf('pod/old', 'both.default:80')).toEqual(['10.247.0.20']);
  expect(targetOf('pod/old', 'web:80')).toEqual(['fd00:10:247::10']);
  const nodePort = { at: 'nodePort', node: 'n2' } as const;
  expect(targetOf('pod/far', 'svc/both', nodePort)).toEqual(['192.168.0.12', 'fd00:192:168::12']);
  expect(targetOf('pod/far', '[fd00:10:247::20]:80')).toEqual(['fd00:10:247::20']);
});

it('a matrix has cells of each family of the Service, and says with which address', () => {
  const cluster = dual();
  const [both] = matrices(cluster, ['default/both'], (one, request, outcome) =>
    causeOf(one, request, outcome),
  );
  const cells = (both?.cells ?? [])
    .filter(({ from }) => from === 'default/far')
    .map(({ target, address, verdict, cause }) =>
      `${target} ${address} ${verdict} ${cause?.code ?? ''}`.trim(),
    );
  expect(cells).toEqual([
    'clusterIP 10.247.0.20:80 reached',
    'clusterIP.IPv6 [fd00:10:247::20]:80 reached',
    'serverNode.private 192.168.0.11:30080 reached',
    'serverNode.private.IPv6 [fd00:192:168::11]:30080 reached',
    // Policy Local, and the client's own node is told from others by the pod's address in either family.
    'ownNode.private 192.168.0.12:30080 reached',
    'ownNode.private.IPv6 [fd00:192:168::12]:30080 reached',
    'podIP 10.0.1.10:80 reached',
    'podIP.IPv6 [fd00:172:16:1::10]:80 reached',
  ]);
});

it('an address of IPv6 stands in brackets before its port', () => {
  const question = readQuestion(dual(), { from: 'pod/far', to: 'svc/web', namespace: 'default' });
  const told = answer(dual(), question);
  expect(questionText(told)).toBe('pod/default/far → svc/default/web ([fd00:10:247::10]:80/TCP)');
  const [group] = groupsOf(told.outcomes);
  expect(group && groupText(group, false)).toEqual([
    'reached: default/web-0 at [fd00:172:16:1::10]:80 on n1, which sees fd00:172:16:2::12',
  ]);
});
