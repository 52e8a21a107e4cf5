/**
 * Which cluster IPs and node ports are taken, and by whom. All steps are synchronous, so two requests never get the same.
 */
import type { Addr } from '../../ip/addr.ts';
import type { Prefix } from '../../ip/prefix.ts';

/** Things that are taken by one owner at a time; an owner may take what it has once more. */
class Taken<T> {
  readonly #owners = new Map<T, string>();

  take(thing: T, owner: string): boolean {
    const holder = this.#owners.get(thing);
    if (holder !== undefined && holder !== owner) return false;
    this.#owners.set(thing, owner);
    return true;
  }

  has(thing: T): boolean {
    return this.#owners.has(thing);
  }

  /** Only its owner can give a thing back. */
  release(thing: T, owner: string): void {
    if (this.#owners.get(thing) === owner) this.#owners.delete(thing);
  }
}

/** At most so many addresses of a range are handed out, as upstream: an IPv6 range would never end. */
const MOST_ADDRESSES = 2 ** 20;

/** The cluster IPs of one service range; without its first address, and for IPv4 its last (broadcast). */
export class AddressPool {
  readonly prefix: Prefix;
  readonly #taken = new Taken<string>();
  readonly #random: () => number;
  /** Offsets of usable addresses are 1 to this. */
  readonly #last: number;

  constructor(prefix: Prefix, random: () => number) {
    this.prefix = prefix;
    this.#random = random;
    const size = prefix.size > BigInt(MOST_ADDRESSES) ? MOST_ADDRESSES : Number(prefix.size);
    this.#last = size - (prefix.family === 4 ? 2 : 1);
  }

  holds(address: Addr): boolean {
    if (!this.prefix.contains(address)) return false;
    const offset = address.value - this.prefix.addr.value;
    return offset >= 1n && offset <= BigInt(this.#last);
  }

  take(address: Addr, owner: string): boolean {
    return this.#taken.take(address.text, owner);
  }

  release(address: string, owner: string): void {
    this.#taken.release(address, owner);
  }

  /** A free address, taken; undefined if none is left. */
  allocate(owner: string): string | undefined {
    // KEP-3070: the low band is for addresses that people choose, and is handed out when the rest is gone.
    const band = Math.min(Math.max(16, Math.floor(this.#last / 16)), 256);
    const static_ = band < this.#last ? band : 0;
    for (const [from, to] of [
      [static_ + 1, this.#last],
      [1, static_],
    ] as const) {
      const offset = freeAt(from, to, this.#random, (at) => !this.#taken.has(this.prefix.at(at).text));
      if (offset === undefined) continue;
      const { text } = this.prefix.at(offset);
      this.#taken.take(text, owner);
      return text;
    }
    return undefined;
  }
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** The node ports of the cluster. A Service may use a port of its own for several protocols. */
export class PortPool {
  readonly range: PortRange;
  readonly #taken = new Taken<number>();
  readonly #random: () => number;

  constructor(range: PortRange, random: () => number) {
    this.range = range;
    this.#random = random;
  }

  holds(port: number): boolean {
    return port >= this.range.from && port <= this.range.to;
  }

  take(port: number, owner: string): boolean {
    return this.#taken.take(port, owner);
  }

  release(port: number, owner: string): void {
    this.#taken.release(port, owner);
  }

  /** A free port, taken; undefined if none is left. */
  allocate(owner: string): number | undefined {
    const { from, to } = this.range;
    const size = to - from + 1;
    // KEP-3668, as for addresses.
    const band = size < 32 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128);
    const free = (at: number) => !this.#taken.has(at);
    const port =
      freeAt(from + band, to, this.#random, free) ?? freeAt(from, from + band - 1, this.#random, free);
    if (port !== undefined) this.#taken.take(port, owner);
    return port;
  }
}

/** The first free number from a random one on, round the band. */
function freeAt(
  from: number,
  to: number,
  random: () => number,
  isFree: (at: number) => boolean,
): number | undefined {
  const size = to - from + 1;
  if (size <= 0) return undefined;
  const start = Math.floor(random() * size);
  for (let step = 0; step < size; step += 1) {
    const at = from + ((start + step) % size);
    if (isFree(at)) return at;
  }
  return undefined;
}
