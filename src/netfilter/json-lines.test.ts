import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemLines, lineOfSyntaxError } from './json-lines.ts';

describe('itemLines', () => {
  it('finds each item of a list, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.boolean(), (items, isWrapped) => {
        const texts = items.map((item) => JSON.stringify(item, null, 1));
        const list = `[\n${texts.join(',\n')}\n]`;
        let next = 2;
        const expected = texts.map((text) => {
          const line = next;
          next += text.split('\n').length;
          return line;
        });
        expect(itemLines(isWrapped ? `{"nftables": ${list}}` : list)).toEqual(expected);
      }),
    );
  });
});

describe('lineOfSyntaxError', () => {
  it.each<[string, number]>([
    ['[\n {"a": 1},\n {"b" 2}\n]', 3],
    ['[\n {"a": 1},\n', 2],
    ['[\n {"a": 1},\n Cannot open netlink\n]', 3],
    ['[{"a": 1}\n,\n{"a": "b]\n', 3],
    ['[1\n2]', 2],
    ['[]\n}', 2],
    ['', 1],
  ])('of %j is %i', (text, line) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(lineOfSyntaxError(text)).toBe(line);
  });

  it('is the last one of whatever was cut off, and of nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, at) => {
        const text = JSON.stringify([value], null, 1);
        const cut = text.slice(0, at % text.length);
        expect(lineOfSyntaxError(cut)).toBe(cut.trimEnd().split('\n').length);
      }),
    );
  });
});
