import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../exit.ts';
import { explanationOf } from './explain.ts';

describe('fairlead explain', () => {
  it('prints the page of a cause and of a fault, however it is written', () => {
    expect(explanationOf('fl008')).toMatch(/^# FL008: .*\n\n## What happens\n/);
    expect(explanationOf('FE011')).toMatch(/^# FE011: /);
  });

  it('lists what there is for a code that is none, and fails', () => {
    const said: string[] = [];
    let code = 0;
    try {
      explanationOf('FL999');
    } catch (error) {
      code = exitCodeOf(error, (line) => said.push(line));
    }
    expect(code).toBe(1);
    expect(said.join('')).toMatch(/^fairlead: FE006: there is no code 'FL999' \(there are FL001, .*FE011/);
  });

  it('lists all with their titles without a code', () => {
    expect(explanationOf(undefined)).toContain('FL040  something on the way is not modelled\n');
  });
});
