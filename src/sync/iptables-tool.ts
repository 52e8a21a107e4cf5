import type { Exec } from '../exec/exec.ts';
import type { Family } from '../ip/ip.ts';
import {
  IptablesChain,
  type IptablesChange,
  IptablesTable,
  type IptablesTableName,
  IptablesTransaction,
  parseIptablesSave,
  printIptablesTransaction,
} from '../netfilter/netfilter.ts';
import { isProxyChain } from '../proxy/proxy.ts';

const TOOLS = {
  4: { restore: 'iptables-restore', save: 'iptables-save', one: 'iptables' },
  6: { restore: 'ip6tables-restore', save: 'ip6tables-save', one: 'ip6tables' },
} as const;

/** iptables(8) and its twins, as far as the proxy needs them. */
export class IptablesTool {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  /** What of the kernel's tables is ours: our chains, and the kernel's chains with our jumps in them. */
  async standing(family: Family): Promise<ReadonlyMap<IptablesTableName, IptablesTable>> {
    const { stdout } = await this.#exec.run({ file: TOOLS[family].save, args: [], timeoutMs: 120_000 });
    const tables = new Map<IptablesTableName, IptablesTable>();
    for (const { name, chains } of parseIptablesSave(stdout, family).tables.values()) {
      const own = new Set([...chains.values()].filter(isProxyChain).map((chain) => chain.name));
      const mine: IptablesChain[] = [];
      for (const chain of chains.values()) {
        if (own.has(chain.name)) mine.push(chain);
        else if (chain.policy !== undefined) {
          const jumps = chain.rules.filter(
            ({ target }) => target?.kind === 'JumpTo' && own.has(target.chain),
          );
          mine.push(IptablesChain(chain.name, jumps, chain.policy));
        }
      }
      tables.set(name, IptablesTable(name, mine));
    }
    return tables;
  }

  /** Puts texts in place, one after the other; does nothing with an empty one. */
  async restore(family: Family, texts: readonly string[]): Promise<void> {
    const args = ['--noflush', '-w', '5'];
    for (const stdin of texts) {
      if (stdin === '') continue;
      await this.#exec.run({ file: TOOLS[family].restore, args, stdin, timeoutMs: 300_000 });
    }
  }

  async hasChain(family: Family, table: IptablesTableName, chain: string): Promise<boolean> {
    const args = ['-w', '5', '-t', table, '-S', chain];
    return (await this.#exec.run({ file: TOOLS[family].one, args, accept: [0, 1] })).code === 0;
  }
}

/** From here on the list that {@link restoreTexts} avoids costs more than the listing that avoids it. */
const MANY_CHAINS = 500;

/**
 * What iptables-restore is given for the transactions: one text, so that all is in force at once, unless it is about very many
 * chains. iptables-nft-restore 1.8.9 keeps the names of the chains it is told of in a sorted list, which it searches from
 * the start at every line (nft_cache_level_set in iptables/nft-cache.c): minutes for 10,000 Services. A command that is
 * about the whole table, and `-S` is the one that changes nothing, lets it do without the list. It then takes the kernel's
 * own chains as they are, though, so what makes those goes first.
 */
export function restoreTexts(transactions: readonly IptablesTransaction[]): readonly string[] {
  const isLarge = ({ changes }: IptablesTransaction) =>
    changes.length > MANY_CHAINS &&
    changes.filter(({ kind }) => kind === 'DeclareChain').length > MANY_CHAINS;
  if (!transactions.some(isLarge)) return [transactions.map(printIptablesTransaction).join('')];
  const rest = transactions.map(withoutHooks);
  return [
    transactions.map((one) => printIptablesTransaction(hooksOf(one))).join(''),
    rest.map((one) => (isLarge(one) ? listing : same)(printIptablesTransaction(one))).join(''),
  ];
}

const same = (text: string): string => text;
const listing = (text: string): string => text.replace('\n', '\n-S\n');

const HOOKS: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);
const isAboutHook = ({ chain }: IptablesChange): boolean => HOOKS.has(chain);

/** The changes of the kernel's own chains, and the making of chains they lead to. */
function hooksOf({ table, changes }: IptablesTransaction): IptablesTransaction {
  const own = changes.filter(isAboutHook);
  const targets = new Set(
    own.flatMap((one) =>
      one.kind === 'InsertRule' && one.rule.target?.kind === 'JumpTo' ? [one.rule.target.chain] : [],
    ),
  );
  const made = changes.filter(({ kind, chain }) => kind === 'DeclareChain' && targets.has(chain));
  return IptablesTransaction(table, [...made, ...own]);
}

const withoutHooks = ({ table, changes }: IptablesTransaction): IptablesTransaction =>
  IptablesTransaction(
    table,
    changes.filter((one) => !isAboutHook(one)),
  );

/** The table without the chains and jumps that are ours: what taking them away leads to. */
export const withoutRules = ({ name, chains }: IptablesTable): IptablesTable =>
  IptablesTable(
    name,
    [...chains.values()]
      .filter(({ policy }) => policy !== undefined)
      .map((chain) => ({ ...chain, rules: [] })),
  );
