import { array, assert, constantFrom, integer, property, record, stringMatching, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addr, type Family, Prefix, portOf } from '../../ip/ip.ts';
import { differenceOfIpSets } from './difference.ts';
import { IpSet, type IpSetEntry, type IpSetPart, printIpSet, printIpSetEntry } from './ipset.ts';
import { parseIpsetSave } from './parse.ts';

const addr = (family: Family, value: number): Addr =>
  Addr.parse(family === 4 ? '10.0.0.0' : 'fd00::').plus(value);

/** A part of each kind a type can ask for, from a few numbers. */
const PARTS: Readonly<Record<string, (family: Family, value: number) => IpSetPart>> = {
  ip: (family, value) => ({ kind: 'address', addr: addr(family, value) }),
  net: (family, value) => ({
    kind: 'net',
    prefix: Prefix.of(addr(family, value), (family === 4 ? 1 : 97) + (value % 32)),
  }),
  port: (_, value) => ({
    kind: 'port',
    protocol: (['TCP', 'UDP', 'SCTP'] as const)[value % 3] ?? 'TCP',
    port: portOf(1 + (value % 65535)),
  }),
};

const sets = array(
  record({
    name: stringMatching(/^[A-Z][A-Z0-9-]{2,25}$/),
    type: constantFrom(
      'hash:ip',
      'hash:net',
      'hash:ip,port',
      'hash:ip,port,ip',
      'hash:ip,port,net',
      'hash:net,port',
      'bitmap:port',
    ),
    family: constantFrom<Family>(4, 6),
    entries: array(
      tuple(integer({ min: 0, max: 1e6 }), integer({ min: 0, max: 1e6 }), integer({ min: 0, max: 1e6 })),
      {
        maxLength: 8,
      },
    ),
  }),
  { maxLength: 6 },
).map((all) =>
  [...new Map(all.map((one) => [one.name, one])).values()].map(({ name, type, family, entries }) => {
    if (type === 'bitmap:port') {
      return IpSet(
        name,
        type,
        entries.map(([value]): IpSetEntry => [{ kind: 'port', port: portOf(1 + (value % 65535)) }]),
      );
    }
    const kinds = type.slice('hash:'.length).split(',');
    const made = entries.map(
      (values): IpSetEntry => kinds.flatMap((kind, at) => PARTS[kind]?.(family, values[at] ?? 0) ?? []),
    );
    return IpSet(name, type, made, family);
  }),
);

const textOf = (all: readonly IpSet[]): string => all.map(printIpSet).join('');

describe('ipset', () => {
  it('reads back what it prints', () => {
    assert(
      property(sets, (all) => {
        expect(parseIpsetSave(textOf(all))).toEqual(all);
      }),
    );
  });

  it('reads what ipset 7.17 saves, and leaves out what does not change the members', () => {
    const saved = [
      'create KUBE-LOOP-BACK hash:ip,port,ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x84402c36',
      'add KUBE-LOOP-BACK 172.16.0.2,tcp:8080,172.16.0.2',
      'create ranges hash:ip,port,net family inet6 hashsize 1024 maxelem 65536 timeout 60 counters comment',
      'add ranges fd00::1,sctp:80,fd00::1 timeout 55 packets 0 bytes 0 comment "one of us"',
      'add ranges fd00::1,sctp:80,fd00::/64 timeout 55',
      'create KUBE-NODE-PORT-TCP bitmap:port range 0-65535',
      'add KUBE-NODE-PORT-TCP 30080',
      '',
    ].join('\n');
    expect(textOf(parseIpsetSave(saved))).toBe(
      [
        'create KUBE-LOOP-BACK hash:ip,port,ip family inet',
        'add KUBE-LOOP-BACK 172.16.0.2,tcp:8080,172.16.0.2',
        'create ranges hash:ip,port,net family inet6',
        'add ranges fd00::1,sctp:80,fd00::1',
        'add ranges fd00::1,sctp:80,fd00::/64',
        'create KUBE-NODE-PORT-TCP bitmap:port range 0-65535',
        'add KUBE-NODE-PORT-TCP 30080',
        '',
      ].join('\n'),
    );
  });

  it('names what it does not model', () => {
    const [set, other, list] = parseIpsetSave(
      'create a hash:net family inet hashsize 1024\nadd a 10.0.0.0/8\nadd a 10.1.0.0/16 nomatch\n' +
        'create b hash:ip,port family inet netmask 24\nadd b 10.0.0.1,icmp:8/0\n' +
        'create c list:set size 8\nadd c a\n',
    );
    expect(set?.entries[1]?.at(-1)).toEqual({ kind: 'unmodelled', text: 'nomatch' });
    expect(other?.unmodelled).toEqual(['netmask', '24']);
    expect(other?.entries[0]?.[1]).toEqual({ kind: 'unmodelled', text: 'icmp:8/0' });
    expect(list?.entries[0]).toEqual([{ kind: 'unmodelled', text: 'a' }]);
  });

  it.each(['add a 10.0.0.1', 'create a', 'flush a', 'create a hash:ip\ncreate a hash:ip'])(
    'refuses %j',
    (text) => {
      expect(() => parseIpsetSave(text)).toThrow(/is not what ipset save prints/);
    },
  );

  it('grows by what is new and shrinks by what is gone', () => {
    assert(
      property(sets, sets, (before, after) => {
        const { growing, shrinking } = differenceOfIpSets(before, after);
        const kernel = membersOf(before);
        run(kernel, growing);
        run(kernel, shrinking);
        expect(kernel).toEqual(membersOf(after));
      }),
    );
  });
});

/** The kernel's side of `ipset -exist restore`. */
type Members = Map<string, Set<string>>;
const membersOf = (all: readonly IpSet[]): Members =>
  new Map(all.map((set) => [set.name, new Set(set.entries.map(printIpSetEntry))]));

function run(members: Members, text: string): void {
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [verb, name = '', entry = ''] = line.split(' ');
    if (verb === 'create') members.set(name, members.get(name) ?? new Set());
    else if (verb === 'destroy') members.delete(name);
    else if (verb === 'add') members.get(name)?.add(entry);
    else members.get(name)?.delete(entry);
  }
}
