import type { TableName } from '../print.ts';
import type { NftElement, NftSet } from '../ruleset.ts';
import { type ElementLayout, elementLayout } from './element-layout.ts';
import { FAMILIES, MessageWriter, NFNL_SUBSYS_NFTABLES } from './message-writer.ts';

/** include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h. */
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_NEWSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 12;
const NFT_MSG_DELSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 14;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;

/** include/uapi/linux/netlink.h. */
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const AF_UNSPEC = 0;

/** An attribute says its length in 16 bits; the largest element must fit above this. */
const FULL = 60_000;

export type ElementVerb = 'add' | 'delete';

/** A transaction as the kernel takes it, in one send. */
export interface ElementBatch {
  readonly bytes: Uint8Array;
  /** How many elements it adds and deletes. */
  readonly elements: number;
  /** What the messages are about, by sequence number; for {@link refusalOf}. */
  readonly subjects: ReadonlyMap<number, string>;
  /** The message whose acknowledgement says that the whole was committed. */
  readonly last: number;
}

/**
 * Builds a transaction of elements. They are applied in the order they are given in; elements of one set that follow one
 * another share a message, so give them set by set.
 */
export class ElementBatchBuilder {
  readonly #writer: MessageWriter;
  readonly #layouts = new Map<NftSet, ElementLayout | undefined>();
  readonly #subjects = new Map<number, string>();
  #open: OpenMessage | undefined;
  /** Where the last message began. */
  #last = 0;
  #sequence = 0;
  #elements = 0;

  /** @param capacity in bytes, which saves copies where a large batch is known to come */
  constructor(capacity?: number) {
    this.#writer = new MessageWriter(capacity);
    this.#frame(NFNL_MSG_BATCH_BEGIN);
  }

  get elements(): number {
    return this.#elements;
  }

  /** How long the batch is by now, in bytes. */
  get length(): number {
    return this.#writer.length;
  }

  /** Whether the elements of the set can be written at all. */
  knows(set: NftSet): boolean {
    return this.#layoutOf(set) !== undefined;
  }

  /** @param set its name and types; what it holds is not looked at */
  put(verb: ElementVerb, table: TableName, set: NftSet, element: NftElement): void {
    const layout = this.#layoutOf(set);
    if (layout === undefined) throw new Error(`elements of ${set.name} have no known layout`);
    const fits = this.#open?.set === set && this.#open.verb === verb;
    if (!fits || this.#writer.length - (this.#open?.list ?? 0) > FULL) this.#turnTo(verb, table, set);
    layout.write(this.#writer, element, verb === 'add');
    this.#elements++;
  }

  finish(): ElementBatch {
    this.#close();
    // Not of every message: the answers to a large batch would not fit into the socket's buffer.
    this.#writer.addFlags(this.#last, NLM_F_ACK);
    const last = this.#sequence;
    this.#frame(NFNL_MSG_BATCH_END);
    return { bytes: this.#writer.bytes(), elements: this.#elements, subjects: this.#subjects, last };
  }

  /** The messages that begin and end a batch say which subsystem it is for. */
  #frame(type: number): void {
    const sequence = type === NFNL_MSG_BATCH_BEGIN ? 0 : this.#sequence + 1;
    this.#last = this.#writer.beginMessage(type, NLM_F_REQUEST, sequence, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    this.#writer.endMessage(this.#last);
  }

  #layoutOf(set: NftSet): ElementLayout | undefined {
    if (!this.#layouts.has(set)) this.#layouts.set(set, elementLayout(set));
    return this.#layouts.get(set);
  }

  #turnTo(verb: ElementVerb, table: TableName, set: NftSet): void {
    this.#close();
    this.#sequence++;
    this.#subjects.set(this.#sequence, `${verb} element ${table.family} ${table.name} ${set.name}`);
    const writer = this.#writer;
    const [type, flags] =
      verb === 'add'
        ? [NFT_MSG_NEWSETELEM, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL]
        : [NFT_MSG_DELSETELEM, NLM_F_REQUEST];
    const start = writer.beginMessage(type, flags, this.#sequence, FAMILIES[table.family], 0);
    writer.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    writer.text(NFTA_SET_ELEM_LIST_SET, set.name);
    this.#open = { set, verb, start, list: writer.beginNested(NFTA_SET_ELEM_LIST_ELEMENTS) };
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#writer.endAttribute(open.list);
    this.#writer.endMessage(open.start);
    this.#last = open.start;
    this.#open = undefined;
  }
}

interface OpenMessage {
  readonly set: NftSet;
  readonly verb: ElementVerb;
  readonly start: number;
  readonly list: number;
}
