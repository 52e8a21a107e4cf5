/** Pictures and pages of answers: what stands in them, and that other programs can read them. */
import { DOMParser } from '@xmldom/xmldom';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { answer } from '../answer.ts';
import { causeOf } from '../cause-of.ts';
import { matrixHtml } from '../matrix/html.ts';
import { matrices } from '../matrix/matrix.ts';
import { type QuestionText, readQuestion } from '../question.ts';
import { CAUSE_FILES, clusterOf, exampleText } from '../test-examples.ts';
import { escaped } from './markup.ts';
import { svg } from './svg.ts';

const EXAMPLE = exampleText('three-nodes');
const draw = (cluster: Cluster, from: string, to: string, rest: Partial<QuestionText> = {}) =>
  svg(cluster, answer(cluster, readQuestion(cluster, { from, to, namespace: 'default', ...rest }), causeOf));

/** Throws for anything that is not well-formed. */
function parsed(xml: string) {
  const onError = (level: string, message: string) => {
    throw new Error(`${level}: ${message}`);
  };
  return new DOMParser({ onError }).parseFromString(xml, 'image/svg+xml');
}

const textsOf = (xml: string): string[] =>
  [...parsed(xml).getElementsByTagName('text')].map(({ textContent }) => textContent ?? '');

describe('an answer as a picture', () => {
  it('has a lane a host, what changes, the rule that did it, and the cause', () => {
    const texts = textsOf(draw(clusterOf(EXAMPLE), 'pod/near', 'svc/nginx', { at: 'loadBalancer' }));
    expect(texts.slice(0, 2)).toEqual([
      'timeout',
      'pod/default/near → svc/default/nginx at its load balancer (192.168.0.100:80/TCP)',
    ]);
    expect(texts).toEqual(
      expect.arrayContaining([
        'default/near',
        'lb-1',
        'FL008: the client is the backend its balancer chose',
        '10.0.1.11:40000 → 192.168.0.100:80',
        'destination 192.168.0.100:80 → 192.168.0.11:30080',
        '✗ drop: 192.168.0.11 is an address of n1 itself',
      ]),
    );
    expect(texts.join(' ')).toContain(
      'tcp dport 80 dnat ip to tcp dport . numgen random mod 1 map @members-tcp',
    );
  });

  it('is well-formed for the examples of causes, whatever stands in their rules', () => {
    const drawn = CAUSE_FILES.flatMap(({ code, name, text }) => {
      const cluster = clusterOf(text);
      const cells = matrices(cluster, undefined, causeOf).flatMap((one) => one.cells);
      const cell = cells.find(({ cause, from }) => cause?.code === code && !from.startsWith('-'));
      if (cell === undefined) return [];
      expect(textsOf(draw(cluster, `host/${cell.from}`, `${cell.address}/${cell.protocol}`))[0]).toBe(
        cell.verdict,
      );
      return [name];
    });
    expect(drawn.length).toBeGreaterThan(15);
  });
});

describe('matrices as a page', () => {
  const cluster = clusterOf(EXAMPLE);
  const html = matrixHtml(cluster, matrices(cluster, undefined, causeOf));

  it('has a cell a button that opens its cause and its way, and needs nothing from elsewhere', () => {
    const cells = html.match(/<td><button /g) ?? [];
    expect(cells.length).toBe(matrices(cluster, undefined, causeOf).flatMap((one) => one.cells).length);
    expect(html.match(/<div popover /g)).toHaveLength(cells.length);
    expect(html).toContain('data-verdict="timeout" data-cause="FL008"');
    expect(html).not.toMatch(/(?:src|href)=/);
    expect(html).toContain("default-src 'none'");
    for (const [picture] of html.matchAll(/<svg .*?<\/svg>/gs)) parsed(picture);
  });

  it('prints the profile and what was taken for granted', () => {
    expect(html).toContain('<th scope="row">proxyMode</th><td>iptables</td>');
    const silent = clusterOf(EXAMPLE.replace(/, conditions: \[.*?\]/g, ''));
    expect(matrixHtml(silent, matrices(silent, undefined, causeOf))).toContain(
      silent.problems[0]?.message.replaceAll("'", '&#39;') ?? 'nothing',
    );
  });
});

it('takes no text for markup', () => {
  expect(escaped(`<b title="it's">R&D</b>\u0000\u001b`)).toBe(
    '&lt;b title=&quot;it&#39;s&quot;&gt;R&amp;D&lt;/b&gt;',
  );
});
