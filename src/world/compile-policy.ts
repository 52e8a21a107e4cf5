import type { Addr, Prefix } from '../ip/ip.ts';
import {
  AddressValue,
  AnonymousSet,
  Bitwise,
  Counter,
  Ct,
  Dnat,
  Drop,
  Fib,
  Lookup,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  NftElement,
  NftHook,
  NftRule,
  NftSet,
  type NftStatement,
  NftTable,
  NumberValue,
  Payload,
  PrefixValue,
  printNftElement,
  SetReference,
  Snat,
  Word,
} from '../netfilter/netfilter.ts';
import type * as policies from './policy.ts';

/*
 * Priorities by the names of nft(8). Before connection tracking (-200), what is dropped leaves no entry; after it and
 * before the first address is rewritten, a mark sees the packet as it came.
 */
const RAW = -300;
const MANGLE = -150;
const DSTNAT = -100;
const FILTER = 0;
const SRCNAT = 100;

/** The policy as a table of its own, whose name begins with `fairlead-`: what the kernel runs and what a walk runs. */
export function compilePolicy(policy: policies.Policy): NftTable {
  switch (policy.kind) {
    case 'source-check':
      return table('fairlead-source-check', sourceCheck(policy));
    case 'elastic-addresses':
      return table('fairlead-elastic', elasticChains(policy), elasticSets(policy));
    case 'masquerade':
      return table('fairlead-masquerade', masquerade(policy));
    case 'entry-mark':
      return table('fairlead-entry-mark', entryMark(policy));
  }
}

function table(name: string, chains: readonly NftChain[], sets: readonly NftSet[] = []): NftTable {
  return NftTable('ip', name, chains, sets);
}

const rule = (...statements: NftStatement[]): NftRule => NftRule(statements);
const dropped = (...matches: NftStatement[]): NftRule => rule(...matches, Counter(), Drop());
const entersBy = (name: string) => Match(Meta('iifname'), Word(name));
const leavesBy = (name: string) => Match(Meta('oifname'), Word(name));
const source = Payload('ip', 'saddr');
const destination = Payload('ip', 'daddr');

/** In the form in which nft lists it: a set in the order of its addresses, and one element without braces. */
function anyOf(prefixes: readonly Prefix[]): AnonymousSet | PrefixValue | AddressValue {
  const value = (prefix: Prefix) => (prefix.isHost ? AddressValue(prefix.addr) : PrefixValue(prefix));
  const values = [...prefixes].sort((a, b) => a.addr.compare(b.addr)).map(value);
  return values.length === 1 && values[0] !== undefined ? values[0] : AnonymousSet(values);
}

/** A rule a port, so that a drop names its port and what it may send from. */
function sourceCheck({ owned }: policies.SourceCheck): NftChain[] {
  const rules = owned.map(({ interface: name, prefixes }) =>
    dropped(entersBy(name), Match(source, anyOf(prefixes), '!=')),
  );
  return [NftChain('prerouting', rules, NftHook('filter', 'prerouting', RAW))];
}

function elasticSets({ pairs }: policies.ElasticAddresses): NftSet[] {
  const addresses = (name: string, some: readonly Addr[]) =>
    NftSet(name, ['ipv4_addr'], { elements: byKey(some.map((addr) => NftElement(AddressValue(addr)))) });
  const map = (name: string, some: readonly (readonly [Addr, Addr])[]) =>
    NftSet(name, ['ipv4_addr'], {
      value: ['ipv4_addr'],
      elements: byKey(some.map(([from, to]) => NftElement(AddressValue(from), AddressValue(to)))),
    });
  return [
    addresses(
      'elastic',
      pairs.map(({ elastic }) => elastic),
    ),
    addresses(
      'inside',
      pairs.map(({ inside }) => inside),
    ),
    map(
      'inside-of',
      pairs.map(({ elastic, inside }) => [elastic, inside]),
    ),
    map(
      'elastic-of',
      pairs.map(({ elastic, inside }) => [inside, elastic]),
    ),
  ];
}

function byKey(elements: readonly NftElement[]): Map<string, NftElement> {
  return new Map(elements.map((each) => [printNftElement(NftElement(each.key)), each]));
}

function elasticChains({ outside }: policies.ElasticAddresses): NftChain[] {
  const cameByElastic = Match(Ct('status'), Word('dnat'));
  const isOriginal = Match(Ct('direction'), Word('original'));
  const toElsewhere = Match(destination, SetReference('elastic'), '!=');
  const hasNoElastic = Match(source, SetReference('inside'), '!=');
  const toElastic = Snat(Lookup(source, 'elastic-of'));
  const entersInside = outside.map((name) => Match(Meta('iifname'), Word(name), '!='));
  return [
    NftChain(
      'arrive',
      outside.map((name) => dropped(entersBy(name), toElsewhere)),
      NftHook('filter', 'prerouting', RAW),
    ),
    NftChain(
      'prerouting',
      [rule(Dnat(Lookup(destination, 'inside-of')))],
      NftHook('nat', 'prerouting', DSTNAT),
    ),
    NftChain(
      'leave',
      [
        ...outside.map((name) => dropped(leavesBy(name), hasNoElastic)),
        dropped(...entersInside, cameByElastic, isOriginal, hasNoElastic),
      ],
      NftHook('filter', 'forward', FILTER),
    ),
    NftChain(
      'postrouting',
      [...outside.map((name) => rule(leavesBy(name), toElastic)), rule(cameByElastic, toElastic)],
      NftHook('nat', 'postrouting', SRCNAT),
    ),
  ];
}

function masquerade({ from, except }: policies.Masquerade): NftChain[] {
  const matches = [Match(source, PrefixValue(from)), Match(destination, anyOf(except), '!=')];
  return [
    NftChain(
      'postrouting',
      [rule(...matches, Counter(), Masquerade(false))],
      NftHook('nat', 'postrouting', SRCNAT),
    ),
  ];
}

function entryMark({ entry, pods, mark }: policies.EntryMark): NftChain[] {
  const bit = NumberValue(mark);
  const withBit = (key: Ct | Meta) => Mangle(key, Bitwise(key, '|', bit));
  const isNew = Match(Ct('state'), Word('new'));
  const isForHost = Match(Fib(['daddr'], 'type'), Word('local'));
  const isMarked = Match(Bitwise(Ct('mark'), '&', bit), NumberValue(0), '!=');
  return [
    NftChain(
      'prerouting',
      [
        rule(entersBy(entry), isNew, isForHost, withBit(Ct('mark'))),
        rule(entersBy(`${pods}*`), isMarked, withBit(Meta('mark'))),
      ],
      NftHook('filter', 'prerouting', MANGLE),
    ),
  ];
}
