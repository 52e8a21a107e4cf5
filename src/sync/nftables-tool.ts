import { setImmediate as turn } from 'node:timers/promises';
import type { Exec } from '../exec/exec.ts';
import {
  chainQuestion,
  type ElementBatch,
  ElementBatchBuilder,
  elementBatch,
  isChainThere,
  type NftElement,
  type NftTable,
  type NftTransaction,
  parseNftRuleset,
  phasesOf,
  printNftTransaction,
  refusalOf,
  type TableName,
} from '../netfilter/netfilter.ts';
import type { NetlinkRelay } from './netlink-relay.ts';

/**
 * How large a batch is when a table is filled, in bytes. It fits into the relay's pipe, so that the kernel works on one
 * while the next is being made.
 */
const FILLING = 1 << 17;

/** The kernel's nf_tables: frames of chains and sets by nft(8), elements by netlink where there is a relay. */
export class NftablesTool {
  readonly #exec: Exec;
  readonly #relay: NetlinkRelay | undefined;

  constructor(exec: Exec, relay: NetlinkRelay | undefined) {
    this.#exec = exec;
    this.#relay = relay;
  }

  /** Undefined if the kernel has no such table. */
  async listed(family: string, table: string): Promise<NftTable | undefined> {
    const args = ['-j', 'list', 'table', family, table];
    const { code, stdout } = await this.#exec.run({ file: 'nft', args, accept: [0, 1], timeoutMs: 300_000 });
    return code === 0 ? parseNftRuleset(stdout).tables[0] : undefined;
  }

  async hasChain(table: TableName, chain: string): Promise<boolean> {
    if (this.#relay !== undefined && (await this.hasNetlink())) {
      return isChainThere(await this.#relay.send(chainQuestion(table, chain)));
    }
    const args = ['list', 'chain', table.family, table.name, chain];
    return (await this.#exec.run({ file: 'nft', args, accept: [0, 1] })).code === 0;
  }

  /** Whether elements can go by netlink. */
  async hasNetlink(): Promise<boolean> {
    return this.#relay !== undefined && (await this.#relay.ready());
  }

  /** One transaction for the kernel, whatever it holds. */
  async commitWhole(transactions: readonly NftTransaction[]): Promise<void> {
    const batch = (await this.hasNetlink()) ? elementBatch(transactions) : undefined;
    if (batch !== undefined) await this.send(batch);
    else await this.nft(transactions.map(printNftTransaction).join(''));
  }

  /** As packets see it one transaction; chains and sets that nothing leads to come before it and go after it. */
  async commit(transactions: readonly NftTransaction[]): Promise<void> {
    const phases = transactions.map(phasesOf).filter((one) => one !== undefined);
    const whole = phases.length < transactions.length || !(await this.hasNetlink());
    const batch = whole ? undefined : elementBatch(phases.map((one) => one.elements));
    if (batch === undefined) return await this.nft(transactions.map(printNftTransaction).join(''));
    await this.nft(phases.map((one) => printNftTransaction(one.prepare)).join(''));
    await this.send(batch);
    await this.nft(phases.map((one) => printNftTransaction(one.tidy)).join(''));
  }

  /** Nothing happens for an empty text. */
  async nft(text: string): Promise<void> {
    if (text === '') return;
    await this.#exec.run({ file: 'nft', args: ['-f', '-'], stdin: text, timeoutMs: 300_000 });
  }

  /** Throws if the kernel refuses the batch, or if nobody can tell. */
  async send(batch: ElementBatch): Promise<void> {
    if (batch.elements === 0) return;
    if (this.#relay === undefined) throw new Error('there is no netlink relay');
    const refusal = refusalOf(batch, await this.#relay.send(batch.bytes));
    if (refusal !== undefined) throw new Error(`netlink: ${refusal}`);
  }

  /** Adds elements to a table in as many transactions as it takes: one that no packet meets yet. */
  async fill(table: NftTable, groups: Iterable<SomeElements>): Promise<void> {
    const builders = new Map<string, ElementBatchBuilder>();
    let sending: Promise<unknown> = Promise.resolve();
    for (const { set: name, elements } of groups) {
      const set = table.sets.get(name);
      if (set === undefined) throw new Error(`the table has no set '${name}'`);
      const builder = builders.get(name) ?? new ElementBatchBuilder(FILLING * 2);
      builders.set(name, builder);
      for (const one of elements) builder.put('add', table, set, one);
      if (builder.length < FILLING) continue;
      builders.delete(name);
      await sending;
      sending = this.send(builder.finish());
      // Its bytes leave by the event loop.
      await Promise.race([sending, turn()]);
    }
    await sending;
    for (const builder of builders.values()) await this.send(builder.finish());
  }
}

interface SomeElements {
  readonly set: string;
  readonly elements: readonly NftElement[];
}
