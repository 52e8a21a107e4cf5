const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as XML and HTML take it, in elements and attributes. Control characters are left out: XML 1.0 cannot hold them (section 2.2). */
export const escaped = (text: string): string =>
  text.replace(/\p{Cc}|[\ufffe\uffff]/gu, '').replace(/[&<>"']/g, (found) => ENTITIES[found] ?? found);

/** The text in lines of at most `most` characters, broken at spaces where there are any. */
export function wrapped(text: string, most: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > most) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    for (; line.length > most; line = line.slice(most)) lines.push(line.slice(0, most));
  }
  return [...lines, line];
}
