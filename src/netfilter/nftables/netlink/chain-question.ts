import { Fault } from '../../../fault/fault.ts';
import type { TableName } from '../print.ts';
import { FAMILIES, MessageWriter, NFNL_SUBSYS_NFTABLES } from './message-writer.ts';
import { answersIn, nameOfErrno } from './refusal.ts';

/** include/uapi/linux/netfilter/nf_tables.h. */
const NFT_MSG_NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NFT_MSG_GETCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NLM_F_REQUEST = 0x1;
const ENOENT = 2;

/** Asks the kernel for one chain; nft would read every element of the table first. */
export function chainQuestion(table: TableName, chain: string): Uint8Array {
  const writer = new MessageWriter(256);
  const start = writer.beginMessage(NFT_MSG_GETCHAIN, NLM_F_REQUEST, 1, FAMILIES[table.family], 0);
  writer.text(NFTA_CHAIN_TABLE, table.name);
  writer.text(NFTA_CHAIN_NAME, chain);
  writer.endMessage(start);
  return writer.bytes();
}

/** Whether the kernel's answer is the chain. Throws {@link Fault} FE006 if it is neither the chain nor that there is none. */
export function isChainThere(replies: Uint8Array): boolean {
  for (const { type, errno } of answersIn(replies)) {
    if (type === NFT_MSG_NEWCHAIN) return true;
    if (errno === ENOENT) return false;
    if (errno !== undefined) throw unanswered(nameOfErrno(errno));
  }
  throw unanswered('nothing');
}

const unanswered = (said: string): Fault =>
  new Fault('FE006', `netlink: asked for a chain, the kernel said ${said}`, 'see nft list chains');
