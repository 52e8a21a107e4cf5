import type { NftFamily } from '../ruleset.ts';

/** The kernel's own byte order, in which netlink headers and numbers without a byte order of their own are. */
export const HOST_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** include/uapi/linux/netfilter/nfnetlink.h. */
export const NFNL_SUBSYS_NFTABLES = 10;

/** A table's family as nfgenmsg has it (include/uapi/linux/netfilter.h). */
export const FAMILIES: Readonly<Record<NftFamily, number>> = {
  inet: 1,
  ip: 2,
  arp: 3,
  netdev: 5,
  bridge: 7,
  ip6: 10,
};

/** NLA_F_NESTED: the attribute holds attributes (include/uapi/linux/netlink.h). */
const NESTED = 0x8000;
const MESSAGE_HEADER = 16;
const ATTRIBUTE_HEADER = 4;

const ENCODER = new TextEncoder();

/**
 * Netlink messages one after another in a buffer that grows (RFC 3549; include/uapi/linux/netlink.h). Lengths are written
 * when a message or attribute ends, since its content decides them; both begin at multiples of four bytes.
 */
export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  /** Few names come again and again. */
  readonly #names = new Map<string, Uint8Array>();

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** How many bytes have been written; the place where the next message or attribute begins. */
  get length(): number {
    return this.#length;
  }

  /** What has been written, without a copy. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Opens a message with an nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h); the answer is for {@link endMessage}. */
  beginMessage(type: number, flags: number, sequence: number, family: number, resource: number): number {
    const start = this.#reserve(MESSAGE_HEADER + 4);
    const view = this.#view;
    view.setUint16(start + 4, type, HOST_LITTLE_ENDIAN);
    view.setUint16(start + 6, flags, HOST_LITTLE_ENDIAN);
    view.setUint32(start + 8, sequence, HOST_LITTLE_ENDIAN);
    view.setUint32(start + 12, 0, HOST_LITTLE_ENDIAN);
    view.setUint8(start + 16, family);
    view.setUint8(start + 17, 0);
    view.setUint16(start + 18, resource);
    return start;
  }

  endMessage(start: number): void {
    this.#view.setUint32(start, this.#length - start, HOST_LITTLE_ENDIAN);
  }

  /** Sets flags of a message that has been written. */
  addFlags(start: number, flags: number): void {
    const before = this.#view.getUint16(start + 6, HOST_LITTLE_ENDIAN);
    this.#view.setUint16(start + 6, before | flags, HOST_LITTLE_ENDIAN);
  }

  /** Opens an attribute that holds attributes; the answer is for {@link endAttribute}. */
  beginNested(type: number): number {
    return this.beginAttribute(type | NESTED);
  }

  beginAttribute(type: number): number {
    const start = this.#reserve(ATTRIBUTE_HEADER);
    this.#view.setUint16(start + 2, type, HOST_LITTLE_ENDIAN);
    return start;
  }

  endAttribute(start: number): void {
    this.#view.setUint16(start, this.#length - start, HOST_LITTLE_ENDIAN);
    this.pad();
  }

  /** A string with the zero byte that the kernel wants after it. */
  text(type: number, text: string): void {
    const start = this.beginAttribute(type);
    const encoded = this.#names.get(text) ?? ENCODER.encode(text);
    this.#names.set(text, encoded);
    const at = this.#reserve(encoded.length + 1);
    this.#bytes.set(encoded, at);
    this.endAttribute(start);
  }

  /** A number as nf_tables has all of its own: in network byte order. */
  number(type: number, value: number): void {
    const start = this.beginAttribute(type);
    this.uint32(value);
    this.endAttribute(start);
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  /** In network byte order. */
  uint16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
  }

  /** In network byte order. */
  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
  }

  hostUint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, HOST_LITTLE_ENDIAN);
  }

  /** The low 128 bits, in network byte order. */
  uint128(value: bigint): void {
    const at = this.#reserve(16);
    this.#view.setBigUint64(at, value >> 64n);
    this.#view.setBigUint64(at + 8, BigInt.asUintN(64, value));
  }

  /** Zero bytes up to the next multiple of four. */
  pad(): void {
    this.#reserve(-this.#length & 3);
  }

  /**
   * Room for so many bytes, which are zero; the answer is where they begin. The view may be another one afterwards, so ask
   * for room first and for the view then.
   */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) this.#grow();
    return at;
  }

  #grow(): void {
    const bytes = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
