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
  it('names the line, also of a text that merely ends', () => {
    for (const [text, line] of [
      ['[\n {"a": 1},\n {"b" 2}\n]', 3],
      ['[\n {"a": 1},\n', 2],
      ['', 1],
    ] as const) {
      try {
        JSON.parse(text);
        expect.unreachable(text);
      } catch (error) {
        expect(lineOfSyntaxError(text, error), text).toBe(line);
      }
    }
  });
});
