import { Fault } from '../../fault/fault.ts';
import { Addr, type Family, type Port, Prefix, type Protocol, portOf } from '../../ip/ip.ts';
import { splitWords } from '../iptables/words.ts';
import { IpSet, type IpSetEntry, type IpSetPart } from './ipset.ts';

/** Options that take a value and do not change what a set holds: sizes, and how long an entry stays. */
const SIZES: ReadonlySet<string> = new Set([
  'hashsize',
  'maxelem',
  'bucketsize',
  'initval',
  'timeout',
  'size',
]);
/** Options without a value that do not either: what is kept beside the entries. */
const EXTRAS: ReadonlySet<string> = new Set(['counters', 'comment', 'skbinfo', 'forceadd']);
/** What may stand behind an entry and does not change what it matches, with a value each. */
const ENTRY_EXTRAS: ReadonlySet<string> = new Set([
  'timeout',
  'packets',
  'bytes',
  'comment',
  'skbmark',
  'skbprio',
  'skbqueue',
]);

/** Reads what `ipset save` prints. Throws {@link Fault} FE006 for what it cannot be. */
export function parseIpsetSave(text: string): IpSet[] {
  const sets = new Map<string, { readonly head: IpSet; readonly entries: IpSetEntry[] }>();
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [verb, name = '', what, ...rest] = splitWords(line);
    const set = sets.get(name);
    if (verb === 'create' && what !== undefined && set === undefined) {
      sets.set(name, { head: setOf(name, what, rest), entries: [] });
    } else if (verb === 'add' && what !== undefined && set !== undefined) {
      set.entries.push(entryOf(set.head, what, rest));
    } else {
      throw new Fault(
        'FE006',
        `line ${at + 1}: '${line}' is not what ipset save prints`,
        'pass its output whole',
      );
    }
  }
  return Array.from(sets.values(), ({ head, entries }) => ({ ...head, entries }));
}

function setOf(name: string, type: string, options: readonly string[]): IpSet {
  let family: Family = 4;
  const unmodelled: string[] = [];
  for (let at = 0; at < options.length; at++) {
    const [option = '', value = ''] = options.slice(at);
    const isAllPorts = option === 'range' && type === 'bitmap:port' && value === '0-65535';
    if (option === 'family' || SIZES.has(option) || isAllPorts) at += 1;
    else if (!EXTRAS.has(option)) unmodelled.push(option);
    if (option === 'family' && value === 'inet6') family = 6;
  }
  const set = IpSet(name, type, [], family);
  return unmodelled.length === 0 ? set : { ...set, unmodelled };
}

function entryOf({ type }: IpSet, text: string, options: readonly string[]): IpSetEntry {
  const kinds = type.slice(type.indexOf(':') + 1).split(',');
  const parts = text.split(',').map((part, at) => partOf(kinds[at], part));
  for (let at = 0; at < options.length; at += 2) {
    // A `nomatch` has no value, and turns the entry round: what it covers is not in the set.
    if (!ENTRY_EXTRAS.has(options[at] ?? ''))
      parts.push({ kind: 'unmodelled', text: options.slice(at).join(' ') });
    if (parts.at(-1)?.kind === 'unmodelled') break;
  }
  return parts;
}

function partOf(kind: string | undefined, text: string): IpSetPart {
  const unmodelled: IpSetPart = { kind: 'unmodelled', text };
  const [addr = '', length] = text.split('/');
  switch (kind) {
    case 'ip':
      return Addr.isAddr(text) ? { kind: 'address', addr: Addr.parse(text) } : unmodelled;
    case 'net': {
      if (!Addr.isAddr(addr)) return unmodelled;
      const prefix = length === undefined ? Prefix.host(Addr.parse(addr)) : Prefix.parse(text);
      return { kind: 'net', prefix };
    }
    case 'port':
      return portPartOf(text) ?? unmodelled;
    default:
      return unmodelled;
  }
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

function portPartOf(text: string): IpSetPart | undefined {
  const match = /^(?:([a-z]+):)?(\d{1,5})$/.exec(text);
  const number = Number(match?.[2] ?? 0);
  if (number < 1 || number > 65535) return undefined;
  const port: Port = portOf(number);
  if (match?.[1] === undefined) return { kind: 'port', port };
  const protocol = PROTOCOLS[match[1]];
  return protocol && { kind: 'port', protocol, port };
}
