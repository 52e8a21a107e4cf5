/** Where things stand in a text of JSON, for telling a person; JSON.parse keeps no places. */

/**
 * The line, from 1, at which each item of the first list begins that is one level deep: those of `[…]` itself, or of
 * `{"nftables": […]}`. The text has to be valid.
 */
export function itemLines(text: string): number[] {
  const lines: number[] = [];
  let [line, list, depth, isItem] = [1, 0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '\n') line += 1;
    else if (char === '"') at = endOfString(text, at);
    else if (char === '[' && list === 0) {
      depth += 1;
      list = depth;
      isItem = true;
      continue;
    } else if (char === ',' && depth === list) isItem = true;
    else if (char === ']' || char === '}') {
      if (depth === list) break;
      depth -= 1;
    }
    if (isItem && depth === list && char !== undefined && /[{["\w-]/.test(char)) {
      lines.push(line);
      isItem = false;
    }
    if (char === '[' || char === '{') depth += 1;
  }
  return lines;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** The line at which a text stops being JSON, by what JSON.parse says of it; the last one where it merely ends. */
export function lineOfSyntaxError(text: string, error: unknown): number {
  const message = error instanceof Error ? error.message : '';
  const [, line] = /\bline (\d+)/.exec(message) ?? [];
  if (line !== undefined) return Number(line);
  const [, position] = /\bposition (\d+)/.exec(message) ?? [];
  const before = text.slice(0, position === undefined ? text.length : Number(position)).trimEnd();
  return before.split('\n').length;
}
