import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fairlead } from './supervisor.ts';

/** A run of the tour in one network model and proxy mode; every step has checked itself. */
async function tour(profile: string, mode: string): Promise<string> {
  const args = ['tour', '--once', '--profile', profile, '--proxy-mode', mode];
  const { code, stdout, stderr } = await fairlead(args, 110_000);
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  expect(stdout).toMatch(/^(\d+) of \1 checks held$/m);
  return stdout;
}

/** What differs from run to run: addresses, generated names, ages, counts, and the width of columns that hold them. */
const timeless = (line: string): string =>
  line
    .replaceAll(/nginx-[a-z0-9]+-[a-z0-9]{5}\b/g, 'POD')
    .replaceAll(/\b\d+\.\d+\.\d+\.\d+\b/g, 'IP')
    .replaceAll(/\b\d+s\b/g, 'AGE')
    .replace(/^ +\d+ 200$/, 'N 200')
    .replace(/one of \d+ requests/, 'one of N requests')
    .replaceAll(/ +/g, ' ')
    .trim();

/** The lines between the transcript's markers in the README, without the fences. */
function transcript(): string[] {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const found = /<!-- transcript -->\n```\n([\s\S]*?)```\n<!-- \/transcript -->/.exec(readme);
  return (found?.[1] ?? '').split('\n').map(timeless);
}

describe('the tour', () => {
  it.each([
    ['tunnel', 'iptables'],
    ['vpc', 'nftables'],
    ['vpc', 'iptables'],
  ])('holds in the network %s with the proxy %s', async (profile, mode) => {
    await tour(profile, mode);
  });

  it('holds in the network tunnel with the proxy nftables, and prints the transcript of the README, which is shortened', async () => {
    const printed = (await tour('tunnel', 'nftables')).split('\n').map(timeless);
    const wanted = transcript();
    expect(wanted.length).toBeGreaterThan(30);
    let at = 0;
    for (const line of wanted) {
      const found = printed.indexOf(line, at);
      expect(found, `the README's line '${line}' after '${printed[at - 1]}'`).toBeGreaterThanOrEqual(at);
      at = found + 1;
    }
  });
});
