import { describe, expect, it } from 'vitest';
import { Addr } from '../../ip/ip.ts';
import {
  AddressValue,
  Concat,
  Counter,
  Dnat,
  Drop,
  differenceOfTables,
  Goto,
  Jump,
  Match,
  Meta,
  NftChain,
  NftElement,
  NftHook,
  NftRule,
  NftSet,
  NftTable,
  Notrack,
  NumberValue,
  Payload,
  parseNftRuleset,
  printNftKey,
  printNftRule,
  printNftTransaction,
  Redirect,
  Word,
} from '../netfilter.ts';

const at = (text: string) => AddressValue(Addr.parse(text));
const map = (entries: Readonly<Record<string, string>>): NftSet => {
  const elements = Object.entries(entries).map(([key, chain]) => NftElement(at(key), Goto(chain)));
  return NftSet('services', ['ipv4_addr'], {
    value: 'verdict',
    elements: new Map(elements.map((one) => [printNftKey(one.key), one])),
  });
};
const table = (chains: readonly NftChain[], sets: readonly NftSet[] = []) =>
  NftTable('ip', 't', chains, sets);
const between = (before: NftTable, after: NftTable) => printNftTransaction(differenceOfTables(before, after));

describe('printNftRule', () => {
  it.each([
    [NftRule([Match(Meta('iifname'), Word('cali*')), Drop()]), 'iifname "cali*" drop'],
    [NftRule([Dnat(at('fd00::1'), { port: NumberValue(80) })]), 'dnat to [fd00::1]:80'],
    [NftRule([Redirect(NumberValue(80))]), 'redirect to :80'],
    [NftRule([Notrack()]), 'notrack'],
    [NftRule([Counter(), Jump('x')], 'says "why"'), `counter jump x comment "says 'why'"`],
  ])('%#', (rule, text) => {
    expect(printNftRule(rule)).toBe(text);
  });
});

describe('differenceOfTables', () => {
  it('is empty between equals', () => {
    const one = () => table([NftChain('a', [NftRule([Drop()])])], [map({ '10.0.0.1': 'a' })]);
    expect(between(one(), one())).toBe('');
  });

  it('changes one element of many, by deleting and adding it', () => {
    const chains = [NftChain('a', []), NftChain('b', [])];
    const before = table(chains, [map({ '10.0.0.1': 'a', '10.0.0.2': 'a' })]);
    const after = table(chains, [map({ '10.0.0.1': 'a', '10.0.0.2': 'b' })]);
    expect(between(before, after)).toBe(
      'delete element ip t services { 10.0.0.2 }\nadd element ip t services { 10.0.0.2 : goto b }\n',
    );
  });

  it('makes a chain before anything leads there, and deletes it after nothing does', () => {
    const before = table([NftChain('old', [NftRule([Drop()])])], [map({ '10.0.0.1': 'old' })]);
    const after = table([NftChain('new', [NftRule([Drop()])])], [map({ '10.0.0.1': 'new' })]);
    expect(between(before, after).split('\n')).toEqual([
      'add chain ip t new',
      'flush chain ip t old',
      'add rule ip t new drop',
      'delete element ip t services { 10.0.0.1 }',
      'add element ip t services { 10.0.0.1 : goto new }',
      'delete chain ip t old',
      '',
    ]);
  });

  it('leaves what packets put into a dynamic set alone', () => {
    const clients = (elements: NftSet['elements']) =>
      NftSet('clients', ['ipv4_addr'], { flags: ['dynamic', 'timeout'], timeoutSeconds: 60, elements });
    const filled = clients(new Map([['10.0.0.1', NftElement(at('10.0.0.1'))]]));
    expect(between(table([], [filled]), table([], [clients(new Map())]))).toBe('');
  });

  it('replaces the table where the kernel cannot change what differs', () => {
    const hooked = (priority: number) => table([NftChain('in', [], NftHook('filter', 'input', priority))]);
    expect(between(hooked(0), hooked(1)).split('\n').slice(0, 3)).toEqual([
      'add table ip t',
      'delete table ip t',
      'add table ip t',
    ]);
  });
});

describe('parseNftRuleset', () => {
  const parse = (...items: readonly object[]) => {
    const own = { table: { family: 'ip', name: 't' } };
    const chain = { chain: { family: 'ip', table: 't', name: 'c' } };
    return parseNftRuleset(JSON.stringify({ nftables: [{ metainfo: {} }, own, chain, ...items] }));
  };
  const statementsOf = (...expr: readonly object[]) =>
    parse({ rule: { family: 'ip', table: 't', chain: 'c', expr } }).tables[0]?.chains.get('c')?.rules[0]
      ?.statements;

  it('names statements and expressions it does not model', () => {
    expect(statementsOf({ limit: { rate: 1 } }, { quota: {} })).toMatchObject([
      { kind: 'UnmodelledStatement', name: 'limit' },
      { kind: 'UnmodelledStatement', name: 'quota' },
    ]);
    const left = { socket: { key: 'mark' } };
    expect(statementsOf({ match: { op: '==', left, right: 1 } })).toMatchObject([
      { kind: 'Match', left: { kind: 'UnmodelledExpression', name: 'socket' } },
    ]);
  });

  it('reads what leads to the host itself, and what is not tracked', () => {
    expect(statementsOf({ redirect: null }, { notrack: null })).toEqual([Redirect(), Notrack()]);
    expect(statementsOf({ redirect: { port: 80 } })).toEqual([Redirect(NumberValue(80))]);
    expect(statementsOf({ redirect: { port: 80, flags: 'random' } })).toMatchObject([
      { kind: 'UnmodelledStatement', name: 'redirect' },
    ]);
  });

  it('reads an element with a comment or a counter by its value', () => {
    const elem = [{ elem: { val: { concat: ['10.0.0.1', 80] }, comment: 'x' } }];
    const set = { set: { family: 'ip', table: 't', name: 's', type: ['ipv4_addr', 'inet_service'], elem } };
    expect(parse(set).tables[0]?.sets.get('s')?.elements.get('10.0.0.1 . 80')?.key).toEqual(
      Concat(at('10.0.0.1'), NumberValue(80)),
    );
  });

  it('refuses what nft did not print', () => {
    expect(() => parseNftRuleset('table ip t {}')).toThrow('this is not what nft -j prints');
    const lost = { nftables: [{ rule: { family: 'ip', table: 'gone', chain: 'c', expr: [] } }] };
    expect(() => parseNftRuleset(JSON.stringify(lost))).toThrow('no table gone');
  });

  it('reads fields as nft names them', () => {
    const field = { payload: { protocol: 'tcp', field: 'dport' } };
    expect(statementsOf({ match: { op: '!=', left: field, right: 80 } })).toEqual([
      Match(Payload('tcp', 'dport'), NumberValue(80), '!='),
    ]);
  });
});
