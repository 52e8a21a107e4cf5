import type { Family } from '../ip/ip.ts';
import type { ServicePlan } from '../proxy/proxy.ts';

/** One mode's hold on the kernel: it keeps the rules of all Services and puts changes of them in place. */
export interface Backend {
  /** Takes a Service's plan in place of the one before; undefined removes it. Nothing reaches the kernel yet. */
  replace(service: string, plan: ServicePlan | undefined): void;
  /** Why parts of a Service have no rules although their plan is sound, e.g. an address another Service has. */
  conflicts(service: string): readonly string[];
  /** Puts what has changed since the last apply into the kernel, in one step. Throws {@link SyncFailure}. */
  apply(): Promise<Applied>;
  /** Makes the kernel's rules as they should be, whatever they are; connections live on. Throws {@link SyncFailure}. */
  restore(): Promise<Applied>;
  /** How many rules of iptables are ours, and how many of them the last apply or restore wrote. */
  ruleCounts?(): readonly RuleCount[];
  /** Whether our rules still stand: a foreign flush takes them without a word. */
  intact(): Promise<boolean>;
  /** Takes all our rules, and nothing else, out of the kernel. */
  cleanup(): Promise<void>;
}

export interface RuleCount {
  readonly family: Family;
  readonly table: string;
  readonly total: number;
  readonly written: number;
}

export interface Applied {
  readonly changed: boolean;
  /** Why everything had to be replaced, where what differs would have been enough. */
  readonly replacedBecause?: unknown;
  /** What the kernel was given, in the words of its tool; empty if nothing had changed. */
  readonly transaction: string;
}

/** What was given to the tool as text. */
export const appliedText = (transaction: string): Applied => ({ changed: transaction !== '', transaction });

/** The kernel refused a transaction; none of it is in force. */
export class SyncFailure extends Error {
  override readonly name = 'SyncFailure';
  readonly transaction: string;

  constructor(transaction: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.transaction = transaction;
  }
}
