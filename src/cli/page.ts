import { marked, type Token, type Tokens } from 'marked';
import type { Palette } from '../diagnose/palette.ts';
import { fitted } from './fitted.ts';

/** What is needed of a terminal. */
interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A page of the documentation (CommonMark) as a terminal shows it: marks become looks, and lines fit. */
export function pageText(markdown: string, palette: Palette, screen: Screen): string {
  const blocks = marked.lexer(markdown).filter(({ type }) => type !== 'space');
  return `${blocks.map((block) => blockText(block, palette, screen)).join('\n\n')}\n`;
}

function blockText(block: Token, palette: Palette, screen: Screen): string {
  switch (block.type) {
    case 'heading':
      return prose(palette.strong(plainText(block)), screen);
    case 'code':
      // What somebody copies stays in its lines.
      return block.raw.replace(/^```.*\n|\n```$/g, '').replace(/^(?=.)/gm, '    ');
    case 'list':
      return listText(block as Tokens.List, palette, screen);
    case 'paragraph':
      return prose(`  ${inlineText(block.tokens, palette)}`, screen);
    default:
      return block.raw.trimEnd();
  }
}

const listText = ({ items, ordered, start }: Tokens.List, palette: Palette, screen: Screen): string =>
  items
    .map(({ tokens }, at) => {
      const [first, ...more] = tokens;
      const mark = ordered ? `${Number(start) + at}. ` : '• ';
      const lines = [prose(`  ${mark}${inlineText(first === undefined ? [] : [first], palette)}`, screen)];
      return [...lines, ...more.map((block) => blockText(block, palette, screen))].join('\n');
    })
    .join('\n');

const prose = (text: string, screen: Screen): string => fitted(text, screen, NOTHING);

/** Matches no line. */
const NOTHING = /(?!)/;

function inlineText(tokens: readonly Token[] = [], palette: Palette): string {
  return tokens.map((token) => spanText(token, palette)).join('');
}

function spanText(token: Token, palette: Palette): string {
  switch (token.type) {
    case 'codespan':
    case 'strong':
      return palette.strong(token.text);
    case 'link':
      // A page beside this one is explained by its name, which is what it is called by.
      return /^[a-z]+:/.test(token.href) && token.text !== token.href
        ? `${token.text} (${token.href})`
        : token.text;
    default:
      return 'tokens' in token && token.tokens !== undefined
        ? inlineText(token.tokens, palette)
        : plainText(token);
  }
}

/** Of a token without parts; a line's end within a paragraph is a space. */
const plainText = (token: Token): string => ('text' in token ? token.text : token.raw).replace(/\n/g, ' ');
