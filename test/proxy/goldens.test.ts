/**
 * Services as YAML in, rules out: testdata/NAME.yaml becomes NAME.nft and NAME.iptables, which a reader can judge. The real
 * tools must take every file, and what they list afterwards must read back as the same trees. `vitest -u` writes the files.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import {
  differenceOfIptables,
  differenceOfTables,
  parseIptablesSave,
  parseNftRuleset,
  printIptablesRuleset,
  printIptablesTransaction,
  printNftRuleset,
  printNftTransaction,
} from '../../src/netfilter/netfilter.ts';
import { compileIptables, compileNftables, planFor } from '../../src/proxy/proxy.ts';
import { N1 } from './bed.ts';
import { configOf, parseScenario } from './scenario.ts';

const FOLDER = join(import.meta.dirname, 'testdata');
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => basename(file, '.yaml'));

let cage: Cage;
beforeAll(async () => {
  cage = await openCage();
});
afterAll(() => cage.close());

describe.each(NAMES)('%s', (name) => {
  const { services, slices, configuration } = parseScenario(
    readFileSync(join(FOLDER, `${name}.yaml`), 'utf8'),
  );
  const plan = planFor(N1, services, slices, configOf(configuration));

  it('has a plan without problems', () => {
    expect(plan.problems).toEqual([]);
  });

  it('compiles to nftables that nft takes and lists as the same trees', async () => {
    const ruleset = compileNftables(plan);
    const text = printNftRuleset(ruleset);
    await expect(text).toMatchFileSnapshot(join(FOLDER, `${name}.nft`));
    const nft = (args: readonly string[], stdin = '') => cage.exec().run({ file: 'nft', args, stdin });
    await nft(['-c', '-f', '-'], text);
    await nft(['-f', '-'], text);
    const { tables } = parseNftRuleset((await nft(['-j', 'list', 'ruleset'])).stdout);
    await nft(['flush', 'ruleset']);
    for (const table of ruleset.tables) {
      const listed = tables.find((one) => one.family === table.family);
      if (listed === undefined) throw new Error(`nft lists no table of ${table.family}`);
      expect(printNftTransaction(differenceOfTables(listed, table))).toBe('');
      expect(printNftTransaction(differenceOfTables(table, listed))).toBe('');
    }
  });

  it('compiles to iptables that iptables-restore takes and iptables-save prints as the same trees', async () => {
    const rulesets = compileIptables(plan);
    const texts = rulesets.map(printIptablesRuleset);
    await expect(texts.join('# IPv6\n')).toMatchFileSnapshot(join(FOLDER, `${name}.iptables`));
    for (const [at, ruleset] of rulesets.entries()) {
      const tool = ruleset.family === 4 ? 'iptables' : 'ip6tables';
      const text = texts[at] ?? '';
      expect(printIptablesRuleset(parseIptablesSave(text, ruleset.family))).toBe(text);
      await cage.exec().run({ file: `${tool}-restore`, args: ['--test'], stdin: text });
      await cage.exec().run({ file: `${tool}-restore`, args: [], stdin: text });
      const saved = (await cage.exec().run({ file: `${tool}-save`, args: [] })).stdout;
      await cage.exec().run({ file: 'nft', args: ['flush', 'ruleset'] });
      const { tables } = parseIptablesSave(saved, ruleset.family);
      for (const table of ruleset.tables.values()) {
        const listed = tables.get(table.name);
        if (listed === undefined) throw new Error(`${tool}-save prints no table ${table.name}`);
        expect(printIptablesTransaction(differenceOfIptables(listed, table))).toBe('');
      }
    }
  });
});
