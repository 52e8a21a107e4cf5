import type { Exec } from '../exec/exec.ts';
import {
  differenceOfTables,
  loadingOf,
  type NftTransaction,
  printNftTransaction,
  replacementOf,
} from '../netfilter/netfilter.ts';
import {
  NftablesLedger,
  type NodeFacts,
  type ProxyConfig,
  type ServicePlan,
  TABLE_NAME,
} from '../proxy/proxy.ts';
import { type Applied, type Backend, SyncFailure } from './backend.ts';
import type { NetlinkRelay } from './netlink-relay.ts';
import { NftablesTool } from './nftables-tool.ts';

const FAMILIES = { 4: 'ip', 6: 'ip6' } as const;

/** The tables `ip fairlead` and `ip6 fairlead`, by nft(8) and, where a relay is given, by netlink. */
export class NftablesBackend implements Backend {
  readonly #tool: NftablesTool;
  readonly #ledgers: ReadonlyMap<'ip' | 'ip6', NftablesLedger>;

  constructor(exec: Exec, node: NodeFacts, config: ProxyConfig, relay?: NetlinkRelay) {
    this.#tool = new NftablesTool(exec, relay);
    const families = new Set(node.ips.map((ip) => ip.family));
    this.#ledgers = new Map(
      Array.from(families, (family) => [FAMILIES[family], new NftablesLedger(family, node, config)]),
    );
  }

  replace(service: string, plan: ServicePlan | undefined): void {
    for (const ledger of this.#ledgers.values()) ledger.replace(service, plan);
  }

  conflicts(service: string): readonly string[] {
    return Array.from(this.#ledgers.values(), (ledger) => ledger.conflicts(service))
      .flat()
      .map((problem) => problem.message);
  }

  async apply(): Promise<Applied> {
    const transactions = Array.from(this.#ledgers.values(), (ledger) => ledger.transaction());
    await told(transactions, () => this.#tool.commit(transactions));
    this.#settle();
    return appliedTransactions(transactions);
  }

  /**
   * Starts from what the kernel has, so that session affinity and the rules of a daemon that was killed are taken over with
   * few changes. A table that cannot be read, or that the difference does not fit, is replaced in one step.
   */
  async restore(): Promise<Applied> {
    const done: Applied[] = [];
    try {
      for (const [family, ledger] of this.#ledgers) done.push(await this.#adopt(family, ledger));
    } catch (error) {
      return await this.#replaceAll(error);
    }
    this.#settle();
    const changed = done.some((one) => one.changed);
    return new LazyApplied(changed, () => done.map((one) => one.transaction).join(''));
  }

  async intact(): Promise<boolean> {
    for (const family of this.#ledgers.keys()) {
      if (!(await this.#tool.hasChain({ family, name: TABLE_NAME }, 'nat-prerouting'))) return false;
    }
    return true;
  }

  async cleanup(): Promise<void> {
    const lines = Object.values(FAMILIES).flatMap((family) => [
      `add table ${family} ${TABLE_NAME}`,
      `delete table ${family} ${TABLE_NAME}`,
    ]);
    await this.#tool.nft(`${lines.join('\n')}\n`);
  }

  /** Makes the kernel's table the ledger's; the transactions that did. */
  async #adopt(family: 'ip' | 'ip6', ledger: NftablesLedger): Promise<Applied> {
    const standing = await this.#tool.listed(family, TABLE_NAME);
    if (standing === undefined && (await this.#tool.hasNetlink())) return await this.#load(ledger);
    if (standing !== undefined) ledger.adopt(standing);
    const table = ledger.table();
    const transaction = standing === undefined ? replacementOf(table) : differenceOfTables(standing, table);
    await this.#tool.commitWhole([transaction]);
    return appliedTransactions([transaction]);
  }

  /** Makes a table that is not there; packets meet it when its hooks are, which is the last step. */
  async #load(ledger: NftablesLedger): Promise<Applied> {
    const table = ledger.frame();
    const { frame, hooks } = loadingOf(table);
    await this.#tool.nft(printNftTransaction(frame));
    await this.#tool.fill(table, ledger.elements());
    await this.#tool.nft(printNftTransaction(hooks));
    return new LazyApplied(true, () => printNftTransaction(replacementOf(ledger.table())));
  }

  async #replaceAll(why: unknown): Promise<Applied> {
    const whole = Array.from(this.#ledgers.values(), (ledger) => replacementOf(ledger.table()));
    await told(whole, () => this.#tool.commitWhole(whole), why);
    this.#settle();
    return appliedTransactions(whole, why);
  }

  #settle(): void {
    for (const ledger of this.#ledgers.values()) ledger.settle();
  }
}

/** @param why what an attempt before failed by */
async function told(
  transactions: readonly NftTransaction[],
  commit: () => Promise<void>,
  why?: unknown,
): Promise<void> {
  try {
    await commit();
  } catch (error) {
    const cause = why === undefined ? error : new AggregateError([why, error], String(error));
    throw new SyncFailure(transactions.map(printNftTransaction).join(''), cause);
  }
}

const appliedTransactions = (transactions: readonly NftTransaction[], replacedBecause?: unknown): Applied =>
  new LazyApplied(
    transactions.some(({ changes }) => changes.length > 0),
    () => transactions.map(printNftTransaction).join(''),
    replacedBecause,
  );

/** Text only if somebody asks: that of a large transaction takes its time to print. */
class LazyApplied implements Applied {
  readonly changed: boolean;
  readonly replacedBecause: unknown;
  readonly #print: () => string;

  constructor(changed: boolean, print: () => string, replacedBecause?: unknown) {
    this.changed = changed;
    this.replacedBecause = replacedBecause;
    this.#print = print;
  }

  get transaction(): string {
    return this.#print();
  }
}
