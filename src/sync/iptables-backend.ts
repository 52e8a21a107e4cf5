import type { Exec } from '../exec/exec.ts';
import {
  differenceOfIptables,
  IptablesTable,
  type IptablesTransaction,
  printIptablesRuleset,
  printIptablesTable,
  printIptablesTransaction,
} from '../netfilter/netfilter.ts';
import { IptablesLedger, type NodeFacts, type ProxyConfig, type ServicePlan } from '../proxy/proxy.ts';
import { type Applied, appliedText, type Backend, SyncFailure } from './backend.ts';
import { IptablesTool, withoutRules } from './iptables-tool.ts';

const CANARY_TABLES = ['mangle', 'filter', 'nat'] as const;

/**
 * From here on a table that holds nothing foreign is written or cleared as a whole, without `--noflush`: with it,
 * iptables-nft-restore 1.8.9 takes a time that grows with the square of the chains made, minutes for 10,000 Services.
 */
const MANY_CHAINS = 3000;

/** Chains KUBE-…, by iptables-restore(8) and its IPv6 twin. Foreign chains and rules are never written. */
export class IptablesBackend implements Backend {
  readonly #exec: Exec;
  readonly #tool: IptablesTool;
  readonly #ledgers: readonly IptablesLedger[];
  readonly #localhost: boolean;

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
      const wanted = [...ledger.ruleset().tables.values()];
      const fresh = !standing.foreign && standing.ours === 0;
      if (fresh && wanted.some(({ chains }) => chains.size > MANY_CHAINS)) {
        done.push(await this.#firstLoad(ledger));
        continue;
      }
      const transactions = wanted.map((table) => {
        const before = standing.tables.get(table.name) ?? IptablesTable(table.name, []);
        return differenceOfIptables(before, table);
      });
      done.push(await this.#commit(ledger, transactions));
    }
    return appliedText(done.join(''));
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
      const emptied = Array.from(standing.tables.values(), withoutRules);
      if (!standing.foreign && standing.ours > MANY_CHAINS) {
        await this.#tool.restore(family, emptied.map(printIptablesTable).join(''), []);
        continue;
      }
      const transactions = emptied.map((table) =>
        differenceOfIptables(standing.tables.get(table.name) ?? table, table),
      );
      await this.#tool.restore(family, transactions.map(printIptablesTransaction).join(''));
    }
  }

  /** Fills tables that hold nothing yet. */
  async #firstLoad(ledger: IptablesLedger): Promise<string> {
    const text = printIptablesRuleset(ledger.ruleset());
    try {
      await this.#tool.restore(ledger.family, text, []);
    } catch (error) {
      throw new SyncFailure(text, error);
    }
    ledger.settle();
    return text;
  }

  async #commit(ledger: IptablesLedger, transactions: readonly IptablesTransaction[]): Promise<string> {
    const text = transactions.map(printIptablesTransaction).join('');
    try {
      await this.#tool.restore(ledger.family, text);
    } catch (error) {
      throw new SyncFailure(text, error);
    }
    ledger.settle();
    return text;
  }
}
