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

const TOKEN = /\s*(?:([{}[\],:])|"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

/** What may come next, as a word of the grammar in RFC 8259. */
type Next = 'value' | 'value or end' | 'name' | 'name or end' | 'colon' | 'comma or end' | 'nothing';

/** The line at which a text stops being JSON; the last one where it merely ends. JSON.parse does not always say. */
export function lineOfSyntaxError(text: string): number {
  const lineAt = (at: number) => text.slice(0, at).trimEnd().split('\n').length;
  const open: string[] = [];
  let next: Next = 'value';
  let at = 0;
  while (next !== 'nothing') {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    const after: Next | undefined =
      found === null ? undefined : following(found[1] ?? 'value', found[0].trim(), next, open);
    if (after === undefined) break;
    next = after;
    at = TOKEN.lastIndex;
  }
  const rest = text.slice(at).search(/\S/);
  return rest < 0 ? lineAt(text.length) : lineAt(at + rest + 1);
}

/** What may follow a token; `undefined` if it may not stand there. `open` holds the lists and maps around it. */
function following(token: string, text: string, next: Next, open: string[]): Next | undefined {
  const ended = (): Next => (open.length === 0 ? 'nothing' : 'comma or end');
  const isEmptyEnd = next === (token === '}' ? 'name or end' : 'value or end');
  switch (token) {
    case '{':
    case '[':
      if (!next.startsWith('value')) return undefined;
      open.push(token);
      return token === '{' ? 'name or end' : 'value or end';
    case '}':
    case ']':
      if (open.pop() !== (token === '}' ? '{' : '[')) return undefined;
      return next === 'comma or end' || isEmptyEnd ? ended() : undefined;
    case ',':
      if (next !== 'comma or end') return undefined;
      return open.at(-1) === '{' ? 'name' : 'value';
    case ':':
      return next === 'colon' ? 'value' : undefined;
    default:
      if (next.startsWith('name')) return text.startsWith('"') ? 'colon' : undefined;
      return next.startsWith('value') ? ended() : undefined;
  }
}
