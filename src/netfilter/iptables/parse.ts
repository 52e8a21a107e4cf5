import { Fault } from '../../fault/fault.ts';
import { Addr, Endpoint, type Family } from '../../ip/ip.ts';
import { parseMasked, parseMatch, parsePrefix } from './parse-match.ts';
import {
  AcceptPacket,
  Destination,
  DnatTo,
  DropPacket,
  GotoChain,
  InInterface,
  IpProtocol,
  type IptablesMatch,
  IptablesRule,
  type IptablesTarget,
  JumpTo,
  MasqueradeTarget,
  OutInterface,
  RejectWith,
  ReturnToCaller,
  SetMark,
  SnatTo,
  Source,
  UnmodelledMatch,
  UnmodelledTarget,
} from './rule.ts';
import { IptablesChain, IptablesRuleset, IptablesTable, type IptablesTableName } from './ruleset.ts';
import { splitWords, WordReader } from './words.ts';

/**
 * Reads what iptables-save (family 4) or ip6tables-save (family 6) prints; counters are not read. Throws {@link Fault} FE006
 * with the line that is no such thing; matches and targets that are not modelled become `Unmodelled…` nodes, and so does
 * the whole of a rule that cannot be read.
 * @param file what it was read from, so that each rule bears its place
 */
export function parseIptablesSave(text: string, family: Family, file?: string): IptablesRuleset {
  const tables: { name: IptablesTableName; chains: Map<string, ChainParts> }[] = [];
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line === 'COMMIT') continue;
    if (line.startsWith('*')) {
      tables.push({ name: line.slice(1) as IptablesTableName, chains: new Map() });
      continue;
    }
    const table = tables.at(-1);
    if (table === undefined) throw unreadable(at, line, file);
    if (line.startsWith(':')) {
      const [name = '', policy] = line.slice(1).split(' ');
      table.chains.set(name, {
        policy: policy === 'ACCEPT' || policy === 'DROP' ? policy : undefined,
        lines: [],
        ...placeOf(file, at),
      });
      continue;
    }
    // A line may open with the counters of its rule: [packets:bytes].
    const [, chain, rule] = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? [];
    const parts = table.chains.get(chain ?? '');
    if (parts === undefined || rule === undefined) throw unreadable(at, line, file);
    parts.lines.push({ rule, ...placeOf(file, at) });
  }
  return IptablesRuleset(
    family,
    tables.map(({ name, chains }) => IptablesTable(name, chainsOf(chains))),
  );
}

const placeOf = (file: string | undefined, at: number): { readonly place?: string } =>
  file === undefined ? {} : { place: `${file}:${at + 1}` };

interface ChainParts {
  readonly place?: string;
  readonly policy: 'ACCEPT' | 'DROP' | undefined;
  readonly lines: { readonly rule: string; readonly place?: string }[];
}

function chainsOf(parts: ReadonlyMap<string, ChainParts>): IptablesChain[] {
  return Array.from(parts, ([name, { policy, lines, ...chain }]) => {
    const rules = lines.map(({ rule, ...where }) => ({
      ...readRule(rule, (chain) => parts.has(chain)),
      ...where,
    }));
    return { ...IptablesChain(name, rules, policy), ...chain };
  });
}

/** A rule that cannot be read matters only to packets that come to it, so it keeps its place as it is. */
function readRule(text: string, isChain: (name: string) => boolean): IptablesRule {
  try {
    return parseIptablesRule(text, isChain);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return IptablesRule([UnmodelledMatch(splitWords(text))]);
  }
}

function unreadable(at: number, line: string, file: string | undefined): Fault {
  return new Fault(
    'FE006',
    `${file === undefined ? 'line ' : `${file}:`}${at + 1}: '${line}' is not what iptables-save prints`,
    'pass its output whole',
  );
}

/**
 * Reads a rule without the `-A CHAIN` before it.
 * @param isChain tells a chain of the same table from a target of an extension
 */
export function parseIptablesRule(
  text: string,
  isChain: (name: string) => boolean = () => true,
): IptablesRule {
  const words = new WordReader(splitWords(text));
  const matches: IptablesMatch[] = [];
  let not = false;
  while (!words.done) {
    const word = words.next();
    if (word === '!') {
      not = true;
      continue;
    }
    if (word === '-j' || word === '-g') {
      const name = words.next();
      const rest = words.until(() => false);
      const target = word === '-g' ? GotoChain(name) : parseTarget(name, rest, isChain);
      return IptablesRule(matches, target);
    }
    if (word === '-m') {
      const module = words.next();
      matches.push(
        parseMatch(
          module,
          module === 'comment' ? words.take(2) : words.until((one) => /^-[mjgsdiop]$/.test(one)),
        ),
      );
    } else matches.push(parseBase(word, words, not));
    not = false;
  }
  return IptablesRule(matches);
}

function parseBase(word: string, words: WordReader, not: boolean): IptablesMatch {
  const value = words.until((one) => one.startsWith('-') || one === '!');
  const [text = ''] = value;
  const prefix = word === '-s' || word === '-d' ? parsePrefix(text) : undefined;
  if (word === '-s' && prefix !== undefined) return Source(prefix, not);
  if (word === '-d' && prefix !== undefined) return Destination(prefix, not);
  if (word === '-i') return InInterface(text, not);
  if (word === '-o') return OutInterface(text, not);
  if (word === '-p') return IpProtocol(text, not);
  return UnmodelledMatch([...(not ? ['!'] : []), word, ...value]);
}

function parseTarget(
  name: string,
  words: readonly string[],
  isChain: (name: string) => boolean,
): IptablesTarget {
  const target = words.length <= 2 ? TARGETS[name]?.(words[0], words[1]) : undefined;
  if (target !== undefined) return target;
  return words.length === 0 && isChain(name) ? JumpTo(name) : UnmodelledTarget([name, ...words]);
}

/** Each gives undefined for a form it does not model. */
const TARGETS: Readonly<
  Record<string, (option: string | undefined, value: string | undefined) => IptablesTarget | undefined>
> = {
  ACCEPT: () => AcceptPacket(),
  DROP: () => DropPacket(),
  RETURN: () => ReturnToCaller(),
  REJECT: (option, value) =>
    option === '--reject-with' && value !== undefined ? RejectWith(value) : undefined,
  MASQUERADE: (option) => {
    if (option === undefined) return MasqueradeTarget(false);
    return option === '--random-fully' ? MasqueradeTarget(true) : undefined;
  },
  MARK: (option, value) => {
    const masked = option === '--set-xmark' ? parseMasked(value) : undefined;
    return masked && SetMark(masked.value, masked.mask);
  },
  DNAT: (option, value) => {
    const to = option === '--to-destination' ? addressOf(value) : undefined;
    return to && DnatTo(to);
  },
  SNAT: (option, value) => {
    const to = option === '--to-source' ? addressOf(value) : undefined;
    return to && SnatTo(to);
  },
};

/** One address with or without a port; ranges are not modelled. */
function addressOf(text: string | undefined): Addr | Endpoint | undefined {
  if (text === undefined || text.includes('-')) return undefined;
  if (Addr.isAddr(text)) return Addr.parse(text);
  return /^(\[[^\]]+\]|[^:[]+):[1-9]\d*$/.test(text) ? Endpoint.parse(text) : undefined;
}
