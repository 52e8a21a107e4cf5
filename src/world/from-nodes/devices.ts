import { Addr, Mac, type Port, parsePort } from '../../ip/ip.ts';
import type { DumpFolder } from './dump-folder.ts';
import { type Item, itemsOf, linesOf, read } from './items.ts';

/** A network device as `ip -d link` and `ip addr` tell of it. */
export interface Device {
  readonly name: string;
  readonly index: number;
  /** `loopback`, `veth`, `bridge`, `vxlan` and the like; `device` for what has no kind: a network card. */
  readonly kind: string;
  readonly isUp: boolean;
  readonly mac?: Mac;
  readonly mtu?: number;
  /** Whose port it is. */
  readonly master?: string;
  /** Of one end of a pair: the index of the other end, in this namespace or another one. */
  readonly peer?: { readonly index: number; readonly isElsewhere: boolean };
  readonly tunnel?: Tunnel;
  readonly addresses: readonly DeviceAddress[];
  /** What is attached that may do anything to a packet. */
  readonly program?: string;
  readonly place: string;
}

/** The data of a VXLAN device. */
export interface Tunnel {
  readonly vni: number;
  readonly local?: Addr;
  readonly underlay?: string;
  readonly port: Port;
  /** Where packets go is no entry's but each packet's matter (`external`), or another option that is not modelled. */
  readonly unmodelled?: string;
}

export interface DeviceAddress {
  readonly addr: Addr;
  readonly length: number;
}

/** The devices in the order the kernel numbers them. */
export function readDevices(folder: DumpFolder): readonly Device[] {
  const links = itemsOf(folder, 'link.json') ?? [];
  const addresses = new Map(
    (itemsOf(folder, 'addr.json') ?? []).map((item) => [item.text('ifname'), addressesOf(item)] as const),
  );
  const filters = filtersOf(folder);
  return links
    .map((link) => read(link, () => deviceOf(link, addresses, filters)))
    .toSorted((a, b) => a.index - b.index);
}

function addressesOf(item: Item): DeviceAddress[] {
  return item.items('addr_info').flatMap((info) => {
    const text = info.needed('local', info.text('local'));
    if (!Addr.isAddr(text)) return [];
    const addr = Addr.parse(text);
    // Every device of IPv6 has one; nobody beyond its link sees it. What `lo` has of 127.0.0.0/8 it has anyway.
    if (addr.isLinkLocal && addr.family === 6) return [];
    if (addr.isLoopback) return [];
    const length = info.needed('prefixlen', info.number('prefixlen'));
    // At the other end of a line without a network of its own.
    const isPeer = info.has('address');
    return [{ addr, length: isPeer ? (addr.family === 4 ? 32 : 128) : length }];
  });
}

/** The first line that tc prints of a device's programs, by the device. */
function filtersOf(folder: DumpFolder): ReadonlyMap<string, string> {
  const filters = new Map<string, string>();
  for (const { line, place } of linesOf(folder, 'tc-filter.txt') ?? []) {
    const [device = '', way = '', ...words] = line.split(' ');
    if (!filters.has(device)) filters.set(device, `tc ${way} ${words.slice(0, 8).join(' ')} (${place})`);
  }
  return filters;
}

function deviceOf(
  link: Item,
  addresses: ReadonlyMap<string | undefined, readonly DeviceAddress[]>,
  filters: ReadonlyMap<string, string>,
): Device {
  const name = link.needed('ifname', link.text('ifname'));
  const index = link.needed('ifindex', link.number('ifindex'));
  const info = link.item('linkinfo');
  const mac = link.text('address') ?? '';
  const peer = link.number('link_index');
  const program = filters.get(name) ?? (link.has('xdp') ? `xdp (${link.place})` : undefined);
  const isLoopback = link.text('link_type') === 'loopback';
  const kind = isLoopback ? 'loopback' : (info?.text('info_kind') ?? 'device');
  const data = info?.item('info_data');
  return {
    name,
    index,
    kind,
    isUp: link.texts('flags').includes('UP'),
    ...(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac) && !isLoopback ? { mac: Mac.parse(mac) } : {}),
    ...given('mtu', link.number('mtu')),
    ...given('master', link.text('master')),
    ...given(
      'peer',
      peer === undefined || peer === 0 ? undefined : { index: peer, isElsewhere: link.has('link_netnsid') },
    ),
    ...given('tunnel', kind === 'vxlan' && data !== undefined ? tunnelOf(data) : undefined),
    addresses: addresses.get(name) ?? [],
    ...given('program', program),
    place: link.place,
  };
}

/** As a field that is left out where there is nothing to tell. */
const given = <K extends string, V>(name: K, value: V | undefined): { readonly [key in K]?: V } =>
  (value === undefined ? {} : { [name]: value }) as { readonly [key in K]?: V };

/** Options that change where a packet goes, beside the forwarding entries. */
const STRANGE = ['external', 'gbp', 'group', 'group6', 'proxy', 'l2miss', 'l3miss'];

function tunnelOf(data: Item): Tunnel {
  const local = data.text('local') ?? data.text('local6');
  const strange = STRANGE.find((name) => data.isSet(name));
  return {
    vni: data.number('id') ?? 0,
    ...given('local', local !== undefined && Addr.isAddr(local) ? Addr.parse(local) : undefined),
    ...given('underlay', data.text('link')),
    port: parsePort(String(data.number('port') ?? 8472)),
    ...given('unmodelled', strange),
  };
}
