import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAULTS, Fault } from './fault.ts';

const pages = new URL('../../docs/errors/', import.meta.url);

describe('faults', () => {
  it.each(Object.keys(FAULTS))('%s has its page', (code) => {
    expect(existsSync(new URL(`${code}.md`, pages))).toBe(true);
  });

  it('no page is left of a code that is gone', () => {
    const codes = readdirSync(pages).map((file) => file.replace(/\.md$/, ''));
    expect(codes.sort()).toEqual(Object.keys(FAULTS).sort());
  });

  it('prints as one line with the cure', () => {
    expect(String(new Fault('FE001', "the tool 'nft' is missing", 'apt-get install nftables'))).toBe(
      "FE001: the tool 'nft' is missing (apt-get install nftables)",
    );
  });
});
