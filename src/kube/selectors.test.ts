import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelSelector, parseFieldSelector, parseLabelSelector, SelectorError } from './selectors.ts';

describe('label selectors', () => {
  const labels = { app: 'nginx', tier: 'web', generation: '12', 'example.com/x': '' };

  it.each([
    ['', true],
    ['app=nginx', true],
    ['app==nginx,tier=web', true],
    ['app = nginx , tier != web', false],
    ['zone!=a', true],
    ['app in (nginx, apache)', true],
    ['app notin (nginx)', false],
    ['zone notin (a,b)', true],
    ['zone in (a,)', false],
    ['app', true],
    ['!app', false],
    ['!zone', true],
    ['example.com/x=', true],
    ['example.com/x in ()', true],
    ['generation>11,generation<13', true],
    ['tier>1', false],
  ])('%s', (text, expected) => {
    expect(parseLabelSelector(text).matches(labels)).toBe(expected);
  });

  it.each([
    'app=a=b',
    'app in nginx',
    'in',
    'app nginx',
    'app,,tier',
    '=a',
    'app in (a',
    '-a',
    `a=${'x'.repeat(64)}`,
    'a>x',
  ])('refuse %s', (text) => {
    if (text === 'in') expect(parseLabelSelector(text).matches({ in: '' })).toBe(true);
    else expect(() => parseLabelSelector(text)).toThrow(SelectorError);
  });

  it('in and notin are each other’s complement', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(fc.dictionary(word, word), word, fc.array(word, { minLength: 1 }), (some, key, values) => {
        const list = values.join(',');
        const inside = parseLabelSelector(`${key} in (${list})`).matches(some);
        expect(parseLabelSelector(`${key} notin (${list})`).matches(some)).toBe(!inside);
      }),
    );
  });

  it('write what they parse', () => {
    for (const text of ['app=web,tier notin (a,b),!zone', 'a,b!=c,d>1', 'x in (a,b)']) {
      expect(String(parseLabelSelector(text))).toBe(text);
    }
  });

  it('as objects: null selects nothing, the empty one everything', () => {
    expect(labelSelector(null).matches(labels)).toBe(false);
    expect(labelSelector({}).matches(labels)).toBe(true);
    const selector = {
      matchLabels: { app: 'nginx' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['web'] },
        { key: 'zone', operator: 'DoesNotExist' },
      ],
    };
    expect(labelSelector(selector).matches(labels)).toBe(true);
    expect(() => labelSelector({ matchExpressions: [{ key: 'a', operator: 'Like' }] })).toThrow(
      SelectorError,
    );
  });
});

describe('field selectors', () => {
  const pod = {
    metadata: { name: 'a', namespace: 'default' },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running' },
  };
  const offered = ['spec.nodeName', 'status.phase', 'spec.hostNetwork'];

  it.each([
    ['metadata.name=a', true],
    ['metadata.name==a,spec.nodeName!=n2', true],
    ['status.phase!=Running', false],
    ['spec.hostNetwork=false', true],
  ])('%s', (text, expected) => {
    expect(parseFieldSelector(text, offered).matches(pod)).toBe(expected);
  });

  it('name the one object they ask for', () => {
    expect(parseFieldSelector('metadata.name=a').exact('metadata.name')).toBe('a');
    expect(parseFieldSelector('metadata.name!=a').exact('metadata.name')).toBeUndefined();
  });

  it('read escaped values', () => {
    expect(parseFieldSelector('metadata.name=a\\,b\\=c').exact('metadata.name')).toBe('a,b=c');
  });

  it('refuse what the kind does not offer, and what cannot be read', () => {
    expect(() => parseFieldSelector('spec.color=red')).toThrow('field label not supported: spec.color');
    expect(() => parseFieldSelector('metadata.name')).toThrow("can't understand 'metadata.name'");
  });
});
