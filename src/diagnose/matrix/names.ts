/**
 * Names for the addresses and ports of one Service's surroundings, given out in the order in which they are met: equal
 * things have one name, so the names tell what is equal to what and nothing else.
 */
export class Names {
  readonly #names = new Map<string, string>();
  readonly #texts = new Map<string, string>();

  /** The name of an address (`1.2.3.4`) or port (`:80`). */
  give(text: string): string {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const name = `${text.startsWith(':') ? 'port' : 'address'}-${this.#names.size}`;
    this.#names.set(text, name);
    this.#texts.set(name, text);
    return name;
  }

  /** The how manieth it was to get its name; `undefined`: it has none. */
  rankOf(text: string): number | undefined {
    const name = this.#names.get(text);
    return name === undefined ? undefined : Number(name.slice(name.indexOf('-') + 1));
  }

  /** `undefined`: it has none. */
  nameOf(text: string): string | undefined {
    return this.#names.get(text);
  }

  textOf(name: string): string | undefined {
    return this.#texts.get(name);
  }
}
