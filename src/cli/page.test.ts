import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NO_COLOURS } from '../diagnose/palette.ts';
import { pageText } from './page.ts';

const docs = new URL('../../docs/', import.meta.url);
const pages = ['causes', 'errors'].flatMap((folder) =>
  readdirSync(new URL(`${folder}/`, docs))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`),
);
const terminal = { isTTY: true, columns: 80 };

describe('a page on a terminal', () => {
  it('has looks in the place of marks, and lists and prose that fit', () => {
    const text = `# A *title*

Prose with \`code\`, [FL002](FL002.md) and [the RFC](https://www.rfc-editor.org/rfc/rfc791).

\`\`\`sh
nft list ruleset   # a command that is longer than the terminal is wide stays in one line, to be copied
\`\`\`

- an item that is longer than eighty columns, so that it goes on below where its own text began
1. first
`;
    const palette = { ...NO_COLOURS, strong: (plain: string) => `<${plain}>` };
    expect(pageText(text, palette, terminal)).toBe(`<A *title*>

  Prose with <code>, FL002 and the RFC (https://www.rfc-editor.org/rfc/rfc791).

    nft list ruleset   # a command that is longer than the terminal is wide stays in one line, to be copied

  • an item that is longer than eighty columns, so that it goes on below where
    its own text began

  1. first
`);
  });

  it.each(pages)('%s: nothing of Markdown is left, and prose fits', (page) => {
    const markdown = readFileSync(new URL(page, docs), 'utf8');
    const lines = pageText(markdown, NO_COLOURS, terminal).split('\n');
    const prose = lines.filter((line) => !/^ {4}/.test(line));
    expect(prose.filter((line) => /^#|```|`|\]\(/.test(line))).toEqual([]);
    expect(prose.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.length).toBeGreaterThan(5);
  });
});
