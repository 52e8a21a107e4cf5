/** What IPv6 does otherwise than IPv4, in Worlds made by hand: foretold, and held against the kernel. */
import { expect, it } from 'vitest';
import { Addr, Mac, Prefix, portOf } from '../../src/ip/ip.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { prove, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { parseIptablesSave } from '../../src/netfilter/netfilter.ts';
import { sourceOfIpv6 } from '../../src/trace/source-address.ts';
import { profileOf } from '../../src/world/profile.ts';
import { bareHost, DEFAULT_OF, routeBy } from '../../src/world/wiring.ts';
import type { Dummy, Host, PacketFilter, Veth, World } from '../../src/world/world.ts';

const CLIENT = Addr.parse('fd00:1::2');
const SERVER = Addr.parse('fd00:2::2');
const [LEFT, RIGHT] = [Addr.parse('fd00:1::1'), Addr.parse('fd00:2::1')];
const VIRTUAL = Addr.parse('fd00:9::9');
const EIGHTY = portOf(80);
const LISTENERS = (['TCP', 'UDP'] as const).map((protocol) => ({ protocol, port: EIGHTY }));

const veth = (name: string, addr: Addr): Veth => ({
  kind: 'veth',
  name,
  mac: Mac.forAddr(addr),
  addresses: [{ addr, length: 64 }],
});
const dummy = (...addrs: Addr[]): Dummy => ({
  kind: 'dummy',
  name: 'own',
  mac: Mac.parse('02:00:00:00:00:99'),
  addresses: addrs.map((addr) => ({ addr, length: 128 })),
});

const BARE = bareHost('middle', 'node');
const middleWith = (...more: Host['interfaces']) => [
  ...BARE.interfaces,
  veth('left', LEFT),
  veth('right', RIGHT),
  ...more,
];

/** client fd00:1::2 — fd00:1::1 middle fd00:2::1 — fd00:2::2 server, which answers on port 80. */
function line(more: { readonly middle?: Partial<Host>; readonly server?: Partial<Host> } = {}): World {
  const end = (name: string, addr: Addr, via: Addr, changes: Partial<Host> = {}): Host => {
    const bare = bareHost(name, 'client');
    const routes = [routeBy(DEFAULT_OF[6], 'eth0', { via })];
    return { ...bare, interfaces: [...bare.interfaces, veth('eth0', addr)], routes, ...changes };
  };
  const hosts: Host[] = [
    end('client', CLIENT, LEFT),
    {
      ...BARE,
      interfaces: middleWith(),
      sysctls: { ipForward: false, ipv6Forwarding: true, rpFilter: 1, bridgeNfCallIptables: false },
      ...more.middle,
    },
    end('server', SERVER, RIGHT, { listeners: LISTENERS, ...more.server }),
  ];
  const link = (host: string, at: string) => ({
    a: { host, interface: 'eth0' },
    b: { host: 'middle', interface: at },
  });
  return {
    profile: profileOf({ ipFamilies: 'IPv6' }),
    hosts: new Map(hosts.map((host) => [host.name, host])),
    links: [link('client', 'left'), link('server', 'right')],
  };
}

function ip6tables(table: string, rule: string): PacketFilter {
  const chain = rule.split(' ')[1] ?? '';
  const text = `*${table}\n:${chain} ACCEPT [0:0]\n${rule}\nCOMMIT\n`;
  return { iptables: [parseIptablesSave(text, 6)] };
}

interface Case {
  readonly what: string;
  readonly world: World;
  readonly to?: Addr;
  readonly tcp: string;
  readonly udp?: string;
}

const CASES: readonly Case[] = [
  { what: 'is forwarded without ip_forward', world: line(), tcp: 'reached server' },
  {
    what: 'is dropped without its own switch',
    world: line({ middle: { sysctls: { ipForward: true, rpFilter: 0, bridgeNfCallIptables: false } } }),
    tcp: 'timeout',
  },
  {
    what: 'believes a source that is its own',
    // As a balancer does that keeps the client's address, when the client is its backend.
    world: line({
      middle: {
        listeners: LISTENERS,
        interfaces: middleWith(dummy(CLIENT)),
        packetFilter: ip6tables('nat', '-A PREROUTING -d fd00:9::9 -j DNAT --to-destination fd00:1::1'),
      },
    }),
    to: VIRTUAL,
    // It is heard, and the answer stays at home.
    tcp: 'timeout',
  },
  {
    what: 'finds no way to ::1 from a link, wherever a rule has led it',
    world: line({
      middle: {
        listeners: LISTENERS,
        packetFilter: ip6tables('nat', '-A PREROUTING -d fd00:9::9 -j DNAT --to-destination ::1'),
      },
    }),
    to: VIRTUAL,
    tcp: 'refused',
    udp: 'timeout',
  },
  {
    what: 'finds no neighbour by an address of another of its links',
    world: line({
      server: {
        interfaces: [
          { kind: 'loopback', name: 'lo', addresses: [] },
          veth('eth0', SERVER),
          dummy(Addr.parse('fd00:2::77')),
        ],
      },
    }),
    to: Addr.parse('fd00:2::77'),
    tcp: 'timeout',
  },
  {
    what: 'is redirected to the address of the interface it came in by',
    world: line({
      middle: {
        packetFilter: ip6tables('nat', '-A PREROUTING -d fd00:9::9 -j REDIRECT'),
        listeners: LISTENERS,
      },
    }),
    to: VIRTUAL,
    tcp: 'reached middle',
  },
  {
    what: 'is forwarded although no connection is kept of it',
    world: line({ middle: { packetFilter: ip6tables('raw', '-A PREROUTING -j CT --notrack') } }),
    tcp: 'reached server',
  },
  {
    what: 'is refused with ICMPv6: port unreachable',
    world: line({
      middle: {
        packetFilter: ip6tables(
          'filter',
          '-A FORWARD -d fd00:2::2 -j REJECT --reject-with icmp6-port-unreachable',
        ),
      },
    }),
    tcp: 'refused',
  },
  {
    what: 'is refused with ICMPv6: prohibited',
    world: line({
      middle: {
        packetFilter: ip6tables(
          'filter',
          '-A FORWARD -d fd00:2::2 -j REJECT --reject-with icmp6-adm-prohibited',
        ),
      },
    }),
    tcp: 'refused',
  },
  {
    what: 'is refused with ICMPv6: no route, which datagrams do not heed',
    world: line({
      middle: {
        packetFilter: ip6tables('filter', '-A FORWARD -d fd00:2::2 -j REJECT --reject-with icmp6-no-route'),
      },
    }),
    tcp: 'refused',
    udp: 'timeout',
  },
  {
    what: 'is masqueraded with the address that suits the destination',
    world: line({
      middle: {
        interfaces: middleWith(dummy(Addr.parse('fd00:2:0:1::1'))),
        packetFilter: ip6tables('nat', '-A POSTROUTING -j MASQUERADE'),
      },
    }),
    tcp: 'reached server',
  },
  {
    what: 'is routed by mark with a rule of its own family',
    world: line({
      middle: {
        packetFilter: ip6tables('mangle', '-A PREROUTING -j MARK --set-xmark 0x1/0x1'),
        routingRules: [{ family: 6, priority: 100, mark: { value: 1, mask: 1 }, table: 100 }],
        routes: [{ kind: 'unreachable', to: Prefix.parse('fd00:2::/64'), table: 100 }],
      },
    }),
    tcp: 'refused',
    udp: 'timeout',
  },
  {
    what: 'is prohibited by a rule about where it came in, of which a datagram is told, too',
    world: line({
      middle: {
        routingRules: [{ family: 6, priority: 100, input: 'left', table: 254, discard: 'prohibit' }],
      },
    }),
    tcp: 'refused',
  },
  {
    what: 'has no way by a rule about where it came in',
    world: line({
      middle: {
        routingRules: [{ family: 6, priority: 100, input: 'left', table: 254, discard: 'unreachable' }],
      },
    }),
    tcp: 'refused',
    udp: 'timeout',
  },
  {
    what: 'is not answered where a rule that is turned round holds for the answer alone',
    world: line({
      middle: {
        routingRules: [
          { priority: 100, from: Prefix.host(CLIENT), isInverted: true, table: 254, discard: 'blackhole' },
        ],
      },
    }),
    tcp: 'timeout',
    udp: 'timeout',
  },
  {
    what: 'finds no way in the main table where its prefix is too short, and none in one that throws',
    world: line({
      middle: {
        routingRules: [
          { family: 6, priority: 100, table: 254, suppress: 64 },
          { family: 6, priority: 101, table: 100 },
          { family: 6, priority: 102, table: 101 },
        ],
        routes: [
          { kind: 'throw', to: Prefix.parse('fd00:2::/64'), table: 100 },
          { kind: 'blackhole', to: Prefix.parse('fd00:2::/64'), table: 101 },
        ],
      },
    }),
    tcp: 'timeout',
  },
];

it.each(CASES)('$what', async ({ world, to = SERVER, tcp, udp = tcp }) => {
  const questions = (['TCP', 'UDP'] as const).map((protocol) => ({
    from: 'client',
    to,
    port: EIGHTY,
    protocol,
  }));
  const { agreements, mismatches, unknowns } = await inCage(async (cage) => {
    await realise(world, cage);
    await startListeners(world, cage);
    return await prove(world, cage, questions);
  });
  expect([...mismatches, ...unknowns]).toEqual([]);
  const words = agreements.map(({ answers }) => answers.map(textOf)[0]?.replace(/ at .*/, ''));
  expect(words).toEqual([tcp, udp]);
});

/** Every destination draws another address of those that a host has: by scope, link, label, and bits in common. */
it('chooses the source address that the kernel chooses', async () => {
  const onLink = ['fd00:1::5', 'fd00:1::7', '2001:db8:1::5', '2002:101::5', 'fd00:7:8::5'].map(Addr.parse);
  const plain = line();
  const client = plain.hosts.get('client');
  if (client === undefined) throw new Error('the line has a client');
  const withOwn: Host = {
    ...client,
    interfaces: [
      ...client.interfaces.map((each) =>
        each.kind === 'veth'
          ? { ...each, addresses: [...each.addresses, ...onLink.map((addr) => ({ addr, length: 64 }))] }
          : each,
      ),
      // On no way out, so that it is chosen for itself alone.
      dummy(Addr.parse('fd00:9::8')),
    ],
  };
  const world: World = { ...plain, hosts: new Map([...plain.hosts, ['client', withOwn]]) };
  const destinations = [
    'fd00:1::5',
    'fd00:1::9',
    'fd00:7:8::9',
    '2001:db8:1::9',
    '2001:db8:9::9',
    '2002:101::9',
    '2a00::1',
    'fd00:9::8',
    'fd00:9::9',
  ].map(Addr.parse);
  const chosen = await inCage(async (cage) => {
    await realise(world, cage);
    const shown = destinations.map(async (to) => {
      const args = ['-6', '-o', 'route', 'get', to.text];
      const { stdout } = await cage.exec(withOwn.netns).run({ file: 'ip', args });
      return /\ssrc (\S+)/.exec(stdout)?.[1];
    });
    return await Promise.all(shown);
  });
  expect(destinations.map((to) => sourceOfIpv6(withOwn, 'eth0', to)?.text)).toEqual(chosen);
  expect(new Set(chosen).size).toBeGreaterThan(3);
});

async function inCage<T>(act: (cage: Cage) => Promise<T>): Promise<T> {
  const cage = await openCage();
  try {
    return await act(cage);
  } finally {
    await cage.close();
  }
}
