import type { IpSet, IpSetEntry, IpSetPart, MatchSet } from '../../netfilter/netfilter.ts';
import type { Packet } from '../packet.ts';

/** What stands under the exact parts of an entry: a test for each part that is a prefix. */
type Within = (packet: Packet, fields: MatchSet['fields']) => boolean;

/** An ipset for asking (net/netfilter/ipset/ip_set_hash_*.c). The kernel reads ports of ICMP too; here they match nothing. */
export class IpSetIndex {
  /** What of the set is not modelled, for a walk that asks it to name. */
  readonly unmodelled: string | undefined;
  readonly #kinds: readonly IpSetPart['kind'][];
  readonly #anyProtocol: boolean;
  readonly #entries = new Map<string, Within[]>();

  constructor(set: IpSet) {
    this.#kinds = kindsOf(set.type);
    this.#anyProtocol = set.type.startsWith('bitmap:');
    const [part] = set.entries.flat().filter(({ kind }) => kind === 'unmodelled');
    const option = set.unmodelled?.join(' ') ?? (part?.kind === 'unmodelled' ? part.text : undefined);
    this.unmodelled = option === undefined ? undefined : `'${option}' in the set '${set.name}'`;
    for (const entry of set.entries) this.#add(entry);
  }

  #add(entry: IpSetEntry): void {
    const key = entry
      .map((part) => (part.kind === 'address' ? part.addr.text : part.kind === 'port' ? portText(part) : ''))
      .join(',');
    const nets = this.#entries.get(key) ?? [];
    this.#entries.set(key, nets);
    nets.push((packet, fields) =>
      entry.every((part, at) => part.kind !== 'net' || part.prefix.contains(addressOf(packet, fields[at]))),
    );
  }

  has(packet: Packet, fields: MatchSet['fields']): boolean {
    if (packet.content === 'error' && this.#kinds.includes('port')) return false;
    const key = this.#kinds
      .map((kind, at) => {
        if (kind === 'net') return '';
        if (kind === 'address') return addressOf(packet, fields[at]).text;
        const port = fields[at] === 'src' ? packet.sourcePort : packet.destinationPort;
        return this.#anyProtocol ? String(port) : `${packet.protocol}:${port}`;
      })
      .join(',');
    return this.#entries.get(key)?.some((within) => within(packet, fields)) ?? false;
  }
}

const addressOf = (packet: Packet, field: 'src' | 'dst' | undefined) =>
  field === 'src' ? packet.source : packet.destination;

const portText = ({ protocol, port }: Extract<IpSetPart, { kind: 'port' }>): string =>
  protocol === undefined ? String(port) : `${protocol.toLowerCase()}:${port}`;

/** The parts of a type: `hash:ip,port,net` has an address, a port and a prefix. */
function kindsOf(type: string): IpSetPart['kind'][] {
  const [, parts = ''] = type.split(':');
  return parts.split(',').map((part) => (part === 'port' ? 'port' : part === 'net' ? 'net' : 'address'));
}
