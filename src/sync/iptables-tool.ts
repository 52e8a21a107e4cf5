import type { Exec } from '../exec/exec.ts';
import type { Family } from '../ip/ip.ts';
import {
  IptablesChain,
  IptablesTable,
  type IptablesTableName,
  parseIptablesSave,
} from '../netfilter/netfilter.ts';
import { isProxyChain } from '../proxy/proxy.ts';

const TOOLS = {
  4: { restore: 'iptables-restore', save: 'iptables-save', one: 'iptables' },
  6: { restore: 'ip6tables-restore', save: 'ip6tables-save', one: 'ip6tables' },
} as const;

/** What of the kernel's tables is the proxy's: its chains, and the kernel's chains with the jumps to them. */
export interface Standing {
  readonly tables: ReadonlyMap<IptablesTableName, IptablesTable>;
  /** There are chains or rules of somebody else. */
  readonly foreign: boolean;
  /** How many chains are ours. */
  readonly ours: number;
}

/** iptables(8) and its twins, as far as the proxy needs them. */
export class IptablesTool {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  /** What of the kernel's tables is ours: our chains, and the kernel's chains with our jumps in them. */
  async standing(family: Family): Promise<Standing> {
    const { stdout } = await this.#exec.run({ file: TOOLS[family].save, args: [], timeoutMs: 120_000 });
    const tables = new Map<IptablesTableName, IptablesTable>();
    let [foreign, ours] = [false, 0];
    for (const { name, chains } of parseIptablesSave(stdout, family).tables.values()) {
      const own = new Set([...chains.values()].filter(isProxyChain).map((chain) => chain.name));
      const mine: IptablesChain[] = [];
      for (const chain of chains.values()) {
        if (own.has(chain.name)) mine.push(chain);
        else if (chain.policy === undefined) foreign = true;
        else {
          const jumps = chain.rules.filter(
            ({ target }) => target?.kind === 'JumpTo' && own.has(target.chain),
          );
          foreign ||= jumps.length < chain.rules.length || chain.policy !== 'ACCEPT';
          mine.push(IptablesChain(chain.name, jumps, chain.policy));
        }
      }
      ours += own.size;
      tables.set(name, IptablesTable(name, mine));
    }
    return { tables, foreign, ours };
  }

  /** Does nothing with an empty text. */
  async restore(family: Family, text: string, options: readonly string[] = ['--noflush']): Promise<void> {
    if (text === '') return;
    const args = [...options, '-w', '5'];
    await this.#exec.run({ file: TOOLS[family].restore, args, stdin: text, timeoutMs: 300_000 });
  }

  async hasChain(family: Family, table: IptablesTableName, chain: string): Promise<boolean> {
    const args = ['-w', '5', '-t', table, '-S', chain];
    return (await this.#exec.run({ file: TOOLS[family].one, args, accept: [0, 1] })).code === 0;
  }
}

/** The table without the chains and jumps of {@link Standing}: what taking them away leads to. */
export const withoutRules = ({ name, chains }: IptablesTable): IptablesTable =>
  IptablesTable(
    name,
    [...chains.values()]
      .filter(({ policy }) => policy !== undefined)
      .map((chain) => ({ ...chain, rules: [] })),
  );
