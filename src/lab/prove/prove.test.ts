import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Addr, Endpoint, Mac, portOf } from '../../ip/ip.ts';
import { parseIptablesSave } from '../../netfilter/netfilter.ts';
import { buildCluster, type ClusterFacts } from '../../world/build.ts';
import { defaultNodes, type PodFacts } from '../../world/facts.ts';
import { profileOf } from '../../world/profile.ts';
import { type Host, hostOf, type World } from '../../world/world.ts';
import { type Cage, openCage } from '../cage.ts';
import { CAGES } from '../cages-contract.ts';
import { realise } from '../realise.ts';
import {
  evidenceText,
  gatherEvidence,
  openLab,
  prove,
  type Question,
  startListeners,
  textOf,
} from './prove.ts';

const profile = profileOf({ network: 'tunnel' });
const nodes = defaultNodes(profile, 2);
const EIGHTY = portOf(80);
const BALANCER = Addr.parse('192.168.0.200');

const pod = (name: string, at: 0 | 1, host: number): PodFacts => ({
  namespace: 'default',
  name,
  node: `n${at + 1}`,
  address: Addr.parse(`172.16.${at + 1}.${host}`),
  listeners: [
    { protocol: 'TCP', port: EIGHTY },
    { protocol: 'UDP', port: EIGHTY },
  ],
});
const pods = [pod('one', 0, 10), pod('two', 1, 10), pod('client', 1, 11)];
const [one, two] = pods as [PodFacts, PodFacts];

/** A balancer before two node ports, which a process on each node answers. */
const facts: ClusterFacts = {
  profile,
  pods,
  nodes: nodes.map((node) => ({ ...node, listeners: [{ protocol: 'TCP', port: portOf(30080) }] })),
  balancers: [
    {
      name: 'balancer',
      address: BALANCER,
      keepClientAddress: false,
      listeners: [
        {
          protocol: 'TCP',
          port: EIGHTY,
          members: nodes.map(({ address }) => new Endpoint(address, portOf(30080))),
        },
      ],
    },
  ],
};
const world = buildCluster(facts);

const ask = (to: Addr, more: Partial<Question> = {}): Question => ({
  from: 'default/client',
  to,
  port: EIGHTY,
  protocol: 'TCP',
  ...more,
});

describe.each(CAGES)('in a cage of $name', ({ options }) => {
  let cage: Cage;
  afterEach(async () => await cage.close());
  const build = async (built: World): Promise<Cage> => {
    cage = await openCage(options);
    await realise(built, cage);
    await startListeners(built, cage);
    return cage;
  };

  it('counts what the kernel does as foretold, each endpoint that chance may choose', async () => {
    const questions = [
      ask(BALANCER),
      ask(one.address),
      ask(one.address, { protocol: 'UDP' }),
      ask(one.address, { port: portOf(81) }),
      ask(one.address, { from: 'external' }),
    ];
    const { agreements, mismatches } = await prove(world, await build(world), questions);
    expect(mismatches).toEqual([]);
    expect(agreements.map(({ answers }) => [...new Set(answers.map(textOf))].sort())).toEqual([
      [
        'reached n1 at 192.168.0.11:30080 as 192.168.0.200',
        'reached n2 at 192.168.0.12:30080 as 192.168.0.200',
      ],
      ['reached default/one at 172.16.1.10:80 as 172.16.2.11'],
      ['reached default/one at 172.16.1.10:80 as 172.16.2.11'],
      ['refused'],
      ['timeout'],
    ]);
  });

  it('tells what the kernel does otherwise', async () => {
    // The kernel holds a World whose balancer has one member, and in which nothing listens on `two`.
    const [balancer] = facts.balancers ?? [];
    const [listener] = balancer?.listeners ?? [];
    if (balancer === undefined || listener === undefined) throw new Error('there is a balancer');
    const other = buildCluster({
      ...facts,
      balancers: [{ ...balancer, listeners: [{ ...listener, members: listener.members.slice(0, 1) }] }],
      pods: pods.map((each) => (each === two ? { ...each, listeners: [] } : each)),
    });
    const questions = [ask(BALANCER), ask(two.address, { from: 'n2' }), ask(one.address)];
    const { agreements, mismatches } = await prove(world, await build(other), questions);
    expect(agreements.map(({ question }) => question)).toEqual([questions[2]]);
    const [unbalanced, closed] = mismatches;
    expect(unbalanced?.missing).toEqual(['reached n2 at 192.168.0.12:30080 as 192.168.0.200']);
    expect(unbalanced?.unexpected).toEqual([]);
    expect(closed?.unexpected.map(textOf)).toEqual(['refused']);
    if (closed === undefined) throw new Error('the closed port differs');
    const text = evidenceText(await gatherEvidence(world, cage, closed));
    const lines = text.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '));
    expect(lines[0]).toBe('seen: refused');
    expect(lines[1]).toMatch(/^n2 vethac10020a out tcp SYN 192\.168\.0\.12:\d+ > 172\.16\.2\.10:80$/);
    expect(lines[2]).toMatch(/^default\/two eth0 in tcp SYN /);
    expect(lines[3]).toMatch(/^default\/two eth0 out tcp ACK\+RST 172\.16\.2\.10:80 > /);
    expect(lines[4]).toMatch(/^n2 vethac10020a in tcp ACK\+RST /);
  });

  it('shows what the hosts on the way kept of a connection', async () => {
    const [observation] = (await prove(world, await build(world), [ask(BALANCER)])).agreements;
    if (observation === undefined) throw new Error('the balancer answers');
    const { packets, connections, answer } = await gatherEvidence(world, cage, observation);
    expect(answer?.verdict).toBe('reached');
    expect(packets.map(({ host }) => host)).toEqual(
      expect.arrayContaining(['default/client', 'n2', 'router', 'balancer']),
    );
    expect(connections.get('balancer')?.join()).toMatch(/dst=192\.168\.0\.200 .*dport=80 .*sport=30080/);
  });

  it('has a link to nowhere whose addresses are the own ones of its host', async () => {
    const n1 = hostOf(world, 'n1');
    const mac = n1.interfaces.flatMap((each) => ('mac' in each ? [each.mac] : []))[0];
    if (mac === undefined) throw new Error('a node has links');
    const own = Addr.parse('10.247.0.10');
    const dummy = { kind: 'dummy', name: 'kube-ipvs0', mac, addresses: [{ addr: own, length: 32 }] } as const;
    const withDummy = { ...n1, interfaces: [...n1.interfaces, dummy] };
    const held = { ...world, hosts: new Map([...world.hosts, ['n1', withDummy]]) };
    const questions = [
      ask(own, { from: 'default/one', port: portOf(30080) }),
      ask(own, { from: 'n1', port: portOf(30080) }),
      ask(own, { from: 'n1' }),
      ask(own, { from: 'n2' }),
    ];
    const { agreements, mismatches } = await prove(held, await build(held), questions);
    expect(mismatches).toEqual([]);
    expect(agreements.map(({ answers }) => answers.map(textOf).join())).toEqual([
      'reached n1 at 10.247.0.10:30080 as 172.16.1.10',
      'reached n1 at 10.247.0.10:30080 as 10.247.0.10',
      'refused',
      'timeout',
    ]);
  });

  it('has a tunnel that leads to its own host, where that has bound the address of another', async () => {
    const n2 = hostOf(world, 'n2');
    const addresses = nodes.slice(0, 1).map(({ address }) => ({ addr: address, length: 32 }));
    const mac = Mac.forAddr(Addr.parse('10.247.0.10'));
    const dummy = { kind: 'dummy', name: 'kube-ipvs0', mac, addresses } as const;
    const bound = { ...n2, interfaces: [...n2.interfaces, dummy] };
    const held = { ...world, hosts: new Map([...world.hosts, ['n2', bound]]) };
    const questions = [
      ask(one.address),
      ask(one.address, { protocol: 'UDP' }),
      ask(one.address, { from: 'n2' }),
      ask(two.address, { from: 'n1' }),
    ];
    const { agreements, mismatches } = await prove(held, await build(held), questions);
    expect(mismatches).toEqual([]);
    expect(agreements.map(({ outcomes, answers }) => [outcomes[0]?.reason, answers[0]?.verdict])).toEqual([
      ['timeToLiveExceeded', 'refused'],
      ['timeToLiveExceeded', 'timeout'],
      ['tunnelToItself', 'timeout'],
      // What that other sends bears the address that is now this host's own.
      ['martianSource', 'timeout'],
    ]);
  });
});

it('refuses a World that contradicts itself before anything is built', async () => {
  const [link] = world.links;
  if (link === undefined) throw new Error('there are links');
  const torn = { ...world, links: world.links.slice(1) };
  const cage = await openCage();
  try {
    await expect(realise(torn, cage)).rejects.toMatchObject({ code: 'FE011' });
    const { stdout } = await cage.exec().run({ file: 'ip', args: ['netns', 'list'] });
    expect(stdout).toBe('');
  } finally {
    await cage.close();
  }
});

it('names the host and the command of a step that fails, and tears all down', async () => {
  const n1 = hostOf(world, 'n1');
  const clash = { ...n1, routes: [...n1.routes, ...n1.routes] };
  const cage = await openCage();
  const held = { ...world, hosts: new Map([...world.hosts, ['n1', clash]]) };
  await expect(realise(held, cage)).rejects.toMatchObject({
    code: 'FE002',
    message: expect.stringMatching(/^n1: 'ip route add 0\.0\.0\.0\/0 .*' failed: .*File exists/),
  });
  await cage.ended;
});

describe('a lab that cannot be opened', () => {
  const children = (): string[] =>
    readdirSync('/proc/self/task')
      .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' '))
      .filter((pid) => pid !== '');
  const withN1 = (host: Partial<Host>): World => ({
    ...world,
    hosts: new Map([...world.hosts, ['n1', { ...hostOf(world, 'n1'), ...host }]]),
  });

  it.each<[string, World, string, RegExp]>([
    [
      'a tool that refuses its rules',
      withN1({
        packetFilter: {
          iptables: [
            parseIptablesSave('*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MASQUERADE\nCOMMIT\n', 4),
          ],
        },
      }),
      'FE002',
      /^n1: 'iptables-restore --wait 5' failed: /,
    ],
    [
      'a process that cannot listen',
      withN1({ listeners: [{ protocol: 'TCP', port: EIGHTY, addr: Addr.parse('192.0.2.1') }] }),
      'FE005',
      /n1: TCP 192\.0\.2\.1:80: Cannot assign requested address/,
    ],
  ])('for %s says where and why, and leaves no process', async (_, wrong, code, message) => {
    // Of the tests before this one some may still be on its way out.
    const before = new Set(children());
    await expect(openLab(wrong, { kernel: 'host' })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(children().filter((pid) => !before.has(pid))).toEqual([]);
  });
});
