/** Rules that were read from files: each names its place, and what is not modelled matters where a packet comes to it. */
import { describe, expect, it } from 'vitest';
import { Addr, Prefix, portOf } from '../ip/ip.ts';
import { parseIptablesSave, parseIpvsadmSave, parseNftRuleset } from '../netfilter/netfilter.ts';
import { routeBy } from '../world/wiring.ts';
import { type Host, MAIN_TABLE, type PacketFilter, type Route } from '../world/world.ts';
import { line, SERVER } from './line-fixture.ts';
import { walk } from './trace.ts';

const ask = (packetFilter: PacketFilter, port = 80, protocol: 'TCP' | 'UDP' = 'TCP') => {
  const world = line({ middle: { packetFilter } });
  const [outcome] = walk(world, { from: 'client', to: SERVER, port: portOf(port), protocol });
  if (outcome === undefined) throw new Error('a walk has an outcome');
  const { rule, place } = outcome.deciding?.step ?? {};
  return { verdict: outcome.verdict, reason: outcome.reason, rule, place };
};

const iptables = (...rules: readonly string[]): PacketFilter => {
  const text = ['*filter', ':FORWARD ACCEPT [0:0]', ...rules, 'COMMIT'].join('\n');
  return { iptables: [parseIptablesSave(text, 4, 'n1/iptables-save.txt')] };
};

const nft = (...rules: readonly unknown[][]): PacketFilter => {
  const where = { family: 'ip', table: 't' };
  const base = { ...where, name: 'forward', type: 'filter', hook: 'forward', prio: 0, policy: 'accept' };
  const items = [
    { table: { family: 'ip', name: 't' } },
    { chain: base },
    ...rules.map((expr) => ({ rule: { ...where, chain: 'forward', expr } })),
  ];
  const text = `{"nftables": [\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]}`;
  return { nftables: parseNftRuleset(text, 'n1/nft.json') };
};

const toPort = (port: number) => ({
  match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: port },
});
const strange = { match: { op: '==', left: { osf: { key: 'name' } }, right: 'Linux' } };

describe('rules of iptables', () => {
  it('bear the line they stand at', () => {
    expect(ask(iptables('-A FORWARD -p udp -j DROP', '-A FORWARD -p tcp -m tcp --dport 80 -j DROP'))).toEqual(
      {
        verdict: 'timeout',
        reason: 'droppedByRule',
        rule: 'iptables -t filter -A FORWARD -p tcp -m tcp --dport 80 -j DROP',
        place: 'n1/iptables-save.txt:4',
      },
    );
  });

  it('that cannot be read matter to what comes to them, and keep their text', () => {
    const rule = '-s 10.0.0.0/255.0.999.0 -p tcp -j DROP';
    const filter = iptables('-A FORWARD -p udp -j ACCEPT', `-A FORWARD ${rule}`);
    expect(ask(filter)).toEqual({
      verdict: 'unknown',
      reason: 'unmodelled',
      rule: `iptables -t filter -A FORWARD ${rule}`,
      place: 'n1/iptables-save.txt:4',
    });
    expect(ask(filter, 80, 'UDP').verdict).toBe('reached');
  });

  it('that only tell or trim segments matter to nobody', () => {
    const clamp = '-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu';
    const log = '-p tcp -m limit --limit 3/min -j LOG --log-prefix "in "';
    expect(ask(iptables(`-A FORWARD ${clamp}`, `-A FORWARD ${log}`)).verdict).toBe('reached');
  });

  it('find what is not tracked yet invalid, and what is left out untracked', () => {
    const raw = (rule: string, filter: string) => {
      const text = `*raw\n:PREROUTING ACCEPT [0:0]\n${rule}\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n${filter}\nCOMMIT`;
      return ask({ iptables: [parseIptablesSave(text, 4)] }).verdict;
    };
    const drop = (state: string) => `-A FORWARD -m conntrack --ctstate ${state} -j DROP`;
    const invalid = '-A PREROUTING -m conntrack --ctstate INVALID -j CT --notrack';
    expect(raw(invalid, drop('UNTRACKED'))).toBe('timeout');
    expect(raw('-A PREROUTING -p udp -j CT --notrack', drop('UNTRACKED'))).toBe('reached');
    expect(raw('-A PREROUTING -j NOTRACK', drop('INVALID'))).toBe('reached');
  });

  it('that track one direction only leave the answer open', () => {
    const half = '*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 10.0.1.2/32 -j CT --notrack\nCOMMIT';
    const states = '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate SNAT -j DROP\nCOMMIT';
    expect(ask({ iptables: [parseIptablesSave(`${half}\n${states}`, 4)] })).toMatchObject({
      verdict: 'unknown',
      reason: 'unmodelled',
    });
  });

  it('ask flags of TCP, and states by the older module', () => {
    const syn = '--tcp-flags FIN,SYN,RST,ACK SYN';
    expect(ask(iptables(`-A FORWARD -p tcp -m tcp ${syn} -j DROP`)).verdict).toBe('timeout');
    const others = iptables(
      '-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT',
      `-A FORWARD -p tcp -m tcp ! ${syn} -j DROP`,
    );
    expect(ask(others).verdict).toBe('reached');
  });
});

describe('rules of nftables', () => {
  it('bear the line they stand at', () => {
    expect(ask(nft([toPort(81), { drop: null }], [toPort(80), { drop: null }]))).toEqual({
      verdict: 'timeout',
      reason: 'droppedByRule',
      rule: 'nft ip t forward: tcp dport 80 drop',
      place: 'n1/nft.json:5',
    });
  });

  it('matter only where all that is understood of them holds, wherever it stands', () => {
    const filter = nft([strange, toPort(81), { drop: null }]);
    expect(ask(filter).verdict).toBe('reached');
    expect(ask(filter, 81)).toMatchObject({
      verdict: 'unknown',
      rule: 'nft ip t forward: {"osf":{"key":"name"}} "Linux" tcp dport 81 drop',
      place: 'n1/nft.json:4',
    });
  });

  it('matter to nobody where nothing follows what is not understood', () => {
    const limit = { limit: { rate: 5, per: 'minute' } };
    expect(ask(nft([toPort(80), limit, { log: { prefix: 'in' } }, { counter: null }])).verdict).toBe(
      'reached',
    );
    expect(ask(nft([toPort(80), limit, { drop: null }])).verdict).toBe('unknown');
  });

  it('that lead to any of several ports are not modelled', () => {
    const redirect = { redirect: { port: { range: [80, 90] } } };
    expect(ask(nft([toPort(80), redirect])).verdict).toBe('unknown');
    expect(ask(nft([toPort(80), redirect]), 81).verdict).toBe('refused');
  });

  it('ask what somebody has put into a set with a timeout, and not what packets have', () => {
    const set = { family: 'ip', name: 'banned', table: 't', type: 'ipv4_addr', timeout: 3600 };
    const elem = [{ elem: { val: '10.0.1.2', expires: 60 } }];
    const asked = {
      match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: '@banned' },
    };
    const fill = {
      set: { op: 'add', elem: { payload: { protocol: 'ip', field: 'daddr' } }, set: '@banned' },
    };
    const text = (rules: readonly unknown[][]) =>
      JSON.stringify({
        nftables: [
          { table: { family: 'ip', name: 't' } },
          { set: { ...set, elem } },
          { chain: { family: 'ip', table: 't', name: 'f', type: 'filter', hook: 'forward', prio: 0 } },
          ...rules.map((expr) => ({ rule: { family: 'ip', table: 't', chain: 'f', expr } })),
        ],
      });
    const verdict = (...rules: readonly unknown[][]) =>
      ask({ nftables: parseNftRuleset(text(rules), 'nft.json') }).verdict;
    expect(verdict([asked, { drop: null }])).toBe('timeout');
    expect(verdict([asked, { drop: null }], [toPort(99), fill])).toBe('reached');
  });

  it('that cannot be read matter to what comes to them', () => {
    const broken = { match: { op: '==', left: { payload: 'of an older nft' }, right: 1 } };
    expect(ask(nft([broken, { drop: null }]))).toMatchObject({ verdict: 'unknown', place: 'n1/nft.json:4' });
  });
});

describe('ways that are not modelled', () => {
  const to = (port: number, middle: Partial<Host>) => {
    const world = line({ middle });
    return walk(world, { from: 'client', to: SERVER, port: portOf(port), protocol: 'TCP' })[0];
  };
  const elsewhere = Prefix.parse('10.3.0.0/16');
  const there = Prefix.parse('10.0.2.0/25');
  const said = { text: 'not from all iif left lookup 7', place: 'n1/rule.json:3' };

  it('matter where a lookup comes to them', () => {
    const route = (prefix: Prefix): Route => ({
      kind: 'unmodelled',
      to: prefix,
      table: MAIN_TABLE,
      text: `${prefix} nexthop via 10.0.2.3 nexthop via 10.0.2.4`,
      place: 'n1/route.json:8',
    });
    expect(to(80, { routes: [route(elsewhere)] })?.verdict).toBe('reached');
    expect(to(80, { routes: [route(there)] })).toMatchObject({
      verdict: 'unknown',
      deciding: { host: 'middle', step: { place: 'n1/route.json:8' } },
    });
  });

  it('matter where a rule may lead to a table that knows the destination', () => {
    const rules = (prefix: Prefix): Partial<Host> => ({
      routes: [routeBy(prefix, 'left', { table: 7 })],
      routingRules: [{ priority: 5, table: 7, unmodelled: said }],
    });
    expect(to(80, rules(elsewhere))?.verdict).toBe('reached');
    expect(to(80, rules(there))).toMatchObject({
      verdict: 'unknown',
      deciding: { step: { rule: said.text, place: said.place } },
    });
  });

  it('matter where a packet passes such a device', () => {
    const middleToClient = { unmodelled: 'programs of tc are attached' };
    const [outcome] = walk(line({ middleToClient }), {
      from: 'client',
      to: SERVER,
      port: portOf(80),
      protocol: 'TCP',
    });
    expect(outcome).toMatchObject({
      verdict: 'unknown',
      deciding: { host: 'middle', step: { detail: 'left: programs of tc are attached' } },
    });
  });

  it('an unspecified address is any of its family to a listener', () => {
    const at = (addr: string) =>
      walk(line({ server: { listeners: [{ protocol: 'TCP', port: portOf(80), addr: Addr.parse(addr) }] } }), {
        from: 'client',
        to: SERVER,
        port: portOf(80),
        protocol: 'TCP',
      })[0]?.verdict;
    expect(['0.0.0.0', SERVER.text, '::', '10.0.2.9'].map(at)).toEqual([
      'reached',
      'reached',
      'refused',
      'refused',
    ]);
  });
});

describe('virtual servers of IPVS', () => {
  it('that hang on a mark matter to packets that bear it', () => {
    const ipvs = parseIpvsadmSave('-A -f 7 -s rr\n-a -f 7 -r 10.0.2.2:80 -m -w 1\n');
    const [ruleset] = iptables().iptables ?? [];
    if (ruleset === undefined) throw new Error('there is one');
    const marks = (port: number) =>
      parseIptablesSave(
        `*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport ${port} -j MARK --set-xmark 0x7/0xffffffff\nCOMMIT\n`,
        4,
      );
    // IPVS looks at what is for the host itself, and at what it sends.
    const filter = (port: number) => ({ ipvs, iptables: [marks(port)] });
    const to = (port: number) => {
      const world = line({
        middle: { packetFilter: filter(81), listeners: [{ protocol: 'TCP', port: portOf(port) }] },
      });
      const own = world.hosts.get('middle')?.interfaces[1]?.addresses[0]?.addr ?? SERVER;
      return walk(world, { from: 'client', to: own, port: portOf(port), protocol: 'TCP' })[0]?.verdict;
    };
    expect(to(80)).toBe('reached');
    expect(to(81)).toBe('unknown');
  });
});
