import { Fault } from '../../fault/fault.ts';
import { itemLines, lineOfSyntaxError } from '../../netfilter/netfilter.ts';
import type { DumpFolder } from './dump-folder.ts';

/** One object of a list that a tool printed as JSON; its fields are read by type. */
export class Item {
  /** `file:line` */
  readonly place: string;
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(value: Readonly<Record<string, unknown>>, place: string) {
    this.#value = value;
    this.place = place;
  }

  get fields(): readonly string[] {
    return Object.keys(this.#value);
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined;
  }

  /** Whether it is there and not false. */
  isSet(name: string): boolean {
    return this.has(name) && this.#value[name] !== null && this.#value[name] !== false;
  }

  text(name: string): string | undefined {
    return this.#read(name, 'text', (value) => typeof value === 'string');
  }

  number(name: string): number | undefined {
    return this.#read(name, 'number', (value) => typeof value === 'number');
  }

  /** A list of texts, such as flags; empty if there is none. */
  texts(name: string): readonly string[] {
    const isTexts = (value: unknown): value is readonly string[] =>
      Array.isArray(value) && value.every((one) => typeof one === 'string');
    return this.#read(name, 'list of words', isTexts) ?? [];
  }

  item(name: string): Item | undefined {
    const value = this.#read(name, 'object', isObject);
    return value === undefined ? undefined : new Item(value, this.place);
  }

  /** Empty if there is no such list. */
  items(name: string): readonly Item[] {
    const isObjects = (value: unknown): value is readonly Readonly<Record<string, unknown>>[] =>
      Array.isArray(value) && value.every(isObject);
    return (this.#read(name, 'list of objects', isObjects) ?? []).map((value) => new Item(value, this.place));
  }

  needed<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new Fault('FE006', `${this.place}: there is no '${name}'`, AGAIN);
  }

  /** The object itself, for quoting. */
  toString(): string {
    return JSON.stringify(this.#value);
  }

  #read<T>(name: string, what: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#value[name];
    if (value === undefined || value === null) return undefined;
    if (is(value)) return value;
    throw new Fault('FE006', `${this.place}: '${name}' is no ${what}`, AGAIN);
  }
}

/** A value of the item that cannot be read is told with its place. */
export function read<T>(item: Item, parse: (item: Item) => T): T {
  try {
    return parse(item);
  } catch (error) {
    if (!(error instanceof Fault) || error.message.startsWith(item.place)) throw error;
    throw new Fault(error.code, `${item.place}: ${error.message}`, AGAIN, { cause: error });
  }
}

export const AGAIN = 'collect it again: fairlead collect --script';

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const placeOf = ({ path }: DumpFolder, file: string): string => `${path}/${file}`;

/**
 * The objects of a file that holds a list of them; `undefined` if the folder has no such file. Throws {@link Fault} FE006
 * with file and line for what is no such list.
 */
export function itemsOf(folder: DumpFolder, file: string): readonly Item[] | undefined {
  const text = folder.files.get(file);
  if (text === undefined) return undefined;
  // Where there is nothing to tell, older tools print nothing at all.
  if (text.trim() === '') return [];
  const at = placeOf(folder, file);
  const list = listOf(at, text);
  const lines = itemLines(text);
  return list.flatMap((value, index) => {
    const place = `${at}:${lines[index] ?? 1}`;
    if (!isObject(value)) throw new Fault('FE006', `${place}: this is no object`, AGAIN);
    // Some versions of ip print an empty object for what they filter out.
    return Object.keys(value).length === 0 ? [] : [new Item(value, place)];
  });
}

function listOf(at: string, text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // What a tool complains of instead has no list around it.
    const isCut = !/[\]}]\s*$/.test(text);
    const what = isCut ? 'the file is cut off' : 'this is no JSON';
    throw new Fault('FE006', `${at}:${lineOfSyntaxError(text)}: ${what}`, AGAIN, { cause: error });
  }
  if (Array.isArray(value)) return value;
  throw new Fault('FE006', `${at}:1: this is no list`, AGAIN);
}

/** The lines of a text file with their places, without those that are empty; `undefined` if there is no such file. */
export function linesOf(
  folder: DumpFolder,
  file: string,
): readonly { readonly line: string; readonly place: string }[] | undefined {
  return folder.files
    .get(file)
    ?.split('\n')
    .map((line, at) => ({ line: line.trim(), place: `${placeOf(folder, file)}:${at + 1}` }))
    .filter(({ line }) => line !== '');
}
