import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fairlead } from './supervisor.ts';

it("prints the README's answer to the letter", async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, command = '', answer] =
    /<!-- ladder -->\n```\n\$ fairlead (.*)\n([\s\S]*?)```\n<!-- \/ladder -->/.exec(readme) ?? [];
  const { code, stdout } = await fairlead(command.split(' '));
  expect(stdout).toBe(answer);
  expect(code).toBe(2);
});
