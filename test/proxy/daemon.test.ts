/** The daemon against the real API server and a real node's namespace, in each mode. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from '../../src/apiserver/test-server.ts';
import { type HttpKubeClient, socketClient } from '../../src/client/http-client.ts';
import { lineLog } from '../../src/fault/log.ts';
import type { EndpointSlice, Event, Service } from '../../src/kube/objects.ts';
import { RESOURCES } from '../../src/kube/resources.ts';
import { cleanupProxy, type RunningProxy, runProxy, type SyncIntervals } from '../../src/sync/sync.ts';
import { Bed, N1, pods } from './bed.ts';
import { type PodName, service, slice } from './scenario.ts';

let bed: Bed;
let served: Served;
let client: HttpKubeClient;
beforeAll(async () => {
  [bed, served] = await Promise.all([Bed.open(), startServed()]);
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
  await bed.close();
});

/** Asks until the answer fits, for at most five seconds; the last answer is given so that a failure shows it. */
async function eventually<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  const until = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (fits(answer) || Date.now() > until) return answer;
    await sleep(20);
  }
}

describe.each(['nftables', 'iptables'] as const)('%s', (mode) => {
  let ending = new AbortController();
  let proxy: RunningProxy;
  const lines: string[] = [];
  const log = lineLog(
    (line) => lines.push(line),
    () => new Date(),
  );
  const start = (intervals: Partial<SyncIntervals> = { canaryMs: 200 }) => {
    ending = new AbortController();
    proxy = runProxy({
      client,
      nodeName: 'n1',
      nodeIPs: N1.ips,
      mode,
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

  beforeAll(() => start());
  afterAll(async () => {
    await end();
    await cleanupProxy(bed.node);
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

  it('moves a UDP flow of one socket when its endpoint goes', async () => {
    const spec = { ports: [{ port: 53, protocol: 'UDP' }] };
    await create(service({ name: 'dns', clusterIP: '10.247.1.11', spec }));
    await point('dns', ['pod1']);
    await eventually(
      () => bed.dial('pod2', '10.247.1.11:53', { protocol: 'udp' }),
      ([one]) => typeof one === 'object',
    );
    const flow = await bed.hold('pod2', '10.247.1.11:53', 'udp');
    expect(await flow.ask()).toMatchObject({ pod: 'pod1' });
    await repoint('dns', ['pod3']);
    const moved = (answer: unknown) => JSON.stringify(answer).includes('pod3');
    expect(await eventually(() => flow.ask(), moved)).toMatchObject({ pod: 'pod3' });
    await repoint('dns', []);
    const refused = await eventually(
      () => flow.ask(),
      (answer) => answer === 'refused',
    );
    expect(refused).toBe('refused');
  });

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
    const flush =
      mode === 'nftables'
        ? { file: 'nft', args: ['delete', 'table', 'ip', 'fairlead'] }
        : { file: 'iptables', args: ['-t', 'mangle', '-X', 'KUBE-PROXY-CANARY'] };
    await bed.node.run(flush);
    if (mode === 'iptables') await bed.node.run({ file: 'iptables', args: ['-t', 'nat', '-F'] });
    const back = () => bed.dial('pod2', '10.247.1.12:80');
    expect(pods(await eventually(back, ([one]) => typeof one === 'object'))[0]).toMatch(/pod[13]/);
    expect(lines.some((line) => line.includes('somebody flushed them'))).toBe(true);
  });

  it('makes a whole of it after a transaction the kernel refused, and logs that', async () => {
    if (mode === 'nftables') {
      await bed.node.run({ file: 'nft', args: ['flush', 'map', 'ip', 'fairlead', 'endpoints-tcp'] });
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
    const port = mode === 'nftables' ? 31801 : 31802;
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
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_duration_seconds_count [1-9]/);
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_service_changes_pending 0/);
  });

  it('leaves out alone what it cannot express, and says so in an Event', async () => {
    const spec = { externalIPs: ['203.0.113.9'], ports: [{ port: 80 }] };
    await create(service({ name: 'taker-a', clusterIP: '10.247.1.15', spec }));
    await create(service({ name: 'taker-b', clusterIP: '10.247.1.16', spec }));
    await point('taker-a', ['pod3']);
    await point('taker-b', ['pod1']);
    const told = await eventually(
      async () => {
        const { items } = await client.list<Event>(RESOURCES.events, { namespace: 'default' });
        return items.find((event) => event.involvedObject.name === 'taker-b');
      },
      (event) => event !== undefined || mode === 'iptables',
    );
    if (mode === 'nftables') expect(told?.message).toBe('203.0.113.9 . tcp . 80 belongs to default/taker-a');
    const inside = () => bed.dial('pod2', '10.247.1.16:80');
    expect(pods(await eventually(inside, ([one]) => typeof one === 'object'))).toEqual(['pod1']);
  });

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
    const tampering =
      mode === 'nftables'
        ? { file: 'nft', args: ['flush', 'map', 'ip', 'fairlead', 'endpoints-tcp'] }
        : { file: 'iptables', args: ['-t', 'nat', '-F', 'KUBE-SERVICES'] };
    await bed.node.run(tampering);
    await eventually(
      async () => written().length,
      (count) => count > 0,
    );
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

const HERE = { host: '127.0.0.1', port: 0 };
