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
  | { readonly kind: 'port'; readonly protocol?: Protocol; readonly port: Port };

/** The set as `ipset restore` takes it. */
export function printIpSet({ name, type, family, entries }: IpSet): string {
  const options = type.startsWith('bitmap:')
    ? ' range 0-65535'
    : ` family ${family === 4 ? 'inet' : 'inet6'}`;
  const lines = [
    `create ${name} ${type}${options}`,
    ...entries.map((entry) => `add ${name} ${printIpSetEntry(entry)}`),
  ];
  return `${lines.join('\n')}\n`;
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
      return part.prefix.text;
    case 'port':
      return part.protocol === undefined ? String(part.port) : `${part.protocol.toLowerCase()}:${part.port}`;
  }
}
