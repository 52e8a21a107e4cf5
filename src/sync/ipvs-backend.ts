import type { Exec } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import type { Addr, Family } from '../ip/ip.ts';
import {
  differenceOfIpSets,
  differenceOfIptables,
  differenceOfIpvsTables,
  type IpSet,
  IptablesTable,
  type IpvsDifference,
  IpvsTable,
  printDeleteDestination,
  printDeleteServer,
  printIptablesTransaction,
  printQuiesce,
  type RetiredDestination,
  type VirtualServer,
  virtualServerKey,
} from '../netfilter/netfilter.ts';
import {
  IpvsLedger,
  type IpvsState,
  ipvsSetNames,
  type NodeFacts,
  type ProxyConfig,
  type ServicePlan,
} from '../proxy/proxy.ts';
import { type Applied, appliedText, type Backend, SyncFailure } from './backend.ts';
import { IptablesTool, restoreTexts, withoutRules } from './iptables-tool.ts';
import type { IpvsSettings } from './ipvs-settings.ts';
import { IpvsTool, keyOfRetired } from './ipvs-tool.ts';

/** What is in the kernel and what shall be, in one family; of a change only what it concerns. */
interface Step {
  readonly family: Family;
  readonly before: Omit<IpvsState, 'ruleset'>;
  readonly after: IpvsState;
  readonly tables: ReadonlyMap<string, IptablesTable>;
}

/**
 * Virtual servers, ipsets, the addresses of kube-ipvs0 and KUBE- chains. Four tools cannot act as one, so they act in an
 * order in which no packet meets a half: sets, rules, virtual servers and then addresses come up; addresses, virtual
 * servers and then sets go down. A TCP destination that is to go gets no new connections (weight 0) and is taken away when
 * it has none left; connections by UDP and SCTP are cut, as kube-proxy does.
 */
export class IpvsBackend implements Backend {
  readonly #ipvs: IpvsTool;
  readonly #iptables: IptablesTool;
  readonly #node: NodeFacts;
  readonly #config: ProxyConfig;
  readonly #settings: IpvsSettings;
  readonly #families: readonly Family[];
  readonly #plans = new Map<string, ServicePlan>();
  readonly #retiring = new Map<string, RetiredDestination>();
  #addresses: readonly Addr[];
  #ledgers: readonly IpvsLedger[];

  constructor(exec: Exec, node: NodeFacts, config: ProxyConfig, settings: IpvsSettings = {}) {
    this.#ipvs = new IpvsTool(exec);
    this.#iptables = new IptablesTool(exec);
    this.#node = node;
    this.#config = config;
    this.#settings = settings;
    this.#families = [...new Set(node.ips.map((ip) => ip.family))];
    this.#addresses = node.addresses ?? node.ips;
    this.#ledgers = this.#makeLedgers();
  }

  replace(service: string, plan: ServicePlan | undefined): void {
    if (plan === undefined) this.#plans.delete(service);
    else this.#plans.set(service, plan);
    for (const ledger of this.#ledgers) ledger.replace(service, plan);
  }

  conflicts(service: string): readonly string[] {
    return this.#ledgers.flatMap((ledger) => ledger.conflicts(service));
  }

  apply(): Promise<Applied> {
    return this.#program(
      this.#ledgers.map((ledger) => {
        const { before, after } = ledger.changes();
        return { family: ledger.family, before, after, tables: before.ruleset.tables };
      }),
    );
  }

  /** Node ports are virtual servers on each address of the node, so its addresses are read first. */
  async restore(): Promise<Applied> {
    await this.#ipvs.prepare(this.#settings);
    const { bound, others } = await this.#ipvs.addresses();
    if (!sameAddresses(others, this.#addresses)) {
      this.#addresses = others;
      this.#ledgers = this.#makeLedgers();
    }
    // What the kernel has with weight 0 is found there again.
    this.#retiring.clear();
    const [sets, table] = await Promise.all([this.#ipvs.sets(), this.#ipvs.servers()]);
    const steps = this.#ledgers.map(async (ledger): Promise<Step> => {
      const after = ledger.state();
      const mine = setsOf(sets, ledger.family);
      const isOurs = ownershipBy([...mine, ...after.ipsets]);
      return {
        family: ledger.family,
        before: {
          ipsets: mine,
          servers: table.servers.filter((one) => isOf(one.endpoint.addr, ledger.family) && isOurs(one)),
          bound: bound.filter((addr) => isOf(addr, ledger.family) && !addr.isLinkLocal),
        },
        after,
        tables: await this.#iptables.standing(ledger.family),
      };
    });
    return await this.#program(await Promise.all(steps));
  }

  /** Looks at one of each kind: a flush takes all of them, and to list everything takes long where there is much. */
  async intact(): Promise<boolean> {
    await this.#bury();
    const { bound, others } = await this.#ipvs.addresses();
    if (!sameAddresses(others, this.#addresses)) return false;
    const names = await this.#ipvs.setNames();
    for (const ledger of this.#ledgers) {
      for (const name of ipvsSetNames(ledger.family)) if (!names.has(name)) return false;
      for (const [table, chain] of OWN_CHAINS) {
        if (!(await this.#iptables.hasChain(ledger.family, table, chain))) return false;
      }
      const server = ledger.anyServer();
      if (server === undefined) continue;
      if (missingIn([...bound, ...others], [server.endpoint.addr]).length > 0) return false;
      if (!(await this.#ipvs.hasServer(server))) return false;
    }
    return true;
  }

  async cleanup(): Promise<void> {
    for (const family of [4, 6] as const) {
      const tables = await this.#iptables.standing(family);
      const transactions = Array.from(tables.values(), (table) =>
        differenceOfIptables(table, withoutRules(table)),
      );
      await this.#iptables.restore(family, restoreTexts(transactions));
    }
    await this.withdraw();
  }

  /** Takes away everything but the chains: kube-ipvs0, the virtual servers that our sets name, and the sets. */
  async withdraw(): Promise<void> {
    const sets = await orNothing(() => this.#ipvs.sets(), []);
    const { servers } = await orNothing(() => this.#ipvs.servers(), IpvsTable([]));
    await this.#ipvs.removeInterface();
    const gone = ([4, 6] as const).flatMap((family) => {
      const isOurs = ownershipBy(setsOf(sets, family));
      return servers.filter(
        (one) => isOf(one.endpoint.addr, family) && isOurs(one) && !this.#isExcluded(one),
      );
    });
    await this.#ipvs.program(gone.map(printDeleteServer).join(''));
    const ours = new Set([...ipvsSetNames(4), ...ipvsSetNames(6)]);
    const mine = sets.filter(({ name }) => ours.has(name));
    await this.#ipvs.fill(mine.map(({ name }) => `destroy ${name}\n`).join(''));
  }

  #makeLedgers(): readonly IpvsLedger[] {
    const node = { ...this.#node, addresses: this.#addresses };
    return this.#families.map((family) => {
      const ledger = new IpvsLedger(family, node, this.#config, this.#settings);
      for (const [service, plan] of this.#plans) ledger.replace(service, plan);
      return ledger;
    });
  }

  async #program(steps: readonly Step[]): Promise<Applied> {
    const done: string[] = [];
    const say = async (text: string, run: (text: string) => Promise<void>) => {
      done.push(text);
      await run(text);
    };
    const sets = differenceOfIpSets(
      steps.flatMap(({ before }) => before.ipsets),
      steps.flatMap(({ after }) => after.ipsets),
    );
    const ipvs = differenceOfIpvsTables(
      IpvsTable(steps.flatMap(({ before }) => before.servers.map((one) => this.#withRetiring(one)))),
      IpvsTable(steps.flatMap(({ after }) => after.servers)),
    );
    try {
      await say(sets.growing, (text) => this.#ipvs.fill(text));
      for (const step of steps) {
        await say(rulesText(step), (text) => this.#iptables.restore(step.family, [text]));
      }
      await say(ipvs.growing, (text) => this.#ipvs.program(text));
      for (const [verb, from, to] of [
        ['add', 'before', 'after'],
        ['del', 'after', 'before'],
      ] as const) {
        const some = steps.flatMap((step) => missingIn(step[from].bound, step[to].bound));
        await say(some.map(({ text }) => `${verb} ${text}\n`).join(''), () => this.#ipvs.bind(verb, some));
      }
      const changed = steps.flatMap(({ after }) => after.servers);
      await say(this.#removals(ipvs, changed), (text) => this.#ipvs.program(text));
      await say(sets.shrinking, (text) => this.#ipvs.fill(text));
    } catch (error) {
      if (error instanceof Fault && error.code === 'FE015') throw error;
      throw new SyncFailure(done.join(''), error);
    }
    for (const ledger of this.#ledgers) ledger.settle();
    await this.#bury();
    return appliedText(done.join(''));
  }

  /** A destination that is retiring still stands in the kernel, with weight 0, where a change may want it back. */
  #withRetiring(server: VirtualServer): VirtualServer {
    const known = new Set(server.destinations.map(({ endpoint }) => endpoint.text));
    const key = virtualServerKey(server);
    const retiring = [...this.#retiring.values()].filter(
      (one) => virtualServerKey(one.server) === key && !known.has(one.destination.endpoint.text),
    );
    if (retiring.length === 0) return server;
    const quiet = retiring.map(({ destination }) => ({ ...destination, weight: 0 }));
    return { ...server, destinations: [...server.destinations, ...quiet] };
  }

  #isExcluded({ endpoint }: VirtualServer): boolean {
    return this.#settings.excludeCIDRs?.some((prefix) => prefix.contains(endpoint.addr)) ?? false;
  }

  #removals({ retired, removed }: IpvsDifference, changed: readonly VirtualServer[]): string {
    const lines = removed.filter((server) => !this.#isExcluded(server)).map(printDeleteServer);
    // Of the virtual servers that change, a retiring destination that does not leave again is wanted again.
    const settled = new Set([...removed, ...changed].map(virtualServerKey));
    for (const [key, { server }] of this.#retiring) {
      if (settled.has(virtualServerKey(server))) this.#retiring.delete(key);
    }
    for (const one of retired) {
      if (one.server.protocol !== 'TCP') lines.push(printDeleteDestination(one));
      else {
        if (one.destination.weight > 0) lines.push(printQuiesce(one));
        this.#retiring.set(keyOfRetired(one), one);
      }
    }
    return lines.join('');
  }

  /** Takes away the retiring destinations that have no connection left. */
  async #bury(): Promise<void> {
    if (this.#retiring.size === 0) return;
    const servers = new Map(
      Array.from(this.#retiring.values(), ({ server }) => [virtualServerKey(server), server]),
    );
    const connections = await this.#ipvs.connections([...servers.values()]);
    const idle: RetiredDestination[] = [];
    for (const [key, one] of this.#retiring) {
      const count = connections.get(key) ?? 0;
      if (count > 0) continue;
      if (connections.has(key)) idle.push(one);
      this.#retiring.delete(key);
    }
    await this.#ipvs.program(idle.map(printDeleteDestination).join(''));
  }
}

/** A chain of each table that every kube-proxy in IPVS mode has. */
const OWN_CHAINS = [
  ['filter', 'KUBE-FORWARD'],
  ['nat', 'KUBE-LOAD-BALANCER'],
] as const;

const isOf = (addr: Addr, family: Family): boolean => addr.family === family;

const missingIn = (these: readonly Addr[], those: readonly Addr[]): Addr[] => {
  const known = new Set(these.map(({ text }) => text));
  return those.filter(({ text }) => !known.has(text));
};

const sameAddresses = (some: readonly Addr[], others: readonly Addr[]): boolean =>
  missingIn(some, others).length === 0 && missingIn(others, some).length === 0;

function rulesText({ tables, after }: Step): string {
  const wanted = [...after.ruleset.tables.values()];
  const names = new Set(wanted.map(({ name }) => name));
  // Another mode leaves its chains in tables that this one does not use.
  const left = [...tables.values()].filter(({ name }) => !names.has(name));
  return [
    ...wanted.map((table) =>
      differenceOfIptables(tables.get(table.name) ?? IptablesTable(table.name, []), table),
    ),
    ...left.map((table) => differenceOfIptables(table, withoutRules(table))),
  ]
    .map(printIptablesTransaction)
    .join('');
}

const setsOf = (sets: readonly IpSet[], family: Family): IpSet[] => {
  const names = ipvsSetNames(family);
  return sets.filter(({ name }) => names.has(name));
};

/** The sets name every address and port that was ever made a virtual server; what they do not name is somebody else's. */
function ownershipBy(sets: readonly IpSet[]): (server: VirtualServer) => boolean {
  const points = new Set<string>();
  const ports = new Set<string>();
  for (const { name, type, entries } of sets) {
    const protocol = /-(TCP|UDP)$/.exec(name)?.[1];
    for (const [first, second] of entries) {
      if (type === 'hash:ip,port' && first?.kind === 'address' && second?.kind === 'port') {
        points.add(`${second.protocol} ${first.addr} ${second.port}`);
      } else if (first?.kind === 'port' && protocol !== undefined) ports.add(`${protocol} ${first.port}`);
    }
  }
  return ({ protocol, endpoint: { addr, port } }) =>
    points.has(`${protocol} ${addr} ${port}`) || ports.has(`${protocol} ${port}`);
}

/** What a tool says, or nothing where there is no such tool or the kernel knows nothing of it. */
async function orNothing<T>(ask: () => Promise<T>, nothing: T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Fault && (error.code === 'FE001' || error.code === 'FE002')) return nothing;
    throw error;
  }
}
