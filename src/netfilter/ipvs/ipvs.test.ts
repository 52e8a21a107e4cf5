import { array, assert, constantFrom, integer, option, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, type Family, type Protocol, portOf } from '../../ip/ip.ts';
import {
  differenceOfIpvsTables,
  printDeleteDestination,
  printDeleteServer,
  printQuiesce,
} from './difference.ts';
import { IpvsTable, printIpvsTable, RealServer, VirtualServer, virtualServerKey } from './ipvs.ts';
import { parseIpvsadmSave } from './parse.ts';

const endpoint = (family: Family, value: number): Endpoint =>
  new Endpoint(Addr.parse(family === 4 ? '10.0.0.0' : 'fd00::').plus(value % 500), portOf(1 + (value % 3)));

const unique = <T>(all: readonly T[], keyOf: (one: T) => string): T[] => [
  ...new Map(all.map((one) => [keyOf(one), one])).values(),
];

const tables = array(
  record({
    protocol: constantFrom<Protocol>('TCP', 'UDP', 'SCTP'),
    family: constantFrom<Family>(4, 6),
    at: integer({ min: 0, max: 20 }),
    scheduler: constantFrom('rr', 'wrr', 'lc', 'sh'),
    persistentSeconds: option(integer({ min: 1, max: 86_400 }), { nil: undefined }),
    destinations: array(
      record({
        at: integer({ min: 0, max: 9 }),
        forwarding: constantFrom<RealServer['forwarding']>('masq', 'gate', 'tunnel'),
        weight: integer({ min: 0, max: 5 }),
      }),
      { maxLength: 4 },
    ),
  }),
  { maxLength: 6 },
).map((all) => {
  const servers = all.map(({ protocol, family, at, destinations, scheduler, persistentSeconds }) => {
    const ends = destinations.map((one) => RealServer(endpoint(family, one.at), one.forwarding, one.weight));
    const persistent = persistentSeconds === undefined ? {} : { persistentSeconds };
    const distinct = unique(ends, (one) => one.endpoint.text);
    return VirtualServer(protocol, endpoint(family, at), distinct, { scheduler, ...persistent });
  });
  return IpvsTable(unique(servers, virtualServerKey));
});

describe('ipvsadm', () => {
  it('reads back what it prints', () => {
    assert(
      property(tables, (table) => {
        expect(parseIpvsadmSave(printIpvsTable(table))).toEqual(table);
      }),
    );
  });

  it('keeps and names what it does not model', () => {
    const text = [
      '-A -t 10.0.0.1:80 -s mh -p 60 -M 255.255.255.0 -b mh-port',
      '-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1 -x 100 -y 50',
      '-A -f 7 -s rr',
      '-a -f 7 -r 10.1.0.1:0 -m -w 1',
      '',
    ].join('\n');
    const table = parseIpvsadmSave(text);
    expect(table.servers[0]?.unmodelled).toEqual(['-M', '255.255.255.0', '-b', 'mh-port']);
    expect(table.unmodelled).toHaveLength(2);
    expect(printIpvsTable(table)).toBe(text);
  });

  it.each(['-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1', '-C', '-A -t', 'TCP 10.0.0.1:80 rr'])(
    'refuses %j',
    (text) => {
      expect(() => parseIpvsadmSave(text)).toThrow();
    },
  );

  it('leads from any table to any other', () => {
    assert(
      property(tables, tables, (before, after) => {
        const { growing, retired, removed } = differenceOfIpvsTables(before, after);
        const kernel = linesOf(before);
        for (const text of [growing, ...retired.map(printQuiesce), ...retired.map(printDeleteDestination)]) {
          run(kernel, text);
        }
        for (const server of removed) run(kernel, printDeleteServer(server));
        expect(kernel).toEqual(linesOf(after));
      }),
    );
  });

  it('does nothing where nothing differs', () => {
    assert(
      property(tables, (table) => {
        const same = parseIpvsadmSave(printIpvsTable(table));
        expect(differenceOfIpvsTables(table, same)).toEqual({ growing: '', retired: [], removed: [] });
      }),
    );
  });
});

/** The kernel's side of `ipvsadm -R`: what each virtual server and each destination was last given. */
type Kernel = Map<string, string>;

function linesOf(table: IpvsTable): Kernel {
  const kernel: Kernel = new Map();
  run(kernel, printIpvsTable(table));
  return kernel;
}

function run(kernel: Kernel, text: string): void {
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [verb, flag, address, ...rest] = line.split(' ');
    const server = `${flag} ${address}`;
    const isDestination = rest[0] === '-r';
    const key = isDestination ? `${server} ${rest[1]}` : server;
    const exists = kernel.has(key);
    const isNew = verb === '-A' || verb === '-a';
    expect(exists, line).toBe(!isNew);
    if (isDestination) expect(kernel.has(server), line).toBe(true);
    if (verb === '-D')
      for (const one of [...kernel.keys()]) if (one.startsWith(`${server} `)) kernel.delete(one);
    if (verb === '-D' || verb === '-d') kernel.delete(key);
    else kernel.set(key, rest.slice(isDestination ? 2 : 0).join(' '));
  }
}
