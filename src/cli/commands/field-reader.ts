import { Fault } from '../../fault/fault.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of a document one by one, and knows in the end which of them nobody has asked for. `null` and an empty
 * text count as left out. Throws {@link Fault} FE006 that names file and field for a value of another kind.
 *
 * @example
 * const fields = new FieldReader('config.conf', { iptables: { masqueradeAll: true } });
 * fields.inside('iptables').flag('masqueradeAll'); // true
 * fields.rest([]); // { known: [], unknown: [] }
 */
export class FieldReader {
  readonly #file: string;
  readonly #fields: Fields;
  /** What stands before the names of these fields: `iptables.` */
  readonly #prefix: string;
  /** The paths that have been asked for, in the whole document. */
  readonly #asked: Set<string>;

  constructor(file: string, fields: object, prefix = '', asked: Set<string> = new Set()) {
    this.#file = file;
    this.#fields = fields as Fields;
    this.#prefix = prefix;
    this.#asked = asked;
  }

  /** The fields below one; none where it is left out. */
  inside(name: string): FieldReader {
    const value = this.#fields[name] ?? {};
    if (!isFields(value)) throw this.fault(name, 'is not an object', 'write its fields below it');
    return new FieldReader(this.#file, value, `${this.#prefix}${name}.`, this.#asked);
  }

  text(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || value === '') return undefined;
    if (typeof value !== 'string') throw this.fault(name, `is not a text: ${JSON.stringify(value)}`);
    return value;
  }

  required(name: string): string {
    const text = this.text(name);
    if (text === undefined) throw this.fault(name, 'is missing', 'detectLocalMode asks for it');
    return text;
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) {
      throw this.fault(name, `is not a list of texts: ${JSON.stringify(value)}`);
    }
    return value;
  }

  flag(name: string): boolean | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.fault(name, `is neither true nor false: ${JSON.stringify(value)}`);
  }

  /** A whole number within bounds. */
  number(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw this.fault(name, `is not a whole number from ${least} to ${most}: ${JSON.stringify(value)}`);
  }

  oneOf<T extends string>(name: string, known: readonly T[]): T | undefined {
    const text = this.text(name);
    const found = known.find((one) => one === text);
    if (text === undefined || found !== undefined) return found;
    throw this.fault(name, `'${text}' is not known`, `it is one of ${known.join(', ')}`);
  }

  /** The names of the fields here. */
  names(): readonly string[] {
    return Object.keys(this.#fields);
  }

  /** The text as something else; what the parser throws becomes the fault. */
  parsed<T>(name: string, parse: (text: string) => T): T | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : this.parse(name, text, parse);
  }

  parse<T>(name: string, text: string, parse: (text: string) => T): T {
    try {
      return parse(text);
    } catch (error) {
      throw this.fault(name, error instanceof Error ? error.message : String(error));
    }
  }

  fault(name: string, what: string, cure = 'correct the file'): Fault {
    return new Fault('FE006', `${this.#file}: ${this.#prefix}${name}: ${what}`, cure);
  }

  /** The fields that are set and that nobody has asked for; a known field stands for those below it. */
  rest(known: readonly string[]): { readonly known: string[]; readonly unknown: string[] } {
    const left = this.#leaves([...known, ...this.#asked]).filter((path) => !this.#asked.has(path));
    return {
      known: left.filter((path) => known.includes(path)),
      unknown: left.filter((path) => !known.includes(path)),
    };
  }

  /** The paths of all fields; an object counts by its fields where any of them is known by name. */
  #leaves(named: readonly string[]): string[] {
    return Object.entries(this.#fields).flatMap(([name, value]) => {
      const path = `${this.#prefix}${name}`;
      const opens = named.some((one) => one.startsWith(`${path}.`));
      if (opens && isFields(value)) return this.inside(name).#leaves(named);
      const isKnown = named.includes(path) || opens;
      return isKnown && isEmpty(value) ? [] : [path];
    });
  }

  #take(name: string): unknown {
    this.#asked.add(`${this.#prefix}${name}`);
    return this.#fields[name] ?? undefined;
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** As good as left out: what kubeadm writes for fields it has no opinion of. */
function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isFields(value)) return Object.values(value).every(isEmpty);
  return value === null || value === '' || value === false || value === 0 || value === '0s' || value === '0';
}
