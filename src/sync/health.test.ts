import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../client/manual-clock.ts';
import { lineLog } from '../fault/log.ts';
import { Endpoint, portOf } from '../ip/ip.ts';
import type { PortPlan } from '../proxy/proxy.ts';
import { HealthServers } from './health.ts';
import { ProxyMetrics } from './metrics.ts';

const HERE = { host: '127.0.0.1', port: 0 };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function healthOf() {
  const clock = new ManualClock();
  const metrics = new ProxyMetrics('nftables');
  const lines: string[] = [];
  const log = lineLog(
    (line) => lines.push(line),
    () => new Date(),
  );
  const health = new HealthServers({
    clock,
    metrics,
    log,
    healthCheckHosts: () => ['127.0.0.1'],
    lateMs: 60_000,
  });
  closers.push(() => health.close());
  return { clock, metrics, health, lines };
}

const ask = async (port: number | undefined, path: string) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return { code: answer.status, body: (await answer.json()) as { serviceProxyHealthy?: boolean } };
};

/** A port nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', () => done()));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

describe('health', () => {
  it('begins with the first rules, ends with a change that gets nowhere, and comes back with it', async () => {
    const { health, clock, metrics } = healthOf();
    const { health: port } = await health.listen({ health: HERE, mode: 'nftables' });
    const codes = async () => [(await ask(port, '/healthz')).code, (await ask(port, '/livez')).code];
    health.queued();
    expect(await codes()).toEqual([503, 503]);
    health.began();
    health.synced([]);
    expect(await codes()).toEqual([200, 200]);
    health.queued();
    await clock.advance(59_000);
    expect(await codes()).toEqual([200, 200]);
    // It is tried, and refused; a later change does not make it young again.
    health.began();
    health.queued();
    await clock.advance(1_000);
    expect(await codes()).toEqual([503, 503]);
    health.began();
    health.synced([]);
    expect(await codes()).toEqual([200, 200]);
    const text = await metrics.registry.metrics();
    expect(text).toContain('kubeproxy_proxy_healthz_total{code="503"} 2');
    expect(text).toContain('kubeproxy_proxy_livez_total{code="200"} 3');
  });

  it('fails for balancers, and not for whoever would start the proxy anew, on a node that is about to go', async () => {
    const { health } = healthOf();
    const { health: port } = await health.listen({ health: HERE, mode: 'nftables' });
    health.synced([]);
    const taint = { key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' };
    for (const node of [
      { spec: { taints: [taint] } },
      { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } },
    ]) {
      health.nodeIs(node);
      expect(await ask(port, '/healthz')).toMatchObject({ code: 503, body: { nodeEligible: false } });
      expect((await ask(port, '/livez')).code).toBe(200);
    }
    health.nodeIs({ spec: {} });
    expect(await ask(port, '/healthz')).toMatchObject({ code: 200, body: { nodeEligible: true } });
  });

  it('is a part of what a balancer is told', async () => {
    const { health, clock } = healthOf();
    const port = portOf(await freePort());
    const plan = { name: 'default/lb', ports: [], healthCheck: { port, localEndpoints: { 4: 2, 6: 0 } } };
    health.synced([{ name: 'default/lb', plan }]);
    const told = async () => {
      const { code, body } = await ask(port, '/');
      return { code, healthy: body.serviceProxyHealthy };
    };
    expect(await told()).toEqual({ code: 200, healthy: true });
    health.queued();
    await clock.advance(60_000);
    expect(await told()).toEqual({ code: 503, healthy: false });
  });

  it('answers for a Service at the addresses that take node ports, and at no other', async () => {
    const { health } = healthOf();
    const port = await freePort();
    const plan = {
      name: 'default/web',
      ports: [],
      healthCheck: { port: portOf(port), localEndpoints: { 4: 1, 6: 0 } },
    };
    health.synced([{ name: 'default/web', plan }]);
    expect(await ask(port, '/')).toMatchObject({ code: 200, body: { localEndpoints: 1 } });
    await expect(fetch(`http://127.0.0.2:${port}/`)).rejects.toMatchObject({
      cause: { code: 'ECONNREFUSED' },
    });
  });

  it('is served as soon as the port is free, where the configuration does not insist', async () => {
    const { health, clock, lines } = healthOf();
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', () => done()));
    const at = { host: '127.0.0.1', port: (holder.address() as AddressInfo).port };
    await expect(healthOf().health.listen({ health: at, mode: 'nftables' })).rejects.toMatchObject({
      code: 'FE005',
    });
    expect(await health.listen({ health: at, retries: true, mode: 'nftables' })).toEqual({});
    expect(lines.join()).toContain('a server does not listen yet');
    await new Promise((done) => holder.close(done));
    await clock.advance(5_000);
    await expect.poll(async () => (await ask(at.port, '/livez').catch(() => undefined))?.code).toBe(503);
  });
});

it('counts Services that policy Local leaves without endpoints here', async () => {
  const { health, metrics } = healthOf();
  const port = (internal: 'Local' | 'Cluster'): PortPlan => ({
    name: 'default/far',
    family: 4,
    protocol: 'TCP',
    clusterIP: Endpoint.parse('10.247.0.9:80'),
    externalIPs: [],
    loadBalancerIPs: [],
    internal,
    external: 'Cluster',
    cluster: [],
    local: [],
    anyEndpoints: true,
  });
  const counted = async (policy: string, family: 4 | 6) => {
    const labels = `{traffic_policy="${policy}",ip_family="IPv${family}"}`;
    const text = await metrics.registry.metrics();
    return text.split(`kubeproxy_sync_proxy_rules_no_local_endpoints_total${labels} `)[1]?.split('\n')[0];
  };
  const name = 'default/far';
  health.synced([{ name, plan: { name, ports: [port('Local')] } }]);
  expect([await counted('internal', 4), await counted('external', 4)]).toEqual(['1', '0']);
  expect(await counted('internal', 6)).toBe('0');
  health.synced([{ name, plan: { name, ports: [port('Cluster')] } }]);
  expect(await counted('internal', 4)).toBe('0');
});
