/** docs/vectors.md tells what the data holds; `--update` writes it anew. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { censusOf } from './census.ts';
import { readVectors } from './vectors.ts';

const PAGE = new URL('../../docs/vectors.md', import.meta.url).pathname;

it('is what the documentation says', async () => {
  const page = readFileSync(PAGE, 'utf8');
  const [text, rest] = page.split('<!-- counted -->\n');
  expect(rest, 'the page has a place for what is counted').toBeDefined();
  await expect(`${text}<!-- counted -->\n\n${censusOf(readVectors())}\n`).toMatchFileSnapshot(PAGE);
});
