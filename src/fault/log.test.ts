import { expect, it } from 'vitest';
import { lineLog } from './log.ts';

it('writes one line with the fields of the log and of the call, quoted where a reader needs it', () => {
  const lines: string[] = [];
  const log = lineLog(
    (line) => lines.push(line),
    () => new Date(0),
  ).with({ node: 'n1' });
  log.warn('rules refused', { error: 'no such\nset', sync: 3, gone: undefined });
  expect(lines).toEqual([
    '1970-01-01T00:00:00.000Z warn rules refused node=n1 error="no such\\nset" sync=3\n',
  ]);
});
