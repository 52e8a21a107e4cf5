import { Addr, type Family, Prefix } from '../../ip/ip.ts';
import { type Discard, MAIN_TABLE, type Route, type RoutingRule } from '../world.ts';
import type { DumpFolder } from './dump-folder.ts';
import { type Item, itemsOf, read } from './items.ts';

/** The routes of a host, and what its tables say of the addresses it has. */
export interface RouteFacts {
  readonly routes: readonly Route[];
  /** To networks that are reached directly because an address of the device is in them, by {@link connectedKey}. */
  readonly connected: ReadonlyMap<string, Route>;
  /** The addresses that the host takes for its own; `undefined` where only some tables were listed. */
  readonly local: ReadonlySet<string> | undefined;
}

const LOCAL_TABLE = 255;
const FILES: Readonly<Record<Family, string>> = { 4: 'route.json', 6: 'route6.json' };
const RULE_FILES: Readonly<Record<Family, string>> = { 4: 'rule.json', 6: 'rule6.json' };

/** By name or, as `ip -N` has them, by number (include/uapi/linux/rtnetlink.h). */
const TYPES: Readonly<Record<string, string>> = {
  '1': 'unicast',
  '2': 'local',
  '3': 'broadcast',
  '4': 'anycast',
  '5': 'multicast',
  '6': 'blackhole',
  '7': 'unreachable',
  '8': 'prohibit',
  '9': 'throw',
};
/** Addresses of everybody, which no connection goes to. */
const PASSED_OVER: ReadonlySet<string> = new Set(['broadcast', 'anycast', 'multicast']);
/** What a route may bear without another way being taken. */
const PLAIN: ReadonlySet<string> = new Set([
  'type',
  'dst',
  'dev',
  'gateway',
  'table',
  'protocol',
  'scope',
  'prefsrc',
  'metric',
  'flags',
  'pref',
  'metrics',
  'expires',
  'nhid',
]);

interface Read {
  readonly route: Route;
  readonly metric: number;
}

export function readRoutes(folder: DumpFolder, family: Family, tables: Tables): RouteFacts {
  const items = itemsOf(folder, FILES[family]) ?? [];
  const connected = new Map<string, Route>();
  const local = new Set<string>();
  const routes: Read[] = [];
  let listsAll = false;
  for (const item of items) {
    const type = typeOf(item);
    const table = tables.idOf(item.text('table') ?? 'main');
    const to = read(item, () => prefixOf(item, family));
    if (PASSED_OVER.has(type) || item.texts('flags').includes('dead')) continue;
    if (type === 'local' && table === LOCAL_TABLE) {
      listsAll = true;
      local.add(to.isHost ? to.addr.text : to.text);
      if (isDerivedLocal(item, to)) continue;
    }
    if (isLinkLocal(to)) continue;
    const route = read(item, () => routeOf(item, type, to, table));
    if (isConnected(item, table)) connected.set(connectedKey(to, item.text('dev') ?? ''), route);
    else routes.push({ route, metric: item.number('metric') ?? 0 });
  }
  return {
    // Of two to the same network the lower metric counts; the order of the others is kept.
    routes: routes.toSorted((a, b) => a.metric - b.metric).map(({ route }) => route),
    connected,
    local: listsAll ? local : undefined,
  };
}

export const connectedKey = (to: Prefix, device: string): string => `${to} ${device}`;

function typeOf(item: Item): string {
  const type = item.text('type') ?? 'unicast';
  return TYPES[type] ?? type;
}

function prefixOf(item: Item, family: Family): Prefix {
  const text = item.needed('dst', item.text('dst'));
  if (text === 'default') return family === 4 ? Prefix.parse('0.0.0.0/0') : Prefix.parse('::/0');
  return text.includes('/') ? Prefix.parse(text) : Prefix.host(Addr.parse(text));
}

/** The kernel makes one of each address a device has, and of loopback's network. */
const isDerivedLocal = (item: Item, to: Prefix): boolean =>
  to.addr.isLoopback || (to.isHost && isOfKernel(item));

const isOfKernel = (item: Item): boolean => ['2', 'kernel', undefined].includes(item.text('protocol'));

const isLinkLocal = ({ addr, family }: Prefix): boolean =>
  family === 6 && (addr.isLinkLocal || addr.isMulticast);

/** The route the kernel itself has made of a device's address. */
const isConnected = (item: Item, table: number): boolean =>
  table === MAIN_TABLE &&
  ['2', 'kernel'].includes(item.text('protocol') ?? '') &&
  !item.has('gateway') &&
  typeOf(item) === 'unicast';

function routeOf(item: Item, type: string, to: Prefix, table: number): Route {
  const strange = item.fields.find((name) => !PLAIN.has(name));
  if (strange === undefined && (isDiscard(type) || type === 'throw')) return { kind: type, to, table };
  const device = item.text('dev');
  if (strange !== undefined || type !== 'unicast' || device === undefined) {
    return { kind: 'unmodelled', to, table, text: `ip route: ${item}`, place: item.place };
  }
  const via = item.text('gateway');
  const source = item.text('prefsrc');
  return {
    kind: 'unicast',
    to,
    interface: device,
    table,
    ...(via === undefined ? {} : { via: Addr.parse(via) }),
    ...(source === undefined ? {} : { source: Addr.parse(source) }),
  };
}

/** Numbers of routing tables; one that is told by name has a number of its own choosing. */
export class Tables {
  readonly #named = new Map<string, number>([
    ['default', 253],
    ['main', MAIN_TABLE],
    ['local', LOCAL_TABLE],
  ]);

  idOf(text: string): number {
    if (/^\d+$/.test(text)) return Number(text);
    const known = this.#named.get(text);
    if (known !== undefined) return known;
    // Above whatever people number by hand.
    const id = 0x4000_0000 + this.#named.size;
    this.#named.set(text, id);
    return id;
  }
}

/** What the kernel has without being told, by priority. */
const KERNELS: Readonly<Record<number, number>> = { 0: LOCAL_TABLE, 32766: MAIN_TABLE, 32767: 253 };
const MODELLED: ReadonlySet<string> = new Set([
  'not',
  'priority',
  'src',
  'srclen',
  'dst',
  'dstlen',
  'fwmark',
  'fwmask',
  'iif',
  'iif_detached',
  'oif',
  'oif_detached',
  'table',
  'action',
  'suppress_prefixlen',
  'protocol',
]);

/** The rules of `ip rule` beside the kernel's own three. */
export function readRules(folder: DumpFolder, family: Family, tables: Tables): readonly RoutingRule[] {
  return (itemsOf(folder, RULE_FILES[family]) ?? []).flatMap((item) => {
    const rule = read(item, () => ruleOf(item, family, tables));
    return isOfKernelItself(rule) ? [] : [rule];
  });
}

function isOfKernelItself({ family: _, priority, table, ...more }: RoutingRule): boolean {
  return KERNELS[priority] === table && Object.keys(more).length === 0;
}

function ruleOf(item: Item, family: Family, tables: Tables): RoutingRule {
  const table = item.text('table');
  const discard = discardOf(item);
  const isModelled =
    item.fields.every((name) => MODELLED.has(name)) && (table === undefined) !== (discard === undefined);
  const conditions = {
    from: endOf(item, 'src'),
    to: endOf(item, 'dst'),
    mark: markOf(item),
    input: item.text('iif'),
    output: item.text('oif'),
    isInverted: item.fields.includes('not') ? (true as const) : undefined,
  };
  return {
    ...(family === 4 ? {} : { family }),
    priority: item.number('priority') ?? 0,
    // What is turned round and has further conditions holds where these do not.
    ...(isModelled || !conditions.isInverted ? given(conditions) : {}),
    table: table === undefined ? MAIN_TABLE : tables.idOf(table),
    ...given({ discard, suppress: item.number('suppress_prefixlen') }),
    ...(isModelled ? {} : { unmodelled: { text: `ip rule: ${item}`, place: item.place } }),
  };
}

type Fields = { readonly [Name in keyof RoutingRule]?: RoutingRule[Name] | undefined };

/** Without what is undefined. */
const given = (fields: Fields): Partial<RoutingRule> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function discardOf(item: Item): Discard | undefined {
  const action = item.text('action') ?? '';
  const name = TYPES[action] ?? action;
  return isDiscard(name) ? name : undefined;
}

const isDiscard = (name: string): name is Discard =>
  name === 'blackhole' || name === 'unreachable' || name === 'prohibit';

function endOf(item: Item, name: 'src' | 'dst'): Prefix | undefined {
  const text = item.text(name);
  if (text === undefined || text === 'all') return undefined;
  const length = item.number(`${name}len`);
  const addr = Addr.parse(text);
  return length === undefined ? Prefix.host(addr) : Prefix.of(addr, length);
}

function markOf(item: Item): RoutingRule['mark'] {
  const value = item.text('fwmark');
  if (value === undefined) return undefined;
  return { value: Number(value), mask: Number(item.text('fwmask') ?? '0xffffffff') };
}
