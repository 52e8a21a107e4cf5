import { Addr, bitsOf, type Family, Prefix } from '../ip/ip.ts';
import {
  type Discard,
  familyOfRule,
  type Host,
  hasIpv6,
  MAIN_TABLE,
  type Route,
  type RoutingRule,
} from '../world/world.ts';
import type { ErrorCode, Packet } from './packet.ts';
import { sourceOfIpv6 } from './source-address.ts';
import { Unmodelled } from './unmodelled.ts';

/** Where the routing tables send an address. */
export type Way = UnicastWay | LocalWay | DiscardWay | UnreachableWay;

export interface UnicastWay {
  readonly kind: 'unicast';
  readonly interface: string;
  readonly via: Addr | undefined;
  readonly source: Addr | undefined;
  /** As `ip route` prints it. */
  readonly text: string;
}

export interface LocalWay {
  readonly kind: 'local';
  /** Of which interface the address is. */
  readonly interface: string;
  readonly source: Addr;
  readonly text: string;
}

export interface DiscardWay {
  readonly kind: 'blackhole' | 'broadcast';
  readonly text: string;
}

export interface UnreachableWay {
  readonly kind: 'unreachable';
  /** What its sender is told. */
  readonly code: Exclude<ErrorCode, 'port'>;
  readonly text: string;
}

/** A lookup that comes to one says so by {@link Unmodelled}. */
interface UnmodelledWay {
  readonly kind: 'unmodelled';
  readonly text: string;
  readonly place: string;
}

/** The next rule is asked. */
interface ThrownWay {
  readonly kind: 'throw';
}

type Entry = Way | UnmodelledWay | ThrownWay;

/** What a lookup may depend on beside the destination. */
export interface Flow {
  readonly to: Addr;
  readonly from: Addr | undefined;
  readonly mark: number;
  /** The interface it came in by; {@link OWN} for what the host sends itself. */
  readonly input: string;
}

/** @param input see {@link Flow} */
export const flowOf = ({ destination, source, mark }: Packet, input: string): Flow => ({
  to: destination,
  from: source,
  mark,
  input,
});

/** Where what a host sends itself comes from (LOOPBACK_IFINDEX). */
export const OWN = 'lo';

export type AddressType = 'local' | 'broadcast' | 'multicast' | 'unicast';

const LOCAL_TABLE = 255;
/** The kernel's own rule for the main table; its table `default` is empty unless somebody fills it. */
const MAIN_PRIORITY = 32766;
const DEFAULT_TABLE = 253;
const LOOPBACK_NET = Prefix.parse('127.0.0.0/8');
export const LOOPBACK: Readonly<Record<Family, Addr>> = { 4: Addr.parse('127.0.0.1'), 6: Addr.parse('::1') };
const EVERYBODY = Addr.parse('255.255.255.255');

/** One table: routes by prefix length, longest first (net/ipv4/fib_trie.c does the same by a trie). */
class Table {
  readonly #levels: { readonly length: number; readonly ways: Map<string | number, Entry> }[] = [];

  /** Of two routes to the same prefix the first counts, as with metrics left alone. */
  add(to: Prefix, way: Entry): void {
    let level = this.#levels.find((each) => each.length === to.length);
    if (level === undefined) {
      level = { length: to.length, ways: new Map() };
      this.#levels.push(level);
      this.#levels.sort((a, b) => b.length - a.length);
    }
    const key = keyOf(to.addr, to.length);
    if (!level.ways.has(key)) level.ways.set(key, way);
  }

  /** @param suppress see {@link RoutingRule} (fib4_rule_suppress): only what is found is judged, no shorter prefix looked for */
  find(to: Addr, suppress = -1): Entry | undefined {
    for (const { length, ways } of this.#levels) {
      const way = ways.get(keyOf(to, length));
      if (way === undefined) continue;
      const isWay = way.kind === 'unicast' || way.kind === 'local';
      return isWay && length <= suppress ? undefined : way;
    }
    return undefined;
  }
}

function keyOf(addr: Addr, length: number): string | number {
  if (addr.family === 4) return length === 0 ? 0 : (addr.u32 & (-1 << (32 - length))) >>> 0;
  return length === bitsOf(addr.family) ? addr.text : Prefix.of(addr, length).addr.text;
}

/**
 * The routing of one host (net/ipv4/fib_frontend.c, fib_rules.c): its own tables, and those the kernel derives from its
 * addresses. IPv4 broadcast and loopback routes as Linux makes them.
 */
export class Routing {
  readonly #tables = new Map<number, Table>();
  readonly #rules: Readonly<Record<Family, readonly RoutingRule[]>>;
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
    const rules = (family: Family) =>
      [
        ...host.routingRules.filter((rule) => familyOfRule(rule) === family),
        { priority: 0, table: LOCAL_TABLE },
        { priority: MAIN_PRIORITY, table: MAIN_TABLE },
        { priority: MAIN_PRIORITY + 1, table: DEFAULT_TABLE },
      ].sort((a, b) => a.priority - b.priority);
    this.#rules = { 4: rules(4), 6: rules(6) };
    this.#addLoopback();
    for (const each of host.interfaces) {
      for (const { addr, length } of each.addresses) this.#addAddress(each.name, addr, length);
    }
    for (const route of host.routes) {
      const text = routeText(route);
      this.#table(route.table).add(route.to, wayOf(route, text));
    }
  }

  /** No way at all is undefined. Throws {@link Unmodelled} where a rule or route that is not modelled may decide. */
  find(flow: Flow): Way | undefined {
    for (const rule of this.#rules[flow.to.family]) {
      if (!isFor(rule, flow)) continue;
      const way = this.#wayBy(rule, flow.to);
      if (way === undefined) continue;
      const { unmodelled = way.kind === 'unmodelled' ? way : undefined } = rule;
      if (unmodelled !== undefined) {
        throw new Unmodelled(`a way to ${flow.to} is not modelled`, unmodelled.text, unmodelled.place);
      }
      if (way.kind !== 'unmodelled' && way.kind !== 'throw') return way;
    }
    return undefined;
  }

  #wayBy({ priority, discard, table, suppress }: RoutingRule, to: Addr): Entry | undefined {
    if (discard === undefined) return this.#tables.get(table)?.find(to, suppress);
    return discardOf(discard, `rule ${priority}: ${discard}`, 'net');
  }

  isLocal(addr: Addr): boolean {
    return this.typeOf(addr) === 'local';
  }

  /** What `fib daddr type` and `addrtype` say: the local table's view (inet_addr_type in net/ipv4/fib_frontend.c). */
  typeOf(addr: Addr): AddressType {
    if (addr.isMulticast) return 'multicast';
    const found = this.#tables.get(LOCAL_TABLE)?.find(addr);
    if (found?.kind === 'unmodelled') {
      throw new Unmodelled(`whether ${addr} is local is not modelled`, found.text, found.place);
    }
    const kind = found?.kind;
    return kind === 'local' || kind === 'broadcast' ? kind : 'unicast';
  }

  /**
   * The address a host takes for what leaves by an interface. IPv4 (inet_select_addr in net/ipv4/devinet.c): the first one of
   * the interface, one beside the next hop before it; else the first one of any interface. IPv6 goes by the destination. Loopback
   * addresses stay at home.
   */
  sourceFor(interfaceName: string, nextHop: Addr, destination: Addr): Addr | undefined {
    if (destination.family === 6) return sourceOfIpv6(this.#host, interfaceName, destination);
    const usable = (name: string | undefined) =>
      this.#host.interfaces
        .filter((each) => name === undefined || each.name === name)
        .flatMap((each) => each.addresses)
        .filter(({ addr }) => addr.family === nextHop.family && !addr.isLoopback);
    const own = usable(interfaceName);
    const near = own.find(({ addr, length }) => Prefix.of(addr, length).contains(nextHop));
    return (near ?? own[0] ?? usable(undefined)[0])?.addr;
  }

  /** The address that what an interface takes in is redirected to (nf_nat_redirect.c). */
  redirectTo(interfaceName: string, family: Family): Addr | undefined {
    const { addresses = [] } = this.#host.interfaces.find(({ name }) => name === interfaceName) ?? {};
    const own = addresses.filter(({ addr }) => addr.family === family);
    // The kernel's list of IPv6 addresses begins with the one that came last (ipv6_link_dev_addr).
    return (family === 4 ? own[0] : own.at(-1))?.addr;
  }

  #table(id: number): Table {
    const table = this.#tables.get(id) ?? new Table();
    this.#tables.set(id, table);
    return table;
  }

  #addLoopback(): void {
    const lo = this.#host.interfaces.find((each) => each.kind === 'loopback')?.name ?? 'lo';
    this.#addLocal(lo, Prefix.host(LOOPBACK[4]), LOOPBACK[4]);
    this.#addLocal(lo, LOOPBACK_NET, LOOPBACK[4]);
    if (hasIpv6(this.#host)) this.#addLocal(lo, Prefix.host(LOOPBACK[6]), LOOPBACK[6]);
    this.#addBroadcast(LOOPBACK_NET.last);
    this.#addBroadcast(EVERYBODY);
  }

  #addAddress(name: string, addr: Addr, length: number): void {
    const prefix = Prefix.of(addr, length);
    this.#addLocal(name, Prefix.host(addr), addr);
    if (prefix.isHost) return;
    // A route of IPv6 names no source: whoever sends by it chooses one.
    const [source, text] =
      addr.family === 4
        ? [addr, `${prefix} dev ${name} scope link src ${addr}`]
        : [undefined, `${prefix} dev ${name}`];
    this.#table(MAIN_TABLE).add(prefix, { kind: 'unicast', interface: name, via: undefined, source, text });
    if (addr.family === 4 && length < 31) this.#addBroadcast(prefix.last);
  }

  #addLocal(name: string, to: Prefix, source: Addr): void {
    const text = `local ${to.isHost ? to.addr : to} dev ${name} table local`;
    this.#table(LOCAL_TABLE).add(to, { kind: 'local', interface: name, source, text });
  }

  #addBroadcast(addr: Addr): void {
    this.#table(LOCAL_TABLE).add(Prefix.host(addr), {
      kind: 'broadcast',
      text: `broadcast ${addr} table local`,
    });
  }
}

const isFor = (rule: RoutingRule, flow: Flow): boolean => holds(rule, flow) !== (rule.isInverted ?? false);

/** fib_rule_match in net/core/fib_rules.c. A rule with a source never holds for a packet whose source is still to be chosen. */
function holds({ from, to, mark, input, output }: RoutingRule, flow: Flow): boolean {
  if ((input !== undefined && input !== flow.input) || output !== undefined) return false;
  if (from !== undefined && (flow.from === undefined || !from.contains(flow.from))) return false;
  if (to !== undefined && !to.contains(flow.to)) return false;
  return mark === undefined || (flow.mark & mark.mask) >>> 0 === mark.value;
}

function wayOf(route: Route, text: string): Entry {
  switch (route.kind) {
    case 'unicast':
      return { kind: 'unicast', interface: route.interface, via: route.via, source: route.source, text };
    case 'unmodelled':
      return { kind: 'unmodelled', text, place: route.place };
    case 'throw':
      return { kind: 'throw' };
    default:
      return discardOf(route.kind, text, 'host');
  }
}

/** @param unreachable what the sender is told of a network that is: a rule says so of networks, a route of hosts (ip_error) */
function discardOf(kind: Discard, text: string, unreachable: 'net' | 'host'): Way {
  if (kind === 'blackhole') return { kind, text };
  return { kind: 'unreachable', code: kind === 'prohibit' ? 'prohibited' : unreachable, text };
}

function routeText(route: Host['routes'][number]): string {
  if (route.kind === 'unmodelled') return route.text;
  const to = route.to.length === 0 ? 'default' : route.to.isHost ? route.to.addr.text : route.to.text;
  const table = route.table === MAIN_TABLE ? '' : ` table ${route.table}`;
  if (route.kind !== 'unicast') return `${route.kind} ${to}${table}`;
  const via = route.via === undefined ? '' : ` via ${route.via}`;
  const source = route.source === undefined ? '' : ` src ${route.source}`;
  return `${to}${via} dev ${route.interface}${source}${table}`;
}
