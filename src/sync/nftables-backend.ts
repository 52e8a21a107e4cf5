import type { Exec } from '../exec/exec.ts';
import {
  differenceOfTables,
  type NftTransaction,
  parseNftRuleset,
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

const FAMILIES = { 4: 'ip', 6: 'ip6' } as const;

/** The tables `ip fairlead` and `ip6 fairlead`, by nft(8). */
export class NftablesBackend implements Backend {
  readonly #exec: Exec;
  readonly #ledgers: ReadonlyMap<'ip' | 'ip6', NftablesLedger>;

  constructor(exec: Exec, node: NodeFacts, config: ProxyConfig) {
    this.#exec = exec;
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

  apply(): Promise<Applied> {
    return this.#commit(Array.from(this.#ledgers.values(), (ledger) => ledger.transaction()));
  }

  /**
   * Starts from what the kernel has, so that session affinity and the rules of a daemon that was killed are taken over with
   * few changes. A table that cannot be read, or that the difference does not fit, is replaced in one step.
   */
  async restore(): Promise<Applied> {
    try {
      return await this.#commit(await this.#adoption());
    } catch (error) {
      const whole = Array.from(this.#ledgers.values(), (ledger) => replacementOf(ledger.table()));
      return await this.#commit(whole, error);
    }
  }

  async intact(): Promise<boolean> {
    for (const family of this.#ledgers.keys()) {
      const args = ['list', 'chain', family, TABLE_NAME, 'nat-prerouting'];
      const { code } = await this.#exec.run({ file: 'nft', args, accept: [0, 1] });
      if (code !== 0) return false;
    }
    return true;
  }

  async cleanup(): Promise<void> {
    const lines = Object.values(FAMILIES).flatMap((family) => [
      `add table ${family} ${TABLE_NAME}`,
      `delete table ${family} ${TABLE_NAME}`,
    ]);
    await this.#exec.run({ file: 'nft', args: ['-f', '-'], stdin: `${lines.join('\n')}\n` });
  }

  async #adoption(): Promise<NftTransaction[]> {
    const transactions: NftTransaction[] = [];
    for (const [family, ledger] of this.#ledgers) {
      const args = ['-j', 'list', 'table', family, TABLE_NAME];
      const { code, stdout } = await this.#exec.run({ file: 'nft', args, accept: [0, 1] });
      const [standing] = code === 0 ? parseNftRuleset(stdout).tables : [];
      const table = ledger.table();
      transactions.push(standing === undefined ? replacementOf(table) : differenceOfTables(standing, table));
    }
    return transactions;
  }

  async #commit(transactions: readonly NftTransaction[], after?: unknown): Promise<Applied> {
    const transaction = transactions.map(printNftTransaction).join('');
    if (transaction !== '') {
      try {
        await this.#exec.run({ file: 'nft', args: ['-f', '-'], stdin: transaction, timeoutMs: 300_000 });
      } catch (error) {
        const cause = after === undefined ? error : new AggregateError([after, error], String(error));
        throw new SyncFailure(transaction, cause);
      }
    }
    for (const ledger of this.#ledgers.values()) ledger.settle();
    return { transaction };
  }
}
