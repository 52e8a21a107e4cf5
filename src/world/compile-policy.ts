import type { Addr, Family, Prefix } from '../ip/ip.ts';
import {
  Accept,
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
import { addressType, compileBalance, nftFamily, wordOf } from './compile-balance.ts';
import { compileHostPorts } from './compile-host-ports.ts';
import { DSTNAT, FILTER, MANGLE, RAW, SRCNAT } from './hook-priority.ts';
import type * as policies from './policy.ts';

/*
 * Before connection tracking (-200), what is dropped leaves no entry; after it and before the first address is rewritten, a
 * mark sees the packet as it came.
 */

/** The policy as a table of its own, whose name begins with `fairlead-`: what the kernel runs and what a walk runs. */
export function compilePolicy(policy: policies.Policy): NftTable {
  switch (policy.kind) {
    case 'source-check':
      return table(policy, 'fairlead-source-check', sourceCheck(policy));
    case 'elastic-addresses':
      return table(policy, 'fairlead-elastic', elasticChains(policy), elasticSets(policy));
    case 'masquerade':
      return table(policy, 'fairlead-masquerade', masquerade(policy));
    case 'entry-mark':
      return table(policy, 'fairlead-entry-mark', entryMark(policy));
    case 'return-path':
      return table(policy, 'fairlead-return-path', returnPath(policy));
    case 'balance':
      return compileBalance(policy);
    case 'host-ports':
      return compileHostPorts(policy);
  }
}

function table(
  { family }: policies.Policy,
  name: string,
  chains: readonly NftChain[],
  sets: readonly NftSet[] = [],
): NftTable {
  return NftTable(nftFamily(family), name, chains, sets);
}

const rule = (...statements: NftStatement[]): NftRule => NftRule(statements);
const dropped = (...matches: NftStatement[]): NftRule => rule(...matches, Counter(), Drop());
const entersBy = (name: string) => Match(Meta('iifname'), Word(name));
const leavesBy = (name: string) => Match(Meta('oifname'), Word(name));
const source = (family: Family) => Payload(nftFamily(family), 'saddr');
const destination = (family: Family) => Payload(nftFamily(family), 'daddr');

/** In the form in which nft lists it: a set in the order of its addresses, and one element without braces. */
function anyOf(prefixes: readonly Prefix[]): AnonymousSet | PrefixValue | AddressValue {
  const value = (prefix: Prefix) => (prefix.isHost ? AddressValue(prefix.addr) : PrefixValue(prefix));
  const values = [...prefixes].sort((a, b) => a.addr.compare(b.addr)).map(value);
  return values.length === 1 && values[0] !== undefined ? values[0] : AnonymousSet(values);
}

/** A rule a port, so that a drop names its port and what it may send from. */
function sourceCheck({ family, owned }: policies.SourceCheck): NftChain[] {
  const rules = owned.map(({ interface: name, prefixes }) =>
    prefixes.length === 0
      ? dropped(entersBy(name))
      : dropped(entersBy(name), Match(source(family), anyOf(prefixes), '!=')),
  );
  return [NftChain('prerouting', rules, NftHook('filter', 'prerouting', RAW))];
}

function elasticSets({ family, pairs, forwards = [] }: policies.ElasticAddresses): NftSet[] {
  const type = addressType(family);
  const addresses = (name: string, some: readonly Addr[]) =>
    NftSet(name, [type], { elements: byKey(some.map((addr) => NftElement(AddressValue(addr)))) });
  const map = (name: string, some: readonly (readonly [Addr, Addr])[]) =>
    NftSet(name, [type], {
      value: [type],
      elements: byKey(some.map(([from, to]) => NftElement(AddressValue(from), AddressValue(to)))),
    });
  return [
    addresses(
      'elastic',
      [...pairs, ...forwards].map(({ elastic }) => elastic),
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

function elasticChains({ family, outside, forwards = [] }: policies.ElasticAddresses): NftChain[] {
  const cameByElastic = Match(Ct('status'), Word('dnat'));
  const isOriginal = Match(Ct('direction'), Word('original'));
  const isReply = Match(Ct('direction'), Word('reply'));
  const toElsewhere = Match(destination(family), SetReference('elastic'), '!=');
  const hasNoElastic = Match(source(family), SetReference('inside'), '!=');
  const toElastic = Snat(Lookup(source(family), 'elastic-of'));
  const entersInside = outside.map((name) => Match(Meta('iifname'), Word(name), '!='));
  return [
    NftChain(
      'arrive',
      outside.map((name) => dropped(entersBy(name), toElsewhere)),
      NftHook('filter', 'prerouting', RAW),
    ),
    NftChain(
      'prerouting',
      [
        rule(Dnat(Lookup(destination(family), 'inside-of'))),
        ...outside.flatMap((name) => forwarded(name, forwards)),
      ],
      NftHook('nat', 'prerouting', DSTNAT),
    ),
    NftChain(
      'leave',
      [
        // The answer to what was forwarded has an inside address up to the last hook, and perhaps no elastic one.
        ...(forwards.length === 0 ? [] : [rule(cameByElastic, isReply, Accept())]),
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

/** What one port of the gate forwards of the NAT gateways' addresses. */
function forwarded(gate: string, forwards: readonly policies.Forward[]): NftRule[] {
  return forwards.map(({ elastic, protocol, port, to }) =>
    rule(
      entersBy(gate),
      Match(destination(elastic.family), AddressValue(elastic)),
      Match(Payload(wordOf(protocol), 'dport'), NumberValue(port)),
      Dnat(AddressValue(to.addr), { port: NumberValue(to.port) }),
    ),
  );
}

/** A connection that a balancer hands on bears the balancer's mark, and what answers it is routed by the mark. */
function returnPath({ ways }: policies.ReturnPath): NftChain[] {
  const rules = ways.flatMap(({ interface: name, mark }) => [
    rule(entersBy(name), Match(Ct('state'), Word('new')), Mangle(Ct('mark'), NumberValue(mark))),
    rule(
      Match(Meta('iifname'), Word(name), '!='),
      Match(Ct('direction'), Word('reply')),
      Match(Ct('mark'), NumberValue(mark)),
      Mangle(Meta('mark'), NumberValue(mark)),
    ),
  ]);
  return [NftChain('prerouting', rules, NftHook('filter', 'prerouting', MANGLE))];
}

function masquerade({ family, from, except }: policies.Masquerade): NftChain[] {
  const matches = [Match(source(family), PrefixValue(from)), Match(destination(family), anyOf(except), '!=')];
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
