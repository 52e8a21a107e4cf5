/** The example of every cause that a running kernel without IPVS can show, built and dialled for real. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Exec, HERE } from '../src/exec/exec.ts';

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const folder = new URL('../src/diagnose/testdata/', import.meta.url);

const examples = readdirSync(folder).flatMap((file) => {
  const path = fileURLToPath(new URL(file, folder));
  const text = readFileSync(path, 'utf8');
  const [, from, to, verdict] = /^# why (\S+) (\S+)\n# expect (\w+)$/m.exec(text) ?? [];
  if (from === undefined || to === undefined || text.includes('proxyMode: ipvs')) return [];
  return [{ code: file.replace(/\.yaml$/, ''), path, from, to, verdict }];
});

describe.concurrent('the examples of causes, on the kernel', () => {
  it.each(examples)('$code: $from to $to is $verdict', { timeout: 90_000 }, async (example) => {
    const { path, from, to, verdict } = example;
    const { stdout, stderr } = await new Exec(HERE).run({
      file: process.execPath,
      args: [main, 'why', from, to, '-f', path, '--prove', '--kernel', 'host'],
      env: { NO_COLOR: '1' },
      accept: [0, 2],
      timeoutMs: 80_000,
    });
    expect(`${stdout}${stderr}`).toContain('proven: 1 agree, 0 differ, 0 unknown');
    expect(stdout).toMatch(new RegExp(`^observed: ${verdict}\\b.*, as foretold$`, 'm'));
  });
});
