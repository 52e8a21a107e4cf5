/**
 * Benchmarks: `npm run -s bench -- NAME [options]` runs bench/NAME.ts and prints one JSON object a line:
 * `{"name", "ours", "peer", "ratio", "unit", "n"}`. Ours and the peer's figure are measured in the same run; a ratio above
 * 1 means we are ahead. Where no peer exists, the peer is the bound the figure is held against, and `name` says so.
 */
import { existsSync, readdirSync } from 'node:fs';

const NO_BENCHMARKS = new Set(['main.ts', 'report.ts', 'large-cluster.ts']);
const here = new URL('.', import.meta.url);
const [name = '', ...args] = process.argv.slice(2);
const module = new URL(`${name}.ts`, here);
if (NO_BENCHMARKS.has(`${name}.ts`) || !/^[a-z-]+$/.test(name) || !existsSync(module)) {
  const names = readdirSync(here)
    .filter((file) => file.endsWith('.ts') && !NO_BENCHMARKS.has(file))
    .map((file) => file.replace(/\.ts$/, ''));
  process.stderr.write(`bench: name one of: ${names.join(', ')}\n`);
  process.exit(1);
}
const { run } = (await import(module.href)) as { run: (args: readonly string[]) => Promise<void> };
await run(args);
