import type { Addr, Family } from '../../ip/ip.ts';
import {
  IpSet,
  type IpSetEntry,
  type IptablesRule,
  IptablesRuleset,
  printIpSetEntry,
  printIptablesRule,
  type VirtualServer,
  virtualServerKey,
} from '../../netfilter/netfilter.ts';
import { Claims } from '../claims.ts';
import type { NodeFacts, ProxyConfig } from '../config.ts';
import type { ServicePlan } from '../plan.ts';
import { compileIpvsFragment, type IpvsContext, type IpvsFragment, ipvsContext } from './fragment.ts';
import { ipvsRuleset } from './frame.ts';
import { SET_KEYS, SETS, type SetKey, setName } from './sets.ts';
import type { IpvsOptions } from './version.ts';

/** What IPVS mode programs in one family, or the part of it that concerns a change. */
export interface IpvsState {
  readonly ipsets: readonly IpSet[];
  readonly servers: readonly VirtualServer[];
  readonly bound: readonly Addr[];
  readonly ruleset: IptablesRuleset;
}

/**
 * What IPVS mode programs in one family, as the sum of what each Service adds. Several Services may want one address or
 * one entry; it stays while one of them does. A virtual server that two want is the one's whose name sorts first.
 */
export class IpvsLedger {
  readonly family: Family;
  readonly #node: NodeFacts;
  readonly #config: ProxyConfig;
  readonly #context: IpvsContext;
  readonly #fragments = new Map<string, IpvsFragment>();
  readonly #entries: ReadonlyMap<SetKey, Claims<IpSetEntry>>;
  readonly #servers = new Claims<VirtualServer>();
  readonly #bound = new Claims<Addr>();
  readonly #outFilter = new Claims<IptablesRule>();
  #settledRuleset: IptablesRuleset;

  constructor(family: Family, node: NodeFacts, config: ProxyConfig, options: IpvsOptions = {}) {
    this.family = family;
    this.#node = node;
    this.#config = config;
    this.#context = ipvsContext(family, node, config, options);
    this.#entries = new Map(SET_KEYS.map((key) => [key, new Claims<IpSetEntry>()]));
    this.#settledRuleset = IptablesRuleset(family, []);
  }

  /** Takes in a Service's plan in place of the one before; undefined removes the Service. */
  replace(service: string, plan: ServicePlan | undefined): void {
    const before = this.#fragments.get(service);
    const after = plan === undefined ? undefined : compileIpvsFragment(this.#context, plan);
    for (const key of setsOf(before, after)) {
      const claims = this.#entries.get(key);
      if (claims !== undefined) replaceClaims(claims, service, entriesOf(before, key), entriesOf(after, key));
    }
    replaceClaims(this.#servers, service, serversOf(before), serversOf(after));
    replaceClaims(this.#bound, service, boundOf(before), boundOf(after));
    replaceClaims(this.#outFilter, service, outFilterOf(before), outFilterOf(after));
    if (after === undefined) this.#fragments.delete(service);
    else this.#fragments.set(service, after);
  }

  /** The addresses and ports of a Service that another one has. */
  conflicts(service: string): readonly string[] {
    const servers = this.#fragments.get(service)?.servers ?? [];
    return servers.flatMap((server) => {
      const owner = this.#servers.owner(virtualServerKey(server));
      return owner === service || owner === undefined
        ? []
        : [`${server.protocol} ${server.endpoint} belongs to ${owner}`];
    });
  }

  /** One of the virtual servers, if there are any. */
  anyServer(): VirtualServer | undefined {
    const [first] = this.#servers.entries();
    return first?.[1];
  }

  /** The whole. */
  state(): IpvsState {
    const bound = sorted(this.#bound).toSorted((a, b) => a.compare(b));
    return {
      ipsets: SET_KEYS.map((key) =>
        this.#ipset(key, key === 'ipvsIPs' ? bound.map(entryOf) : sorted(this.#entries.get(key))),
      ),
      servers: sorted(this.#servers),
      bound,
      ruleset: this.#ruleset(),
    };
  }

  /** What was at the last {@link settle} and what is, of whatever has changed; the rules, which are few, as a whole. */
  changes(): { readonly before: IpvsState; readonly after: IpvsState } {
    const servers = [...this.#servers.changes()];
    const bound = [...this.#bound.changes()];
    const entries = SET_KEYS.map((key) => ({
      key,
      changed: [...(this.#entries.get(key)?.changes() ?? [])],
    }));
    const side = (which: 'before' | 'after', ruleset: IptablesRuleset): IpvsState => {
      const addresses = bound.flatMap((one) => one[which] ?? []);
      return {
        ipsets: entries.map(({ key, changed }) =>
          this.#ipset(
            key,
            key === 'ipvsIPs'
              ? addresses.map(entryOf)
              : changed.flatMap((one) => (one[which] === undefined ? [] : [one[which]])),
          ),
        ),
        servers: servers.flatMap((one) => one[which] ?? []),
        bound: addresses,
        ruleset,
      };
    };
    return { before: side('before', this.#settledRuleset), after: side('after', this.#ruleset()) };
  }

  /** Takes the present state as the kernel's. */
  settle(): void {
    for (const claims of [...this.#entries.values(), this.#servers, this.#bound, this.#outFilter])
      claims.settle();
    this.#settledRuleset = this.#ruleset();
  }

  #ipset(key: SetKey, entries: readonly IpSetEntry[]): IpSet {
    return IpSet(setName(key, this.family), SETS[key].type, entries, this.family);
  }

  #ruleset(): IptablesRuleset {
    return ipvsRuleset(this.family, this.#node, this.#config, this.#context.behaviour, {
      isEmpty: (set) => this.#entries.get(set)?.entries().next().done !== false,
      outFilter: sorted(this.#outFilter),
    });
  }
}

const entryOf = (addr: Addr): IpSetEntry => [{ kind: 'address', addr }];

type Named<T> = ReadonlyMap<string, T>;

const byText = <T>(values: readonly T[] | undefined, textOf: (value: T) => string): Named<T> =>
  new Map(values?.map((value) => [textOf(value), value]));

const entriesOf = (fragment: IpvsFragment | undefined, key: SetKey): Named<IpSetEntry> =>
  byText(
    fragment?.entries.filter(({ set }) => set === key).map(({ entry }) => entry),
    printIpSetEntry,
  );
/** The sets that either concerns: few of them all. */
const setsOf = (...fragments: readonly (IpvsFragment | undefined)[]): ReadonlySet<SetKey> =>
  new Set(fragments.flatMap((one) => one?.entries.map(({ set }) => set) ?? []));
const serversOf = (fragment: IpvsFragment | undefined) => byText(fragment?.servers, virtualServerKey);
const boundOf = (fragment: IpvsFragment | undefined) => byText(fragment?.bound, (addr) => addr.text);
const outFilterOf = (fragment: IpvsFragment | undefined) => byText(fragment?.outFilter, printIptablesRule);

function replaceClaims<T>(claims: Claims<T>, owner: string, before: Named<T>, after: Named<T>): void {
  for (const [name, value] of after) claims.claim(name, owner, value);
  for (const name of before.keys()) if (!after.has(name)) claims.release(name, owner);
}

/** By name, so that the same Services give the same text whatever the order they came in. */
const sorted = <T>(claims: Claims<T> | undefined): T[] =>
  [...(claims?.entries() ?? [])]
    .sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
    .map(([, value]) => value);
