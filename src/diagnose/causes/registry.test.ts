import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CAUSE_CODES, causeEntry } from './registry.ts';

const pages = new URL('../../../docs/causes/', import.meta.url);
const page = (code: string): string => readFileSync(new URL(`${code}.md`, pages), 'utf8');
const SECTIONS = ['What happens', 'Why', 'See it on the node', 'Cures and their price'];

describe('causes', () => {
  it.each(CAUSE_CODES)('%s has a page with its title and every section, in order', (code) => {
    const text = page(code);
    expect(text.split('\n', 1)[0]).toBe(`# ${code}: ${causeEntry(code).title}`);
    expect(text.match(/^## .*$/gm)?.map((line) => line.slice(3))).toEqual(SECTIONS);
  });

  it.each(CAUSE_CODES)('%s tells what to type', (code) => {
    const [, how = ''] = page(code).split('## See it on the node');
    expect(how.split('## Cures')[0]).toMatch(/^```/m);
  });

  it('leaves no page of a code that is gone, and names of causes are unique', () => {
    expect(readdirSync(pages).sort()).toEqual(CAUSE_CODES.map((code) => `${code}.md`).sort());
    const names = CAUSE_CODES.map((code) => causeEntry(code).name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('numbers without gaps, so that a page quoted anywhere stays found', () => {
    const numbers = CAUSE_CODES.map((_, at) => `FL${String(at + 1).padStart(3, '0')}`);
    expect([...CAUSE_CODES].sort()).toEqual(numbers);
  });
});
