import { Fault } from '../fault/fault.ts';
import type { Addr } from './addr.ts';

/** An Ethernet address as an immutable value; `text` is lower case with colons. */
export class Mac {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** Shape: `02:00:0a:00:00:01`. Throws {@link Fault} FE006. */
  static parse(text: string): Mac {
    if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) {
      throw new Fault('FE006', `'${text}' is not a MAC address`, 'write it like 02:00:0a:00:00:01');
    }
    return new Mac(text.toLowerCase());
  }

  /**
   * A locally administered unicast address that holds an IPv4 address, or {@link Addr.word} of one of IPv6, in its last four
   * bytes (IEEE 802 local bit), so that an interface's MAC is a function of its address and forwarding tables can be written
   * before it exists.
   */
  static forAddr(addr: Addr, second = 0): Mac {
    const bytes = [0x02, second & 0xff, ...[24, 16, 8, 0].map((shift) => (addr.word >>> shift) & 0xff)];
    return new Mac(bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
  }

  equals(other: Mac): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}
