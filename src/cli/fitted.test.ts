import { describe, expect, it } from 'vitest';
import { COLOURS } from '../diagnose/palette.ts';
import { fitted } from './fitted.ts';

const terminal = { isTTY: true, columns: 40 };

describe('lines for a terminal', () => {
  it('go on where their text began', () => {
    const rung = '    source       10.0.1.11:40000 → 192.168.0.11:40000';
    expect(fitted(rung, terminal)).toBe(
      ['    source       10.0.1.11:40000 →', '                 192.168.0.11:40000'].join('\n'),
    );
    expect(fitted('[2] FL042: across the border of the VPC without one', terminal)).toBe(
      ['[2] FL042: across the border of the VPC', '    without one'].join('\n'),
    );
  });

  it('count no colours', () => {
    const line = COLOURS.quiet('just as many letters as a line of it has');
    expect(fitted(line, terminal)).toBe(line);
  });

  it('stay whole in a pipe, and where somebody copies them', () => {
    const long = 'a word and another '.repeat(5);
    expect(fitted(long, {})).toBe(long);
    const command = "     kubectl patch service nginx -n default --type merge -p '{}'";
    expect(fitted(command, terminal)).toBe(command);
  });
});
