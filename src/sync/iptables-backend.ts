import type { Exec } from '../exec/exec.ts';
import { differenceOfIptables, IptablesTable, type IptablesTransaction } from '../netfilter/netfilter.ts';
import { IptablesLedger, type NodeFacts, type ProxyConfig, type ServicePlan } from '../proxy/proxy.ts';
import { type Applied, appliedText, type Backend, type RuleCount, SyncFailure } from './backend.ts';
import { IptablesTool, restoreTexts, withoutRules } from './iptables-tool.ts';

const CANARY_TABLES = ['mangle', 'filter', 'nat'] as const;

/** Chains KUBE-…, by iptables-restore(8) and its IPv6 twin. Foreign chains and rules are never written. */
export class IptablesBackend implements Backend {
  readonly #exec: Exec;
  readonly #tool: IptablesTool;
  readonly #ledgers: readonly IptablesLedger[];
  readonly #localhost: boolean;
  /** How many rules the last transaction wrote, by family and table. */
  readonly #written = new Map<string, number>();

  constructor(exec: Exec, node: NodeFacts, config: ProxyConfig) {
    this.#exec = exec;
    this.#tool = new IptablesTool(exec);
    this.#localhost = config.localhostNodePorts;
    const families = new Set(node.ips.map((ip) => ip.family));
    this.#ledgers = Array.from(families, (family) => new IptablesLedger(family, node, config));
  }

  replace(service: string, plan: ServicePlan | undefined): void {
    for (const ledger of this.#ledgers) ledger.replace(service, plan);
  }

  conflicts(service: string): readonly string[] {
    return this.#ledgers.flatMap((ledger) => ledger.conflicts(service));
  }

  async apply(): Promise<Applied> {
    const done: string[] = [];
    for (const ledger of this.#ledgers) done.push(await this.#commit(ledger, ledger.transactions()));
    return appliedText(done.join(''));
  }

  /** Compares with what the kernel has, and writes what differs. */
  async restore(): Promise<Applied> {
    // Node ports answer on 127.0.0.1 only if the kernel routes such packets out of an interface.
    if (this.#localhost) {
      await this.#exec.run({ file: 'sysctl', args: ['-qw', 'net.ipv4.conf.all.route_localnet=1'] });
    }
    const done: string[] = [];
    for (const ledger of this.#ledgers) {
      const standing = await this.#tool.standing(ledger.family);
      const transactions = Array.from(ledger.ruleset().tables.values(), (table) =>
        differenceOfIptables(standing.get(table.name) ?? IptablesTable(table.name, []), table),
      );
      done.push(await this.#commit(ledger, transactions));
    }
    return appliedText(done.join(''));
  }

  ruleCounts(): readonly RuleCount[] {
    return this.#ledgers.flatMap((ledger) =>
      Array.from(ledger.ruleCounts(), ([table, total]) => ({
        family: ledger.family,
        table,
        total,
        written: this.#written.get(`${ledger.family} ${table}`) ?? 0,
      })),
    );
  }

  async intact(): Promise<boolean> {
    for (const { family } of this.#ledgers) {
      for (const table of CANARY_TABLES) {
        if (!(await this.#tool.hasChain(family, table, 'KUBE-PROXY-CANARY'))) return false;
      }
    }
    return true;
  }

  async cleanup(): Promise<void> {
    for (const family of [4, 6] as const) {
      const standing = await this.#tool.standing(family);
      const transactions = Array.from(standing.values(), (table) =>
        differenceOfIptables(table, withoutRules(table)),
      );
      await this.#tool.restore(family, restoreTexts(transactions));
    }
  }

  async #commit(ledger: IptablesLedger, transactions: readonly IptablesTransaction[]): Promise<string> {
    const texts = restoreTexts(transactions);
    try {
      await this.#tool.restore(ledger.family, texts);
    } catch (error) {
      throw new SyncFailure(texts.join(''), error);
    }
    ledger.settle();
    for (const { table, changes } of transactions) {
      const written = changes.filter(({ kind }) => kind === 'AppendRule' || kind === 'InsertRule').length;
      this.#written.set(`${ledger.family} ${table}`, written);
    }
    return texts.join('');
  }
}
