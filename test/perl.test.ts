import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Exec, HERE } from '../src/exec/exec.ts';

const root = new URL('..', import.meta.url);
/** Programs in Perl stand in files of their own and in template literals; a module begins with a capital, a pragma does not. */
const USE = /\buse ([A-Z]\w+(?:::\w+)*)[ ;]/g;

it('asks of Perl only what every Debian has', async () => {
  const { stdout } = await new Exec(HERE).run({ file: 'dpkg', args: ['-L', 'perl-base'] });
  const essential = stdout.split('\n').flatMap((file) => /\/perl-base\/(.*)\.pm$/.exec(file)?.[1] ?? []);
  const used = globSync('{src,test}/**/*.{ts,pl}', { cwd: root })
    .filter((file) => file !== 'test/perl.test.ts')
    .flatMap((file) =>
      Array.from(readFileSync(new URL(file, root), 'utf8').matchAll(USE), ([, module = '']) => module),
    );
  expect(used).toEqual(expect.arrayContaining(['Socket', 'POSIX']));
  const missing = [...new Set(used)].filter((module) => !essential.includes(module.replaceAll('::', '/')));
  expect(missing).toEqual([]);
});
