import { Fault } from '../fault/fault.ts';
import { Addr, bitsOf, type Family } from './addr.ts';

/**
 * An address prefix (CIDR) as an immutable value: the network address and its length in bits. `text` is canonical: the
 * bits past the length are zero.
 */
export class Prefix {
  /** The network address. */
  readonly addr: Addr;
  readonly length: number;
  readonly text: string;

  private constructor(addr: Addr, length: number) {
    this.addr = addr;
    this.length = length;
    this.text = `${addr.text}/${length}`;
  }

  /** The prefix of this length around the address; host bits are cleared. */
  static of(addr: Addr, length: number): Prefix {
    const bits = bitsOf(addr.family);
    if (!Number.isInteger(length) || length < 0 || length > bits) {
      throw new Fault('FE006', `/${length} is no prefix length of IPv${addr.family}`, `use 0 to ${bits}`);
    }
    const shift = BigInt(bits - length);
    return new Prefix(Addr.fromValue(addr.family, (addr.value >> shift) << shift), length);
  }

  /** Shape: `10.0.0.0/8`; host bits are cleared. Throws {@link Fault} FE006. */
  static parse(text: string): Prefix {
    const [addr, length, ...rest] = text.split('/');
    if (addr === undefined || length === undefined || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) {
      throw new Fault('FE006', `'${text}' is not a prefix`, 'write it like 10.0.0.0/8');
    }
    return Prefix.of(Addr.parse(addr), Number(length));
  }

  /** The prefix that holds this address alone. */
  static host(addr: Addr): Prefix {
    return new Prefix(addr, bitsOf(addr.family));
  }

  get family(): Family {
    return this.addr.family;
  }

  /** How many addresses the prefix holds. */
  get size(): bigint {
    return 1n << BigInt(bitsOf(this.family) - this.length);
  }

  /** The last address. */
  get last(): Addr {
    return this.addr.plus(this.size - 1n);
  }

  get isHost(): boolean {
    return this.length === bitsOf(this.family);
  }

  contains(addr: Addr): boolean {
    if (addr.family !== this.family) return false;
    // A shift by 32 is one by 0 to JavaScript, so the empty prefix is told apart.
    if (addr.family === 4)
      return this.length === 0 || (addr.u32 ^ this.addr.u32) >>> (32 - this.length) === 0;
    const shift = BigInt(bitsOf(this.family) - this.length);
    return addr.value >> shift === this.addr.value >> shift;
  }

  covers(other: Prefix): boolean {
    return other.length >= this.length && this.contains(other.addr);
  }

  overlaps(other: Prefix): boolean {
    return this.covers(other) || other.covers(this);
  }

  /** The address at `offset` from the network address. Throws {@link Fault} FE006 outside the prefix. */
  at(offset: bigint | number): Addr {
    const by = BigInt(offset);
    if (by < 0n || by >= this.size) {
      throw new Fault('FE006', `${this.text} has no address ${by}`, `stay below ${this.size}`);
    }
    return this.addr.plus(by);
  }

  /** The `index`-th prefix of `length` bits inside this one. */
  subnet(length: number, index: number): Prefix {
    const step = 1n << BigInt(bitsOf(this.family) - length);
    return Prefix.of(this.at(step * BigInt(index)), length);
  }

  equals(other: Prefix): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}
