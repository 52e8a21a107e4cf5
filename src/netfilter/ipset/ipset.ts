import type { Addr, Family, Port, Prefix, Protocol } from '../../ip/ip.ts';

/**
 * A set of ipset(8), which rules ask by `-m set --match-set`. What an entry consists of follows from the type: `hash:ip,port`
 * holds an address and a port with its protocol, `hash:ip,port,net` a prefix after them, `bitmap:port` a port alone.
 */
export interface IpSet {
  readonly kind: 'IpSet';
  readonly name: string;
  readonly type: IpSetType;
  readonly family: Family;
  readonly entries: readonly IpSetEntry[];
  /** Options of a foreign set that change what it holds, e.g. `netmask 24`; a walk that asks the set says "unknown". */
  readonly unmodelled?: readonly string[];
}
export const IpSet = (
  name: string,
  type: IpSetType,
  entries: readonly IpSetEntry[] = [],
  family: Family = 4,
): IpSet => ({ kind: 'IpSet', name, type, family, entries });

export type IpSetType =
  | 'hash:ip'
  | 'hash:net'
  | 'hash:ip,port'
  | 'hash:ip,port,ip'
  | 'hash:ip,port,net'
  | 'bitmap:port'
  | (string & {});

/** The parts in the order of the type. */
export type IpSetEntry = readonly IpSetPart[];

export type IpSetPart =
  | { readonly kind: 'address'; readonly addr: Addr }
  | { readonly kind: 'net'; readonly prefix: Prefix }
  /** Without a protocol in a `bitmap:port`. */
  | { readonly kind: 'port'; readonly protocol?: Protocol; readonly port: Port }
  /** A part of a foreign entry that is read but not modelled: a MAC, an interface, a kind of ICMP, `nomatch`. */
  | { readonly kind: 'unmodelled'; readonly text: string };

/** The set as `ipset restore` takes it. */
export function printIpSet(set: IpSet): string {
  const lines = [
    printCreateSet(set),
    ...set.entries.map((entry) => `add ${set.name} ${printIpSetEntry(entry)}`),
  ];
  return `${lines.join('\n')}\n`;
}

export function printCreateSet({ name, type, family, unmodelled = [] }: IpSet): string {
  const options = type.startsWith('hash:') ? ` family ${family === 4 ? 'inet' : 'inet6'}` : '';
  const range = type === 'bitmap:port' ? ' range 0-65535' : '';
  return [`create ${name} ${type}${options}${range}`, ...unmodelled].join(' ');
}

/** An entry as `ipset save` prints it: `10.0.0.1,tcp:80,10.0.0.0/8`. */
export function printIpSetEntry(entry: IpSetEntry): string {
  return entry.map(printPart).join(',');
}

function printPart(part: IpSetPart): string {
  switch (part.kind) {
    case 'address':
      return part.addr.text;
    case 'net':
      // ipset leaves out the length where the prefix is one address.
      return part.prefix.isHost ? part.prefix.addr.text : part.prefix.text;
    case 'port':
      return part.protocol === undefined ? String(part.port) : `${part.protocol.toLowerCase()}:${part.port}`;
    case 'unmodelled':
      return part.text;
  }
}
