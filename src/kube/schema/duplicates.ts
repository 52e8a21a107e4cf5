/**
 * Names that stand twice in one object of a JSON text, which JSON.parse silently overwrites. The text is known to be valid.
 */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

interface Frame {
  readonly path: string;
  readonly names: Set<string> | undefined;
  /** The name whose value comes next, or the position in a list. */
  name: string;
  index: number;
}

const pathOf = (frame: Frame): string => {
  if (frame.names === undefined) return `${frame.path}[${frame.index}]`;
  return frame.path === '' ? frame.name : `${frame.path}.${frame.name}`;
};

/** Paths in the form of strict errors, e.g. `spec.ports[0].name`; each once, in the order of the text. */
export function duplicateNames(text: string): string[] {
  const found = new Set<string>();
  const frames: Frame[] = [];
  let expectName = false;
  for (const [token] of text.matchAll(TOKEN)) {
    const frame = frames.at(-1);
    if (token === '{' || token === '[') {
      const path = frame === undefined ? '' : pathOf(frame);
      frames.push({ path, names: token === '{' ? new Set() : undefined, name: '', index: 0 });
      expectName = token === '{';
    } else if (token === '}' || token === ']') {
      frames.pop();
    } else if (token === ',' && frame !== undefined) {
      frame.index += 1;
      expectName = frame.names !== undefined;
    } else if (expectName && frame?.names !== undefined) {
      frame.name = JSON.parse(token) as string;
      if (frame.names.has(frame.name)) found.add(pathOf(frame));
      frame.names.add(frame.name);
      expectName = false;
    }
  }
  return [...found];
}
