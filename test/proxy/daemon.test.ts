/** The daemon against the real API server and a real node's namespace, in each mode; IPVS in a guest. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from '../../src/apiserver/test-server.ts';
import { type HttpKubeClient, socketClient } from '../../src/client/http-client.ts';
import { lineLog } from '../../src/fault/log.ts';
import { Prefix } from '../../src/ip/ip.ts';
import type { EndpointSlice, Event, Service } from '../../src/kube/objects.ts';
import { RESOURCES } from '../../src/kube/resources.ts';
import { openVm, type Vm } from '../../src/lab/vm/vm.ts';
import { DEFAULT_CONFIG, type ProxyMode } from '../../src/proxy/proxy.ts';
import { IptablesBackend } from '../../src/sync/iptables-backend.ts';
import { NftablesBackend } from '../../src/sync/nftables-backend.ts';
import {
  cleanupProxy,
  type IpvsSettings,
  type RunningProxy,
  runProxy,
  type SyncIntervals,
} from '../../src/sync/sync.ts';
import { Bed, N1, pods } from './bed.ts';
import { eventually } from './eventually.ts';
import { describeLastingFlows } from './lasting-flows.ts';
import { type PodName, service, slice } from './scenario.ts';

const SERVICE_CIDRS = ['10.247.0.0/16', 'fd00:247::/112'].map((one) => Prefix.parse(one));

let here: Bed;
let served: Served;
let client: HttpKubeClient;
beforeAll(async () => {
  [here, served] = await Promise.all([Bed.open(), startServed({ serviceCIDRs: SERVICE_CIDRS })]);
  client = socketClient(served.socket);
  await client.create(RESOURCES.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDR: '172.16.0.0/24', podCIDRs: ['172.16.0.0/24'] },
  });
});
afterAll(async () => {
  await client.close();
  await served.stop();
  await here.close();
});

/** The kernel's package is fetched once in a machine's life. */
const FETCHING = 600_000;

describe.each(['nftables', 'iptables', 'ipvs'] as const)('%s', (mode) => {
  let bed: Bed;
  let guest: Vm | undefined;
  /** A program takes its time to start in a guest. */
  const canaryMs = mode === 'ipvs' ? 2500 : 200;
  let ending = new AbortController();
  let proxy: RunningProxy;
  const lines: string[] = [];
  const log = lineLog(
    (line) => lines.push(line),
    () => new Date(),
  );
  const start = (
    intervals: Partial<SyncIntervals> = { canaryMs },
    ipvs: IpvsSettings = {},
    as: ProxyMode = mode,
  ) => {
    ending = new AbortController();
    proxy = runProxy({
      client,
      nodeName: 'n1',
      nodeIPs: N1.ips,
      mode: as,
      ipvs,
      exec: bed.node,
      signal: ending.signal,
      log,
      listen: { health: HERE, metrics: HERE, healthCheckHost: '127.0.0.1' },
      intervals,
    });
    return proxy.synced;
  };
  const end = async () => {
    ending.abort();
    await proxy.ended;
  };

  beforeAll(async () => {
    if (mode === 'ipvs') {
      guest = await openVm();
      bed = await Bed.open(await guest.openCage());
    } else bed = here;
    await start();
  }, FETCHING);
  afterAll(async () => {
    await end();
    if (guest === undefined) await cleanupProxy(bed.node);
    else await guest.close();
    const names = (await client.list<Service>(RESOURCES.services, { namespace: 'default' })).items;
    for (const { metadata } of names) {
      if (metadata?.name === 'kubernetes') continue;
      await client.delete(RESOURCES.services, { namespace: 'default', name: metadata?.name ?? '' });
    }
    const slices = (await client.list<EndpointSlice>(RESOURCES.endpointslices, { namespace: 'default' }))
      .items;
    for (const { metadata } of slices) {
      await client.delete(RESOURCES.endpointslices, { namespace: 'default', name: metadata?.name ?? '' });
    }
  });

  const create = (object: Service) => client.create(RESOURCES.services, object, 'default');
  const point = (name: string, to: readonly PodName[]) =>
    client.create(RESOURCES.endpointslices, slice(name, to), 'default');
  const repoint = async (name: string, to: readonly PodName[]) => {
    const key = { name: `${name}-4`, namespace: 'default' };
    await client.patch(RESOURCES.endpointslices, key, 'merge', { endpoints: slice(name, to).endpoints });
  };
  const get = async (which: 'health' | 'metrics', path: string) => {
    const port = (await proxy.listening)[which];
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return { code: answer.status, text: await answer.text(), headers: answer.headers };
  };

  it('follows a Service from its creation to its end', async () => {
    const reach = () => bed.dial('pod2', '10.247.1.10:80');
    await create(service({ name: 'web', clusterIP: '10.247.1.10' }));
    expect(await eventually(reach, ([one]) => one === 'refused')).toEqual(['refused']);
    await point('web', ['pod1']);
    expect(pods(await eventually(reach, ([one]) => typeof one === 'object'))).toEqual(['pod1']);
    await repoint('web', ['pod3']);
    expect(pods(await eventually(reach, (answers) => pods(answers)[0] === 'pod3'))).toEqual(['pod3']);
    await client.delete(RESOURCES.services, { name: 'web', namespace: 'default' });
    expect(await eventually(reach, ([one]) => one === 'timeout')).toEqual(['timeout']);
  });

  describe('what lasts', () => describeLastingFlows(mode, () => ({ bed, client })));

  it('keeps rules and connections through a restart, and writes nothing it finds', async () => {
    await create(service({ name: 'kept', clusterIP: '10.247.1.12' }));
    await point('kept', ['pod1', 'pod3']);
    await eventually(
      () => bed.dial('pod2', '10.247.1.12:80'),
      ([one]) => typeof one === 'object',
    );
    const held = await bed.hold('pod2', '10.247.1.12:80');
    const first = await held.ask();
    await end();
    expect(pods(await bed.dial('pod2', '10.247.1.12:80', { times: 20 }))).toEqual(['pod1', 'pod3']);
    const before = lines.length;
    await start();
    expect(lines.slice(before).filter((line) => line.includes('rules are whole'))).toEqual([]);
    expect(await held.ask()).toEqual(first);
  });

  it('writes its rules anew when somebody flushes them', async () => {
    for (const [file, ...args] of FLUSHES[mode]) await bed.node.run({ file, args });
    const back = () => bed.dial('pod2', '10.247.1.12:80');
    expect(pods(await eventually(back, ([one]) => typeof one === 'object'))[0]).toMatch(/pod[13]/);
    expect(lines.some((line) => line.includes('somebody flushed them'))).toBe(true);
  });

  it('makes a whole of it after a transaction the kernel refused, and logs that', async () => {
    if (mode === 'nftables') {
      await bed.node.run({ file: 'nft', args: ['flush', 'map', 'ip', 'fairlead', 'endpoints-tcp'] });
    } else if (mode === 'ipvs') {
      await bed.node.run({ file: 'ipvsadm', args: ['-D', '-t', '10.247.1.12:80'] });
    } else {
      // A chain that somebody jumps to cannot be deleted.
      const { stdout } = await bed.node.run({ file: 'iptables-save', args: ['-t', 'nat'] });
      const chain = /default\/kept cluster IP.* -j (KUBE-SVC-\S+)/.exec(stdout)?.[1] ?? '';
      await bed.node.run({ file: 'iptables', args: ['-t', 'nat', '-A', 'OUTPUT', '-j', chain] });
    }
    await client.delete(RESOURCES.services, { name: 'kept', namespace: 'default' });
    const logged = await eventually(
      async () => lines.some((line) => line.includes('the kernel refused our rules')),
      (one) => one,
    );
    expect(logged).toBe(true);
    await create(service({ name: 'after', clusterIP: '10.247.1.13' }));
    await point('after', ['pod1']);
    const reach = () => bed.dial('pod2', '10.247.1.13:80');
    expect(pods(await eventually(reach, ([one]) => typeof one === 'object'))).toEqual(['pod1']);
  });

  it('answers a balancer at the healthCheckNodePort', async () => {
    const port = { nftables: 31801, iptables: 31802, ipvs: 31803 }[mode];
    const spec = {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: port,
      ports: [{ port: 80 }],
    };
    await create(service({ name: 'lb', clusterIP: '10.247.1.14', spec }));
    await point('lb', ['pod1', 'pod3']);
    const ask = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
      return { code: answer?.status, weight: answer?.headers.get('x-load-balancing-endpoint-weight') };
    };
    expect(await eventually(ask, ({ code }) => code === 200)).toEqual({ code: 200, weight: '1' });
    await repoint('lb', ['pod3']);
    expect(await eventually(ask, ({ code }) => code === 503)).toEqual({ code: 503, weight: '0' });
  });

  it('tells of health, readiness and metrics under names people know', async () => {
    expect((await get('health', '/healthz')).code).toBe(200);
    expect((await get('health', '/livez')).code).toBe(200);
    expect((await get('metrics', '/proxyMode')).text).toBe(mode);
    const { text } = await get('metrics', '/metrics');
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/);
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_service_changes_pending 0/);
  });

  it('leaves out alone what it cannot express, and says so in an Event', async () => {
    const address = { nftables: '203.0.113.9', iptables: '203.0.113.10', ipvs: '203.0.113.11' }[mode];
    const spec = { externalIPs: [address], ports: [{ port: 80 }] };
    await create(service({ name: 'taker-a', clusterIP: '10.247.1.15', spec }));
    await create(service({ name: 'taker-b', clusterIP: '10.247.1.16', spec }));
    await point('taker-a', ['pod3']);
    await point('taker-b', ['pod1']);
    const told = async () => {
      const { items } = await client.list<Event>(RESOURCES.events, { namespace: 'default' });
      return items
        .filter(({ involvedObject }) => involvedObject.name === 'taker-b')
        .map(({ message }) => message);
    };
    const where = mode === 'nftables' ? `${address} . tcp . 80` : `TCP ${address}:80`;
    const message = `${where} belongs to default/taker-a`;
    expect(await eventually(told, (messages) => messages.includes(message))).toContain(message);
    const inside = () => bed.dial('pod2', '10.247.1.16:80');
    expect(pods(await eventually(inside, ([one]) => typeof one === 'object'))).toEqual(['pod1']);
  });

  if (mode === 'ipvs') {
    const listed = async () => (await bed.node.run({ file: 'ipvsadm', args: ['-Sn'] })).stdout;
    const program = (text: string) => bed.node.run({ file: 'ipvsadm', args: ['-R'], stdin: text });

    it('does what the configuration says below ipvs', async () => {
      await end();
      await start({ canaryMs }, SETTINGS);
      expect(await listed()).toContain('-A -t 10.247.1.16:80 -s lc\n');
      const { stdout } = await bed.node.run({ file: 'ipvsadm', args: ['-Ln', '--timeout'] });
      expect(stdout).toMatch(/: 7200 90 /);
      const names = ['arp_ignore', 'arp_announce'].map((name) => `net.ipv4.conf.all.${name}`);
      const sysctls = await bed.node.run({ file: 'sysctl', args: ['-n', ...names] });
      expect(sysctls.stdout).toBe('1\n2\n');
    });

    it('gives a destination that goes no new connections, and takes it away when it has none left', async () => {
      await create(service({ name: 'drained', clusterIP: '10.247.1.19' }));
      await point('drained', ['pod1']);
      const destination = '-a -t 10.247.1.19:80 -r 172.16.0.2:8080';
      await eventually(listed, (text) => text.includes(destination));
      const held = await bed.hold('pod2', '10.247.1.19:80');
      expect(await held.ask()).toMatchObject({ pod: 'pod1' });
      await repoint('drained', ['pod3']);
      const quiet = await eventually(listed, (text) => text.includes(`${destination} -m -w 0`));
      expect(quiet).toContain(`${destination} -m -w 0`);
      // A restart in between forgets nothing of it.
      await end();
      await start({ canaryMs }, SETTINGS);
      expect(await held.ask()).toMatchObject({ pod: 'pod1' });
      expect(pods(await bed.dial('client', '10.247.1.19:80'))).toEqual(['pod3']);
      await held.end();
      // The kernel remembers a connection for ten seconds after a reset.
      const left = await eventually(listed, (text) => !text.includes(destination), 30_000);
      expect(left).not.toContain(destination);
    });

    it('leaves virtual servers alone that are not ours, and those of excludeCIDRs', async () => {
      await program(FOREIGN);
      const at = (name: string, clusterIP: string, externalIP: string) =>
        create(service({ name, clusterIP, spec: { externalIPs: [externalIP], ports: [{ port: 80 }] } }));
      await at('excluded', '10.247.1.17', '203.0.113.200');
      await at('included', '10.247.1.18', '203.0.113.100');
      await eventually(
        listed,
        (text) => text.includes('203.0.113.200:80') && text.includes('203.0.113.100:80'),
      );
      for (const name of ['excluded', 'included']) {
        await client.delete(RESOURCES.services, { name, namespace: 'default' });
      }
      const left = await eventually(listed, (text) => !text.includes('10.247.1.18:80'));
      expect(left).not.toContain('203.0.113.100:80');
      expect(left).toContain('-A -t 203.0.113.200:80');
      expect(left).toContain(FOREIGN);
    });

    const said = async (file: string, ...args: string[]) => (await bed.node.run({ file, args })).stdout;
    const onlyForeign = async () => {
      expect(await listed()).toBe(FOREIGN);
      expect(await said('ipset', 'list', '-n')).toBe('theirs\n');
      expect(await said('iptables-save')).not.toContain('KUBE-');
      expect(await said('iptables-save')).toContain('-A INPUT -s 203.0.113.9/32 -j DROP');
      expect(await said('ip', 'link', 'show')).not.toContain('kube-ipvs0');
    };

    it('leaves nothing in the way of nftables, where its users are going, nor of itself when they come back', async () => {
      await end();
      await program('-D -t 203.0.113.200:80\n');
      await bed.node.run({ file: 'ipset', args: ['create', 'theirs', 'hash:ip'] });
      await bed.node.run({ file: 'iptables', args: ['-A', 'INPUT', '-s', '203.0.113.9', '-j', 'DROP'] });
      await start({ canaryMs }, {}, 'nftables');
      const cleared = () => lines.some((line) => line.includes('cleared away the virtual servers'));
      await eventually(async () => cleared(), Boolean);
      await onlyForeign();
      expect(pods(await bed.dial('client', '10.247.1.19:80'))).toEqual(['pod3']);
      await end();
      await start();
      const tables = await eventually(
        () => said('nft', 'list', 'tables'),
        (text) => !text.includes('fairlead'),
      );
      expect(tables).not.toContain('fairlead');
      expect(pods(await bed.dial('client', '10.247.1.19:80'))).toEqual(['pod3']);
    });

    it('takes everything of its own away and leaves the rest', async () => {
      await end();
      await cleanupProxy(bed.node);
      await onlyForeign();
    });
    return;
  }

  it('takes away what another mode has left, once its own rules stand, and no rule of anybody else', async () => {
    const held = await bed.hold('pod2', '10.247.1.16:80');
    const first = await held.ask();
    await end();
    const other = mode === 'nftables' ? IptablesBackend : NftablesBackend;
    await new other(bed.node, N1, DEFAULT_CONFIG).restore();
    const foreign = ['INPUT', '-s', '203.0.113.9', '-j', 'DROP'];
    await bed.node.run({ file: 'iptables', args: ['-A', ...foreign] });
    const [file, left] = mode === 'nftables' ? ['iptables-save', 'KUBE-'] : ['nft', 'table ip fairlead'];
    const said = async () =>
      (await bed.node.run({ file, args: file === 'nft' ? ['list', 'tables'] : [] })).stdout;
    expect(await said()).toContain(left);
    await start();
    expect(await eventually(said, (text) => !text.includes(left))).not.toContain(left);
    expect(await held.ask()).toEqual(first);
    const check = await bed.node.run({ file: 'iptables', args: ['-C', ...foreign], accept: [0, 1] });
    expect(check.code).toBe(0);
    await bed.node.run({ file: 'iptables', args: ['-D', ...foreign] });
  });

  // The loop is the same in all modes; a guest would take long over it.
  it('holds everything against the kernel each syncPeriod, and writes only what somebody has changed', async () => {
    await end();
    const before = lines.length;
    await start({ canaryMs: 60_000, fullMs: 100 });
    const wholes = async () => {
      const { text } = await get('metrics', '/metrics');
      return Number(/sync_full_proxy_rules_duration_seconds_count(?:\{.*\})? (\d+)/.exec(text)?.[1]);
    };
    expect(await eventually(wholes, (count) => count >= 3)).toBeGreaterThanOrEqual(3);
    const written = () => lines.slice(before).filter((line) => line.includes('rules are whole'));
    expect(written()).toEqual([]);
    const [file, ...args] = TAMPERING[mode];
    await bed.node.run({ file, args });
    const repaired = await eventually(
      async () => written(),
      (some) => some.length > 0,
    );
    expect(repaired).not.toEqual([]);
    expect(pods(await bed.dial('pod2', '10.247.1.16:80'))).toEqual(['pod1']);
  });

  it('keeps minSyncPeriod between two transactions, and gathers what changes meanwhile', async () => {
    await end();
    await start({ canaryMs: 60_000, minMs: 1500 });
    const before = lines.length;
    for (const pod of ['pod3', 'pod1', 'pod3'] as const) await repoint('taker-b', [pod]);
    const changed = () => lines.slice(before).filter((line) => line.includes('rules changed'));
    await eventually(
      async () => changed().length,
      (count) => count > 0,
    );
    expect(pods(await bed.dial('pod2', '10.247.1.16:80'))).toEqual(['pod3']);
    expect(changed()).toHaveLength(1);
  });
});

/** What somebody may do who does not know of us. */
const FLUSHES: Readonly<Record<ProxyMode, readonly Command[]>> = {
  nftables: [['nft', 'delete', 'table', 'ip', 'fairlead']],
  iptables: [
    ['iptables', '-t', 'mangle', '-X', 'KUBE-PROXY-CANARY'],
    ['iptables', '-t', 'nat', '-F'],
  ],
  ipvs: [['ipvsadm', '-C']],
};

/** What no canary sees. */
const TAMPERING: Readonly<Record<'nftables' | 'iptables', Command>> = {
  nftables: ['nft', 'flush', 'map', 'ip', 'fairlead', 'endpoints-tcp'],
  iptables: ['iptables', '-t', 'nat', '-F', 'KUBE-SERVICES'],
};

type Command = readonly [file: string, ...args: string[]];

const FOREIGN = '-A -t 192.168.0.11:9999 -s wlc\n';
const SETTINGS: IpvsSettings = {
  scheduler: 'lc',
  strictARP: true,
  excludeCIDRs: [Prefix.parse('203.0.113.128/25')],
  timeouts: { tcp: 7200, tcpFin: 90, udp: 0 },
};
const HERE = { host: '127.0.0.1', port: 0 };
