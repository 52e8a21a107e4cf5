/** Small Worlds made by hand, one for each mechanism of the kernel that decides. */
import { describe, expect, it } from 'vitest';
import { Addr, Prefix, portOf } from '../ip/ip.ts';
import {
  AddressValue,
  Bitwise,
  Ct,
  Dnat,
  Drop,
  Jump,
  Lookup,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  NftElement,
  NftHook,
  NftRule,
  NftRuleset,
  NftSet,
  type NftStatement,
  NftTable,
  NumberValue,
  Numgen,
  Payload,
  parseIptablesSave,
  printNftKey,
  Reject,
  UnmodelledStatement,
  Word,
} from '../netfilter/netfilter.ts';
import { DEFAULT, routeBy } from '../world/wiring.ts';
import type { Host, PacketFilter, Route, World } from '../world/world.ts';
import { CLIENT, line, SERVER, VIRTUAL, veth } from './line-fixture.ts';
import { type Outcome, walk } from './trace.ts';

const ask = (
  world: World,
  to: Addr = SERVER,
  protocol: 'TCP' | 'UDP' = 'TCP',
  port = 80,
): readonly Outcome[] => walk(world, { from: 'client', to, port: portOf(port), protocol });

const inWords = (outcomes: readonly Outcome[]): string =>
  outcomes
    .map(({ verdict, reason, sourceSeen }) => `${verdict} ${reason} ${sourceSeen ?? ''}`.trim())
    .join(' | ');

const nft = (...chains: readonly NftChain[]): PacketFilter => ({
  nftables: NftRuleset([NftTable('ip', 't', chains, [])]),
});
const chain = (hook: NftHook, ...rules: readonly NftStatement[][]): NftChain =>
  NftChain(
    `${hook.type}-${hook.hook}`,
    rules.map((statements) => NftRule(statements)),
    hook,
  );
const iptables = (text: string): PacketFilter => ({ iptables: [parseIptablesSave(text, 4)] });

const PREROUTING_NAT = NftHook('nat', 'prerouting', -100);
const FORWARD = NftHook('filter', 'forward', 0);
const toVirtual = Match(Payload('ip', 'daddr'), AddressValue(VIRTUAL));
const dnatToServer = Dnat(AddressValue(SERVER));

describe('routing', () => {
  it('forwards, and tells the server who asks', () => {
    expect(inWords(ask(line()))).toBe('reached answered 10.0.1.2');
    expect(inWords(ask(line(), SERVER, 'UDP'))).toBe('reached answered 10.0.1.2');
  });

  it('names the port nobody listens on', () => {
    expect(inWords(ask(line(), SERVER, 'TCP', 81))).toBe('refused noListener 10.0.1.2');
    expect(inWords(ask(line(), SERVER, 'UDP', 81))).toBe('refused noListener 10.0.1.2');
  });

  it('lets a host without forwarding keep quiet', () => {
    const sysctls = { ipForward: false, rpFilter: 0, bridgeNfCallIptables: false } as const;
    expect(inWords(ask(line({ middle: { sysctls } })))).toBe('timeout notForwarding');
  });

  it.each<[string, readonly Route[], string, string]>([
    ['no route', [], 'refused noRoute', 'timeout noRoute'],
    [
      'a blackhole',
      [{ kind: 'blackhole', to: DEFAULT, table: 254 }],
      'timeout blackholeRoute',
      'timeout blackholeRoute',
    ],
    [
      'an unreachable route',
      [{ kind: 'unreachable', to: DEFAULT, table: 254 }],
      'refused unreachableRoute',
      'timeout unreachableRoute',
    ],
  ])('tells apart %s', (_name, routes, tcp, udp) => {
    const world = line({ middle: { routes } });
    const nowhere = Addr.parse('172.31.0.1');
    expect(inWords(ask(world, nowhere))).toBe(tcp);
    // The sender of a datagram is not told of a network or host that may come back.
    expect(inWords(ask(world, nowhere, 'UDP'))).toBe(udp);
  });

  it('refuses at home where the client has no way, or dials a broadcast address', () => {
    expect(inWords(ask(line({ client: { routes: [] } })))).toBe('refused noRoute');
    expect(inWords(ask(line(), Addr.parse('10.0.1.255')))).toBe('refused broadcastDestination');
    expect(inWords(ask(line(), Addr.parse('224.0.0.1')))).toBe('refused broadcastDestination');
    expect(inWords(ask(line(), Addr.parse('10.0.2.255')))).toBe('timeout broadcastDestination');
  });

  it('finds nobody at an address of the link that nobody has', () => {
    expect(inWords(ask(line(), Addr.parse('10.0.2.77')))).toBe('timeout noNeighbour');
  });

  it('follows policy rules by source and by mark', () => {
    const routes: Route[] = [{ kind: 'blackhole', to: DEFAULT, table: 100 }];
    const bySource = { priority: 10, from: Prefix.host(CLIENT), table: 100 };
    expect(inWords(ask(line({ middle: { routes, routingRules: [bySource] } })))).toBe(
      'timeout blackholeRoute',
    );
    const byMark = { priority: 10, mark: { value: 1, mask: 1 }, table: 100 };
    const marks = nft(chain(NftHook('filter', 'prerouting', -150), [Mangle(Meta('mark'), NumberValue(3))]));
    expect(inWords(ask(line({ middle: { routes, routingRules: [byMark] } })))).toBe(
      'reached answered 10.0.1.2',
    );
    const marked = line({ middle: { routes, routingRules: [byMark], packetFilter: marks } });
    expect(inWords(ask(marked))).toBe('timeout blackholeRoute');
  });
});

describe('what a host believes', () => {
  const other = Prefix.host(CLIENT);

  it.each([
    [1, 'timeout reversePathFilter'],
    [2, 'timeout notForwarding 10.0.1.2'],
    [0, 'timeout notForwarding 10.0.1.2'],
  ] as const)('with rp_filter=%d where the way back is by the server', (rpFilter, expected) => {
    const sysctls = { ipForward: true, rpFilter, bridgeNfCallIptables: false };
    const routes = [routeBy(other, 'right', { via: SERVER })];
    expect(inWords(ask(line({ middle: { sysctls, routes } })))).toBe(expected);
  });

  it('takes the larger of the two settings', () => {
    const routes = [routeBy(other, 'right', { via: SERVER })];
    const loose = line({ middle: { routes }, middleToClient: { rpFilter: 2 } });
    expect(ask(loose)[0]?.reason).not.toBe('reversePathFilter');
    const strict = line({ middle: { routes }, middleToClient: { rpFilter: 0 } });
    expect(ask(strict)[0]?.reason).toBe('reversePathFilter');
  });

  it('never believes its own address', () => {
    const snat = nft(chain(PREROUTING_NAT, [toVirtual, Dnat(AddressValue(CLIENT))]));
    const world = line({ middle: { packetFilter: snat } });
    expect(inWords(ask(world, VIRTUAL))).toBe('timeout martianSource');
  });

  it('keeps loopback addresses at home', () => {
    const dnat = nft(chain(PREROUTING_NAT, [toVirtual, Dnat(AddressValue(Addr.parse('127.0.0.1')))]));
    expect(inWords(ask(line({ middle: { packetFilter: dnat } }), VIRTUAL))).toBe(
      'timeout martianDestination',
    );
  });
});

describe('NAT', () => {
  it('rewrites there and back', () => {
    const filter = nft(
      chain(PREROUTING_NAT, [toVirtual, dnatToServer]),
      chain(NftHook('nat', 'postrouting', 100), [Match(Ct('status'), Word('dnat'), 'in'), Masquerade(false)]),
    );
    const [outcome] = ask(line({ middle: { packetFilter: filter } }), VIRTUAL);
    expect(outcome?.verdict).toBe('reached');
    expect(outcome?.sourceSeen?.text).toBe('10.0.2.1');
    const changes = outcome?.hops.flatMap(({ host, direction, steps }) =>
      steps.flatMap((step) =>
        step.changes.map(({ field, from, to }) => `${host} ${direction} ${field} ${from} -> ${to}`),
      ),
    );
    expect(changes).toEqual([
      'middle forward destination 10.9.9.9:80 -> 10.0.2.2:80',
      'middle forward source 10.0.1.2:40000 -> 10.0.2.1:40000',
      'middle reply destination 10.0.2.1:40000 -> 10.0.1.2:40000',
      'middle reply source 10.0.2.2:80 -> 10.9.9.9:80',
    ]);
    expect(outcome?.deciding?.step.rule).toBe('nft ip t nat-prerouting: ip daddr 10.9.9.9 dnat to 10.0.2.2');
  });

  it('brings RSTs and errors back to whom they concern', () => {
    const filter = nft(chain(PREROUTING_NAT, [toVirtual, dnatToServer]));
    const world = line({ middle: { packetFilter: filter } });
    expect(inWords(ask(world, VIRTUAL, 'TCP', 81))).toBe('refused noListener 10.0.1.2');
    expect(inWords(ask(world, VIRTUAL, 'UDP', 81))).toBe('refused noListener 10.0.1.2');
  });

  it('forks where lots are drawn', () => {
    const elements = [SERVER, Addr.parse('10.0.2.77')].map((addr, at) =>
      NftElement(NumberValue(at), AddressValue(addr)),
    );
    const map = NftSet('ends', ['integer'], {
      value: ['ipv4_addr'],
      elements: new Map(elements.map((one) => [printNftKey(one.key), one])),
    });
    const dnat = Dnat(Lookup(Numgen(2), 'ends'), { family: 'ip' });
    const table = NftTable('ip', 't', [chain(PREROUTING_NAT, [toVirtual, dnat])], [map]);
    const outcomes = ask(line({ middle: { packetFilter: { nftables: NftRuleset([table]) } } }), VIRTUAL);
    expect(outcomes.map(({ probability, verdict }) => [probability, verdict])).toEqual([
      [0.5, 'reached'],
      [0.5, 'timeout'],
    ]);
  });
});

describe('rules', () => {
  it('drop and reject, and are quoted', () => {
    const drop = line({ middle: { packetFilter: nft(chain(FORWARD, [Drop()])) } });
    expect(inWords(ask(drop))).toBe('timeout droppedByRule');
    expect(ask(drop)[0]?.deciding).toMatchObject({
      host: 'middle',
      step: { rule: 'nft ip t filter-forward: drop' },
    });
    const reject = line({ middle: { packetFilter: nft(chain(FORWARD, [Reject()])) } });
    expect(inWords(ask(reject))).toBe('refused rejectedByRule');
    expect(inWords(ask(reject, SERVER, 'UDP'))).toBe('refused rejectedByRule');
    const reset = line({ middle: { packetFilter: nft(chain(FORWARD, [Reject('tcp reset')])) } });
    expect(inWords(ask(reset))).toBe('refused rejectedByRule');
    const policy = NftChain('f', [], NftHook('filter', 'forward', 0, 'drop'));
    expect(inWords(ask(line({ middle: { packetFilter: nft(policy) } })))).toBe('timeout droppedByRule');
  });

  it('see the state of the connection in both directions', () => {
    const established = [Match(Ct('state'), Word('established'), 'in'), Drop()];
    const world = line({ middle: { packetFilter: nft(chain(FORWARD, established)) } });
    expect(inWords(ask(world))).toBe('timeout droppedByRule 10.0.1.2');
  });

  it('keep the mark of a connection for its answer', () => {
    const filter = nft(
      chain(
        NftHook('filter', 'prerouting', -150),
        [Match(Meta('iifname'), Word('left')), Mangle(Ct('mark'), Bitwise(Ct('mark'), '|', NumberValue(1)))],
        [Match(Meta('iifname'), Word('ri*')), Match(Ct('mark'), NumberValue(1)), Drop()],
      ),
    );
    expect(inWords(ask(line({ middle: { packetFilter: filter } })))).toBe('timeout droppedByRule 10.0.1.2');
  });

  it('are not guessed at: what is not modelled is named where it matters, and only there', () => {
    const queue = [UnmodelledStatement('queue', {}), Drop()];
    const rule = nft(chain(FORWARD, [Match(Payload('th', 'dport'), NumberValue(80)), ...queue]));
    const world = line({ middle: { packetFilter: rule } });
    const [outcome] = ask(world);
    expect(outcome).toMatchObject({ verdict: 'unknown', reason: 'unmodelled', deciding: { host: 'middle' } });
    expect(outcome?.deciding?.step.detail).toBe("the statement 'queue' is not modelled");
    expect(inWords(ask(world, SERVER, 'TCP', 81))).toBe('refused noListener 10.0.1.2');
    const foreign = iptables(
      '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -m geoip --src-cc DE -j DROP\nCOMMIT\n',
    );
    const mixed = line({ middle: { packetFilter: foreign } });
    expect(inWords(ask(mixed))).toBe('reached answered 10.0.1.2');
    expect(ask(mixed, SERVER, 'UDP')[0]?.deciding?.step.rule).toBe(
      'iptables -t filter -A FORWARD -p udp -m geoip --src-cc DE -j DROP',
    );
  });

  it('draw lots in iptables, return, and remember marks and clients', () => {
    const filter = iptables(`*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i left -j CONNMARK --set-xmark 0x8/0x8
-A PREROUTING -i right -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:PICK - [0:0]
-A FORWARD -i left -m recent --set --name SEEN --rsource
-A FORWARD -m conntrack --ctstate NEW -j PICK
-A FORWARD -i left -m recent ! --rcheck --name SEEN --rsource -j DROP
-A FORWARD -i right -m mark ! --mark 0x8/0x8 -j DROP
-A PICK -m statistic --mode random --probability 0.25000000000 -j REJECT --reject-with icmp-host-prohibited
-A PICK -j RETURN
-A PICK -j DROP
COMMIT
`);
    const outcomes = ask(line({ middle: { packetFilter: filter } }));
    expect(outcomes.map(({ probability, verdict }) => [probability, verdict])).toEqual([
      [0.25, 'refused'],
      [0.75, 'reached'],
    ]);
  });

  it('take what follows for invalid where one direction went another way', () => {
    const invalid = nft(chain(FORWARD, [Match(Ct('state'), Word('invalid'), 'in'), Drop()]));
    const straight = line({ middle: { packetFilter: invalid } });
    expect(inWords(ask(straight))).toBe('reached answered 10.0.1.2');
    // A second link lets the answer pass the middle by.
    const [client, server] = [CLIENT, SERVER].map((addr) => Addr.parse(addr.text.replace('10.0', '10.7')));
    if (client === undefined || server === undefined) throw new Error('both have an address');
    const base = line({ middle: { packetFilter: invalid } });
    const beside = (name: string, own: Addr, other: Addr, to: Addr): [string, Host] => {
      const host = base.hosts.get(name);
      if (host === undefined) throw new Error(`${name} is there`);
      const direct = name === 'server' ? [routeBy(Prefix.host(to), 'eth1', { via: other })] : [];
      return [
        name,
        { ...host, interfaces: [...host.interfaces, veth('eth1', own)], routes: [...host.routes, ...direct] },
      ];
    };
    const world: World = {
      ...base,
      hosts: new Map([
        ...base.hosts,
        beside('client', client, server, SERVER),
        beside('server', server, client, CLIENT),
      ]),
      links: [
        ...base.links,
        { a: { host: 'client', interface: 'eth1' }, b: { host: 'server', interface: 'eth1' } },
      ],
    };
    expect(inWords(ask(world))).toBe('timeout handshakeInvalid 10.0.1.2');
    expect(inWords(ask(world, SERVER, 'UDP'))).toBe('reached answered 10.0.1.2');
  });

  it('call chains', () => {
    const inner = NftChain('inner', [NftRule([Drop()])]);
    const filter = nft(chain(FORWARD, [Jump('inner')]), inner);
    const [outcome] = ask(line({ middle: { packetFilter: filter } }));
    expect(outcome?.hops.at(-1)?.steps.flatMap(({ rule }) => rule ?? [])).toEqual([
      'nft ip t filter-forward: jump inner',
      'nft ip t inner: drop',
    ]);
  });
});
