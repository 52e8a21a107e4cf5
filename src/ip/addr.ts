import { Fault } from '../fault/fault.ts';

export type Family = 4 | 6;

const BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

/** The width of an address of the family, in bits. */
export const bitsOf = (family: Family): number => BITS[family];

/**
 * An IPv4 or IPv6 address as an immutable value. Two equal addresses have the same `text`, which is the canonical form
 * (RFC 5952 for IPv6), so `text` serves as a map key.
 */
export class Addr {
  readonly family: Family;
  readonly text: string;
  /** The value of an IPv4 address as a number, for where speed counts; NaN for IPv6. */
  readonly u32: number;
  /** Of IPv6 alone: a big number takes room, and clusters have many addresses. */
  readonly #value: bigint | undefined;

  private constructor(value: bigint | number, text: string) {
    const four = typeof value === 'number';
    this.family = four ? 4 : 6;
    this.u32 = four ? value : Number.NaN;
    this.text = text;
    this.#value = four ? undefined : value;
  }

  /** The address as an unsigned number of {@link bitsOf} bits. */
  get value(): bigint {
    return this.#value ?? BigInt(this.u32);
  }

  /** Shape: `192.0.2.1` or `2001:db8::1`; no zone, no leading zeros in IPv4. Throws {@link Fault} FE006. */
  static parse(text: string): Addr {
    const value = text.includes(':') ? value6(text) : value4(text);
    if (value === undefined) {
      throw new Fault('FE006', `'${text}' is not an IP address`, 'write it like 192.0.2.1 or 2001:db8::1');
    }
    // What parses as IPv4 is written the one way there is.
    return new Addr(value, typeof value === 'number' ? text : textOf6(value));
  }

  static isAddr(text: string): boolean {
    return (text.includes(':') ? value6(text) : value4(text)) !== undefined;
  }

  static fromValue(family: Family, value: bigint): Addr {
    if (value < 0n || value >> BigInt(BITS[family]) !== 0n) {
      throw new Fault('FE006', `${value} is outside IPv${family}`, 'stay within the family');
    }
    return family === 4 ? new Addr(Number(value), textOf4(Number(value))) : new Addr(value, textOf6(value));
  }

  /** The address `by` further on. Throws {@link Fault} FE006 past either end of the family. */
  plus(by: bigint | number): Addr {
    return Addr.fromValue(this.family, this.value + BigInt(by));
  }

  equals(other: Addr): boolean {
    return this.text === other.text;
  }

  /** Orders IPv4 before IPv6, then by number. */
  compare(other: Addr): number {
    if (this.family !== other.family) return this.family - other.family;
    if (this.family === 4) return this.u32 - other.u32;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }

  /**
   * 32 bits that stand for the address where no more fit: an IPv4 address itself; of IPv6 a sum of its words, which tells
   * apart whatever differs in the last 32 bits alone.
   */
  get word(): number {
    if (this.family === 4) return this.u32;
    const words = [96n, 64n, 32n, 0n].map((shift) => Number((this.value >> shift) & 0xffffffffn));
    return words.reduce((sum, word) => (Math.imul(sum, 31) + word) >>> 0, 0);
  }

  /** 127.0.0.0/8 (RFC 1122) or ::1 (RFC 4291). */
  get isLoopback(): boolean {
    return this.family === 4 ? this.u32 >>> 24 === 127 : this.value === 1n;
  }

  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.family === 4 ? this.u32 >>> 28 === 0xe : this.value >> 120n === 0xffn;
  }

  /** 169.254.0.0/16 (RFC 3927) or fe80::/10. */
  get isLinkLocal(): boolean {
    return this.family === 4 ? this.value >> 16n === 0xa9fen : this.value >> 118n === 0x3fan;
  }

  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.value === 0n;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}

/** Character by character: a cluster's addresses are parsed by the ten thousand. */
function value4(text: string): number | undefined {
  let [value, part, digits, parts] = [0, 0, 0, 1];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || ++parts > 4) return undefined;
      value = value * 256 + part;
      part = digits = 0;
    } else {
      const leadingZero = digits > 0 && part === 0;
      if (code < ZERO || code > NINE || leadingZero) return undefined;
      part = part * 10 + code - ZERO;
      digits++;
      if (part > 255) return undefined;
    }
  }
  return parts === 4 && digits > 0 ? value * 256 + part : undefined;
}

const [DOT, ZERO, NINE] = [0x2e, 0x30, 0x39] as const;

function value6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groups6(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groups6(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
}

/** The 16-bit groups of one side of `::`; the last one may be dotted IPv4 when `last`. */
function groups6(side: string, last: boolean): number[] | undefined {
  if (side === '') return [];
  const parts = side.split(':');
  const groups: number[] = [];
  for (const [at, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = last && at === parts.length - 1 ? value4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(v4 >>> 16, v4 & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else return undefined;
  }
  return groups;
}

const textOf4 = (n: number): string => `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups becomes `::`. */
function textOf6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(112 - at * 16)) & 0xffffn));
  let start = -1;
  let length = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > length) {
      start = at;
      length = end - at;
    }
    if (end > at) at = end;
  }
  const hex = (some: number[]) => some.map((group) => group.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}
