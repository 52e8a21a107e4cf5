/**
 * Transactions of set elements as nfnetlink messages, for a kernel that has the table already.
 *
 * nft(8) reads every element of a set back before it deletes one, so its time grows with the set; the kernel's own does
 * not. What changes with Services is elements alone, so these go to the kernel as they are: BATCH_BEGIN, any number of
 * NFT_MSG_DELSETELEM and NFT_MSG_NEWSETELEM, BATCH_END, in one send, committed together or not at all.
 *
 * Promises: what the kernel holds after a batch is what it holds after the same transaction by `nft -f`. An element to add
 * that stands already, and one to delete that does not, refuse the whole batch: who sends it learns that the table is not as
 * believed. So no generation id goes along (NFNL_BATCH_GENID): it would also refuse when somebody else's table has changed.
 * So is the question whether a chain stands, which is asked every few seconds: see {@link chainQuestion}.
 * Refuses: chains, rules, sets and whatever is not modelled ({@link elementBatch} then gives undefined). These go by nft,
 * and transactions are shown to people in its words.
 *
 * The numbers are those of include/uapi/linux/netfilter/nf_tables.h; how fields lie side by side in a key is libnftnl's
 * and nft's convention, which the kernel does not know: each padded with zeros to four bytes, like its registers.
 *
 * @example
 * const batch = elementBatch([ledger.transaction()]);
 * if (batch !== undefined) refusalOf(batch, await relay.send(batch.bytes)); // undefined: it is in force
 */
import type { NftTransaction } from '../difference.ts';
import { type ElementBatch, ElementBatchBuilder } from './element-batch.ts';

export { chainQuestion, isChainThere } from './chain-question.ts';
export { type ElementBatch, ElementBatchBuilder } from './element-batch.ts';
export { nameOfErrno, refusalOf } from './refusal.ts';

/** The transactions as one, or undefined if they do more than add and delete elements that can be written. */
export function elementBatch(transactions: readonly NftTransaction[]): ElementBatch | undefined {
  const builder = new ElementBatchBuilder();
  for (const { table, changes } of transactions) {
    for (const change of changes) {
      if (change.kind !== 'AddElements' && change.kind !== 'DeleteElements') return undefined;
      if (!builder.knows(change.set)) return undefined;
      const verb = change.kind === 'AddElements' ? 'add' : 'delete';
      for (const element of change.elements) builder.put(verb, table, change.set, element);
    }
  }
  return builder.finish();
}
