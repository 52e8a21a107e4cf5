import type { Exec } from '../exec/exec.ts';
import type { Family } from '../ip/ip.ts';
import {
  differenceOfIptables,
  IptablesChain,
  IptablesTable,
  type IptablesTransaction,
  parseIptablesSave,
  printIptablesTransaction,
} from '../netfilter/netfilter.ts';
import {
  IptablesLedger,
  isProxyChain,
  type NodeFacts,
  type ProxyConfig,
  type ServicePlan,
} from '../proxy/proxy.ts';
import { type Applied, type Backend, SyncFailure } from './backend.ts';

const TOOLS = {
  4: { restore: 'iptables-restore', save: 'iptables-save', one: 'iptables' },
  6: { restore: 'ip6tables-restore', save: 'ip6tables-save', one: 'ip6tables' },
} as const;

const CANARY_TABLES = ['mangle', 'filter', 'nat'] as const;

/** Chains KUBE-…, by iptables-restore(8) and its IPv6 twin. Foreign chains and rules are never written. */
export class IptablesBackend implements Backend {
  readonly #exec: Exec;
  readonly #ledgers: readonly IptablesLedger[];
  readonly #localhost: boolean;

  constructor(exec: Exec, node: NodeFacts, config: ProxyConfig) {
    this.#exec = exec;
    this.#localhost = config.localhostNodePorts;
    const families = new Set(node.ips.map((ip) => ip.family));
    this.#ledgers = Array.from(families, (family) => new IptablesLedger(family, node, config));
  }

  replace(service: string, plan: ServicePlan | undefined): void {
    for (const ledger of this.#ledgers) ledger.replace(service, plan);
  }

  /** iptables takes two rules for one address, and the first one counts. */
  conflicts(): readonly string[] {
    return [];
  }

  async apply(): Promise<Applied> {
    const done: string[] = [];
    for (const ledger of this.#ledgers) done.push(await this.#commit(ledger, ledger.transactions()));
    return { transaction: done.join('') };
  }

  /** Compares with what the kernel has, and writes what differs. */
  async restore(): Promise<Applied> {
    // Node ports answer on 127.0.0.1 only if the kernel routes such packets out of an interface.
    if (this.#localhost) {
      await this.#exec.run({ file: 'sysctl', args: ['-qw', 'net.ipv4.conf.all.route_localnet=1'] });
    }
    const done: string[] = [];
    for (const ledger of this.#ledgers) {
      const standing = await this.#standing(ledger.family);
      const wanted = [...ledger.ruleset().tables.values()];
      const transactions = wanted.map((table) => {
        const before = standing
          .get(table.name)
          ?.filter(({ name }) => isProxyChain(name) || table.chains.has(name));
        return differenceOfIptables(IptablesTable(table.name, before ?? []), table);
      });
      done.push(await this.#commit(ledger, transactions));
    }
    return { transaction: done.join('') };
  }

  async intact(): Promise<boolean> {
    for (const { family } of this.#ledgers) {
      for (const table of CANARY_TABLES) {
        const args = ['-w', '5', '-t', table, '-S', 'KUBE-PROXY-CANARY'];
        const { code } = await this.#exec.run({ file: TOOLS[family].one, args, accept: [0, 1] });
        if (code !== 0) return false;
      }
    }
    return true;
  }

  async cleanup(): Promise<void> {
    for (const family of [4, 6] as const) {
      const standing = await this.#standing(family);
      const transactions = Array.from(standing, ([table, chains]) => {
        const foreign = chains.filter(({ policy }) => policy !== undefined);
        const emptied = foreign.map((chain) => ({ ...chain, rules: [] }));
        const ours = chains.filter(({ name }) => isProxyChain(name));
        return differenceOfIptables(
          IptablesTable(table, [...foreign, ...ours]),
          IptablesTable(table, emptied),
        );
      });
      await this.#restore(family, transactions.map(printIptablesTransaction).join(''));
    }
  }

  /** The kernel's chains, of those that belong to everybody only our jumps. */
  async #standing(family: Family) {
    const { stdout } = await this.#exec.run({ file: TOOLS[family].save, args: [], timeoutMs: 120_000 });
    const { tables } = parseIptablesSave(stdout, family);
    return new Map(
      Array.from(tables.values(), ({ name, chains }) => [
        name,
        Array.from(chains.values(), (chain) => {
          if (chain.policy === undefined) return chain;
          const jumps = chain.rules.filter(
            ({ target }) => target?.kind === 'JumpTo' && isProxyChain(target.chain),
          );
          return IptablesChain(chain.name, jumps, chain.policy);
        }),
      ]),
    );
  }

  async #commit(ledger: IptablesLedger, transactions: readonly IptablesTransaction[]): Promise<string> {
    const text = transactions.map(printIptablesTransaction).join('');
    try {
      await this.#restore(ledger.family, text);
    } catch (error) {
      throw new SyncFailure(text, error);
    }
    ledger.settle();
    return text;
  }

  async #restore(family: Family, text: string): Promise<void> {
    if (text === '') return;
    const args = ['--noflush', '-w', '5'];
    await this.#exec.run({ file: TOOLS[family].restore, args, stdin: text, timeoutMs: 300_000 });
  }
}
