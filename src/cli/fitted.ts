/** Control sequences that take no room (ECMA-48, Select Graphic Rendition). */
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
/** Before a text: a word and the gap of its column, a number, or nothing but indentation. */
const LEAD = /^ *(?:(?:[✗✓?] )?\S+ {2,}|\[\d+\] |\d+\. |• )?/;
/** What somebody copies stays in one line; the terminal breaks it without a trace. */
const COMMAND = /^ *(?:kubectl|fairlead) /;

const lengthOf = (text: string): number => text.replace(COLOUR, '').length;

/**
 * The text with lines that fit a terminal: longer ones are broken at spaces, and go on below where their text began. A
 * stream that is no terminal takes them as they are, for grep and its like.
 * @param keeps lines that stay whole: commands, unless a sentence may begin like one
 */
export function fitted(
  text: string,
  { isTTY = false, columns }: { isTTY?: boolean; columns?: number },
  keeps: RegExp = COMMAND,
): string {
  if (!isTTY || columns === undefined || columns < 40) return text;
  return text
    .split('\n')
    .flatMap((line) => (keeps.test(line.replace(COLOUR, '')) ? [line] : linesOf(line, columns)))
    .join('\n');
}

function linesOf(line: string, most: number): string[] {
  const plain = line.replace(COLOUR, '');
  if (plain.length <= most) return [line];
  const indent = ' '.repeat(LEAD.exec(plain)?.[0].length ?? 0);
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(/(?<=\S) /)) {
    const longer = current === '' ? word : `${current} ${word}`;
    const isFull = lengthOf(longer) > most && current !== '';
    if (isFull) lines.push(current);
    current = isFull ? `${indent}${word}` : longer;
  }
  return [...lines, current];
}
