/** What other people's nodes print: devices, routes and files as they come, and what is made of what is broken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../fault/fault.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import type { NftRuleset } from '../../netfilter/netfilter.ts';
import { chooseProfile, clusterFrom, inventoryOf, parseManifests } from '../from-objects/from-objects.ts';
import { hostOf } from '../world.ts';
import { DUMP_FILES, inventoryOfNodes, readDump, signsOf, withNodes } from './from-nodes.ts';
import { folder, OBJECTS, own, WORKER } from './worker-fixture.ts';

function joined(
  files: Readonly<Record<string, string>> = WORKER,
  set: Readonly<Record<string, string>> = {},
) {
  const inventory = inventoryOf(parseManifests('cluster.yaml', OBJECTS), 'default');
  const cluster = clusterFrom(inventory, chooseProfile(inventory, { set: { network: 'tunnel', ...set } }));
  const result = withNodes(cluster, [readDump(folder(files))]);
  return { ...result, said: result.problems.slice(cluster.problems.length) };
}

describe('a node that was read', () => {
  const { world, said } = joined();
  const node = hostOf(world, 'worker-1');
  const interfaceOf = (name: string) => node.interfaces.find((each) => each.name === name);

  it('has the devices it has, and those that nobody models say why', () => {
    expect(node.interfaces.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'lo loopback',
      'ens5 veth',
      'docker0 bridge',
      'flannel.1 vxlan',
      'cni0 bridge',
      'veth1234 veth',
      'tunl0 veth',
    ]);
    expect(interfaceOf('tunl0')?.unmodelled).toBe('a device of the kind ipip');
    expect(interfaceOf('flannel.1')).toMatchObject({ vni: 1, underlay: 'ens5', mtu: 1450 });
    expect(node.readFrom).toBe('nodes/worker-1');
  });

  it('is on the fabric by its card: the router is whatever next hop there is', () => {
    expect(world.links).toContainEqual({
      a: { host: 'router', interface: 'worker-1' },
      b: { host: 'worker-1', interface: 'ens5' },
    });
    const [gateway] = hostOf(world, 'router').interfaces.flatMap(({ addresses }) => addresses);
    const hops = node.neighbours.filter((one) => one.interface === 'ens5').map(({ addr }) => addr.text);
    expect(hops.sort()).toEqual([gateway?.addr.text, '192.168.0.253'].sort());
    expect(hostOf(world, 'router').neighbours).toContainEqual(
      expect.objectContaining({
        interface: 'worker-1',
        mac: expect.objectContaining({ text: 'fa:16:3e:00:00:01' }),
      }),
    );
    expect(interfaceOf('ens5')?.addresses.map(({ length }) => length)).toEqual([32]);
    expect(node.routes.map(({ to }) => to.text)).toEqual([
      '192.168.0.0/24',
      '10.244.2.0/24',
      '203.0.113.99/32',
      '0.0.0.0/0',
    ]);
  });

  it('has its pod behind the port where its address was seen, and is its gateway', () => {
    expect(world.links).toContainEqual({
      a: { host: 'worker-1', interface: 'veth1234' },
      b: { host: 'default/web', interface: 'eth0' },
    });
    const pod = hostOf(world, 'default/web');
    const eth0 = pod.interfaces[1];
    expect(eth0).toMatchObject({ mac: { text: '0a:58:0a:f4:01:07' }, addresses: [{ length: 24 }] });
    expect(pod.neighbours.map(({ addr, mac }) => `${addr} ${mac}`)).toEqual(['10.244.1.1 0a:58:0a:f4:01:01']);
  });

  it('keeps what is not modelled of routes and rules, with its place', () => {
    expect(node.routes.find(({ kind }) => kind === 'unmodelled')).toMatchObject({
      to: { text: '203.0.113.99/32' },
      place: 'nodes/worker-1/route.json:5',
    });
    expect(node.routingRules).toMatchObject([
      { priority: 9, mark: { value: 0x10, mask: 0xff }, unmodelled: { place: 'nodes/worker-1/rule.json:4' } },
    ]);
  });

  it('has its settings and sockets', () => {
    expect(node.sysctls).toEqual({ ipForward: true, rpFilter: 0, bridgeNfCallIptables: true });
    expect(interfaceOf('ens5')?.rpFilter).toBe(2);
    expect(node.listeners.map(({ protocol, port, addr }) => `${protocol} ${addr ?? '*'} ${port}`)).toEqual([
      'TCP 127.0.0.1 10248',
      'TCP * 10250',
      'TCP :: 22',
      'UDP 127.0.0.53 53',
    ]);
  });

  it('says what was taken for granted', () => {
    expect(said).toEqual([
      {
        place: 'nodes/worker-1',
        message: `there is no ${DUMP_FILES.map(({ name }) => name)
          .filter((name) => !(name in WORKER) && name !== 'iptables-legacy-save.txt')
          .join(', ')}: taken for empty`,
      },
      {
        place: 'nodes/worker-1/sysctl.txt:6',
        message: 'net.ipv4.conf.all.src_valid_mark = 1 is not modelled: taken for 0',
      },
    ]);
  });

  it('is a node without objects, too', () => {
    const dumps = [readDump(folder(WORKER))];
    const inventory = inventoryOfNodes(dumps);
    expect(inventory.nodes).toMatchObject([
      {
        metadata: { name: 'worker-1' },
        spec: { podCIDR: '10.244.1.0/24' },
        status: { addresses: [{ address: '192.168.0.11' }] },
      },
    ]);
    expect(signsOf(dumps)).toEqual({ network: 'tunnel', proxyMode: 'iptables' });
  });
});

describe('what is missing', () => {
  it('a pod that no device leads to is cut off, and a device that leads to none says so', () => {
    const { world, said } = joined({
      ...WORKER,
      'link.json': (WORKER['link.json'] ?? '').replace('"master":"cni0"', '"group":"default"'),
      'fdb.json': '[]',
    });
    expect(hostOf(world, 'default/web').interfaces[1]?.unmodelled).toBe('no device of worker-1 leads to it');
    const veth = hostOf(world, 'worker-1').interfaces.find(({ name }) => name === 'veth1234');
    expect(veth?.unmodelled).toBe('what is at its other end was not collected');
    expect(said.map(({ message }) => message)).toContain(
      "no device of 'worker-1' leads to pod 'default/web'",
    );
  });

  it('a pod of whom the node has not heard is behind a port that is free', () => {
    const { world, said } = joined({ ...WORKER, 'neigh.json': '[]' });
    expect(world.links).toContainEqual({
      a: { host: 'worker-1', interface: 'veth1234' },
      b: { host: 'default/web', interface: 'eth0' },
    });
    expect(said.map(({ message }) => message)).toContain(
      "'worker-1' has heard nothing of pod 'default/web' yet: taken to be behind veth1234",
    );
  });

  it('an address on a device that is down is nobody’s', () => {
    const { world } = joined({
      ...WORKER,
      'route.json': (WORKER['route.json'] ?? '').replace(
        `${JSON.stringify(own('172.17.0.1', 'docker0'))},\n`,
        '',
      ),
    });
    const docker = hostOf(world, 'worker-1').interfaces.find(({ name }) => name === 'docker0');
    expect(docker?.addresses).toEqual([]);
  });
});

describe('what is broken is told with file and line', () => {
  it.each<[string, string, string | undefined, RegExp]>([
    ['a file that is not there', 'addr.json', undefined, /^nodes\/worker-1: there is no addr\.json$/],
    [
      'a list that is cut off',
      'link.json',
      '[{"ifindex": 1,\n"ifname": "lo"},\n{"ifind',
      /link\.json:3: the file is cut off/,
    ],
    [
      'no JSON',
      'neigh.json',
      '[{"dst": "10.0.0.1"},\nCannot open netlink\n]',
      /neigh\.json:2: this is no JSON/,
    ],
    ['no list', 'rule.json', '{}', /rule\.json:1: this is no list/],
    [
      'no object',
      'fdb.json',
      '[{"mac": "02:00:00:00:00:01", "ifname": "a"},\n7]',
      /fdb\.json:2: this is no object/,
    ],
    [
      'a field that is not there',
      'route.json',
      '[{"dst": "default"},\n{"dev": "ens5"}]',
      /route\.json:2: there is no 'dst'/,
    ],
    ['a field of another type', 'link.json', '[{"ifname": 5}]', /link\.json:1: 'ifname' is no text/],
    [
      'an address that is none',
      'route.json',
      '[{"dst": "10.0.0.300"}]',
      /route\.json:1: '10\.0\.0\.300' is not an IP address/,
    ],
    [
      'a socket that is none',
      'ss.txt',
      'tcp LISTEN 0 1 10.0.0.1:80 *:*\nwhat is this',
      /ss\.txt:2: 'what is this' is not/,
    ],
    [
      'a setting that is none',
      'sysctl.txt',
      '\nsysctl: permission denied',
      /sysctl\.txt:2: 'sysctl: permission denied'/,
    ],
    [
      'rules that are cut off',
      'iptables-save.txt',
      '*nat\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n',
      /iptables-save\.txt:3: the table 'filter' has no COMMIT/,
    ],
    [
      'no rules',
      'iptables-save.txt',
      'Fatal: permission denied\n',
      /iptables-save\.txt:1: 'Fatal: permission denied' is not/,
    ],
    [
      'nft that is cut off',
      'nft.json',
      '{"nftables": [\n{"metainfo": {}},\n{"tab',
      /nft\.json:3: this is not what nft -j prints/,
    ],
    ['no sets', 'ipset.txt', 'create a hash:ip\nadd b 1.2.3.4\n', /ipset\.txt:2: 'add b 1\.2\.3\.4' is not/],
    ['no virtual server', 'ipvsadm.txt', '-A -t 10.0.0.1:80 -s rr\n-Z\n', /ipvsadm\.txt:2: '-Z' is not/],
  ])('%s', (_, name, text, message) => {
    const { [name]: before, ...others } = WORKER;
    expect(before === undefined || before !== text).toBe(true);
    expect(() => readDump(folder(text === undefined ? others : { ...others, [name]: text }))).toThrow(
      message,
    );
  });

  it('a folder that is no node', () => {
    const inventory = inventoryOf(parseManifests('cluster.yaml', OBJECTS), 'default');
    const cluster = clusterFrom(inventory, chooseProfile(inventory, { set: { network: 'tunnel' } }));
    expect(() => withNodes(cluster, [readDump(folder(WORKER, 'worker-9'))])).toThrow(
      "nodes/worker-9: there is no node 'worker-9'",
    );
    const moved = {
      ...WORKER,
      'addr.json': (WORKER['addr.json'] ?? '').replace('192.168.0.11', '192.168.0.19'),
    };
    expect(() => joined(moved)).toThrow(
      "nodes/worker-1: no device of node 'worker-1' has its address 192.168.0.11",
    );
  });
});

describe('rules that were read', () => {
  it('of iptables that nftables keeps are not there twice', () => {
    const nft = JSON.stringify({
      nftables: [
        { table: { family: 'ip', name: 'first', handle: 1 } },
        { table: { family: 'ip', name: 'filter', handle: 3 } },
        { table: { family: 'inet', name: 'filter', handle: 2 } },
      ],
    });
    const save =
      '# Generated by iptables-save v1.8.9 (nf_tables) on Sat\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n';
    const tables = (text: string) => {
      const { packetFilter } = readDump(folder({ ...WORKER, 'nft.json': nft, 'iptables-save.txt': text }));
      const names = (ruleset: NftRuleset | undefined) =>
        (ruleset?.tables ?? []).map(({ family, name }) => `${family} ${name}`);
      return [names(packetFilter?.nftables), names(packetFilter?.laterNftables)];
    };
    // The kernel asks chains of one priority in the order in which their tables are not listed.
    expect(tables(save)).toEqual([['ip first'], ['inet filter']]);
    expect(tables(save.replace(' (nf_tables)', ''))).toEqual([['ip first', 'ip filter', 'inet filter'], []]);
  });

  it('stand beside what stands for another Service proxy, which prints none', () => {
    const tables = (set: Readonly<Record<string, string>>) =>
      hostOf(joined(WORKER, set).world, 'worker-1').packetFilter?.nftables?.tables.length ?? 0;
    expect([tables({}), tables({ serviceProxy: 'Cilium' })]).toEqual([0, 1]);
  });

  it('make those of the profile give way, also where there are none', () => {
    const before = joined();
    expect(hostOf(before.world, 'worker-2').policies).toHaveLength(1);
    const { policies, packetFilter } = hostOf(before.world, 'worker-1');
    expect(policies).toEqual([]);
    expect(packetFilter?.iptables?.[0]?.tables.get('filter')?.chains.get('FORWARD')).toMatchObject({
      policy: 'DROP',
      place: 'nodes/worker-1/iptables-save.txt:2',
    });
    const { 'iptables-save.txt': _, ...unasked } = WORKER;
    expect(hostOf(joined(unasked).world, 'worker-1').policies).toHaveLength(1);
  });
});

describe('readers', () => {
  const addr = fc.bigInt({ min: 1n, max: 0xdfff_ffffn }).map((value) => Addr.fromValue(4, value));
  const prefix = fc.tuple(addr, fc.nat(32)).map(([one, length]) => Prefix.of(one, length));
  const table = fc.integer({ min: 1, max: 252 });
  const text = (to: Prefix) => (to.length === 0 ? 'default' : to.isHost ? to.addr.text : to.text);

  it('read back every route', () => {
    const route = fc.record({ to: prefix, via: fc.option(addr), source: fc.option(addr), table });
    fc.assert(
      fc.property(fc.array(route, { maxLength: 8 }), (routes) => {
        const lines = routes.map(({ to, via, source, table: id }) => ({
          dst: text(to),
          dev: 'ens5',
          ...(via === null ? {} : { gateway: via.text }),
          ...(source === null ? {} : { prefsrc: source.text }),
          table: String(id),
          flags: [],
        }));
        const { routes: read } = readDump(folder({ ...WORKER, 'route.json': JSON.stringify(lines) }));
        expect(read[4].routes).toEqual(
          routes.map(({ to, via, source, table: id }) => ({
            kind: 'unicast',
            to,
            interface: 'ens5',
            table: id,
            ...(via === null ? {} : { via }),
            ...(source === null ? {} : { source }),
          })),
        );
      }),
    );
  });

  it('read back every rule', () => {
    const bits = fc.integer({ min: 1, max: 0xffff_ffff });
    const mark = fc.option(fc.record({ value: bits, mask: bits }));
    const rule = fc.record({ priority: fc.integer({ min: 1, max: 32765 }), from: prefix, mark, table });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), (rules) => {
        const lines = rules.map(({ priority, from, mark: marked, table: id }) => ({
          priority,
          src: from.addr.text,
          ...(from.isHost ? {} : { srclen: from.length }),
          ...(marked === null
            ? {}
            : { fwmark: `0x${marked.value.toString(16)}`, fwmask: `0x${marked.mask.toString(16)}` }),
          table: String(id),
        }));
        const { routingRules } = readDump(folder({ ...WORKER, 'rule.json': JSON.stringify(lines) }));
        expect(routingRules).toEqual(
          rules.map(({ mark: marked, ...rest }) => ({
            ...rest,
            ...(marked === null ? {} : { mark: marked }),
          })),
        );
      }),
    );
  });

  it('read what is spoilt in any way, or say what is wrong with it', () => {
    const names = Object.keys(WORKER);
    const spoilt = fc.record({
      name: fc.constantFrom(...names),
      at: fc.nat(),
      cut: fc.nat(40),
      instead: fc.oneof(fc.constantFrom('', '0', '"', '{}', 'null', ',', '\n'), fc.string({ maxLength: 3 })),
    });
    fc.assert(
      fc.property(spoilt, ({ name, at, cut, instead }) => {
        const whole = WORKER[name] ?? '';
        const start = at % whole.length;
        const files = { ...WORKER, [name]: whole.slice(0, start) + instead + whole.slice(start + cut) };
        try {
          joined(files);
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          expect(error.message).not.toBe('');
        }
      }),
      { numRuns: 400 },
    );
  });
});
