import { Fault } from '../fault/fault.ts';
import type { Addr, Prefix } from '../ip/ip.ts';

/**
 * The pod addresses of one node: its podCIDR without the network address, the first (the bridge's or gateway's) and the
 * last (broadcast). Addresses are handed out in turn, so that one just freed is not at once another pod's: caches and
 * connections of its last holder have time to end.
 */
export class AddressPool {
  readonly prefix: Prefix;
  readonly #holders = new Map<string, string>();
  readonly #held = new Map<string, Addr>();
  #next = FIRST;

  constructor(prefix: Prefix) {
    this.prefix = prefix;
  }

  /** The address of this pod; the same on every call until it is released. Throws {@link Fault} FE012 when none is left. */
  take(uid: string): Addr {
    const held = this.#held.get(uid);
    if (held !== undefined) return held;
    const count = Number(this.prefix.size) - FIRST - 1;
    for (let tried = 0; tried < count; tried++) {
      const addr = this.prefix.at(FIRST + ((this.#next - FIRST + tried) % count));
      if (this.#holders.has(addr.text)) continue;
      this.#next = FIRST + ((this.#next - FIRST + tried + 1) % count);
      this.keep(uid, addr);
      return addr;
    }
    throw new Fault('FE012', `no address is left in ${this.prefix.text}`, 'delete pods of this node');
  }

  /** Marks an address as held: that of a pod which outlived the agent. */
  keep(uid: string, addr: Addr): void {
    this.#holders.set(addr.text, uid);
    this.#held.set(uid, addr);
  }

  release(uid: string): void {
    const addr = this.#held.get(uid);
    if (addr === undefined) return;
    this.#held.delete(uid);
    this.#holders.delete(addr.text);
  }
}

const FIRST = 2;
