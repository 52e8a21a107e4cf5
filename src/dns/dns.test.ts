import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, createApiServer, openPki } from '../apiserver/api-server.ts';
import { type HttpKubeClient, socketClient } from '../client/http-client.ts';
import { Exec } from '../exec/exec.ts';
import { lineLog } from '../fault/log.ts';
import { Endpoint } from '../ip/ip.ts';
import type { EndpointSlice, Service } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { ObjectStore } from '../store/store.ts';
import { type Dns, type Listen, parseUpstream, runDns, startDns } from './dns.ts';

/** The server with a real API server behind it, asked by dig and nslookup over loopback. */
const LISTEN: Listen = { address: '127.0.0.1', port: 0, healthPort: 0, readyPort: 0, metricsPort: 0 };
const PODS = 100;
const silent = lineLog(
  () => undefined,
  () => new Date(),
);

let folder: string;
let store: ObjectStore;
let server: ApiServer;
let client: HttpKubeClient;
let dns: Dns;
/** Serves the same objects as another domain: what the first one forwards to. */
let outside: Dns;
let forwarding: Dns;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-dns-'));
  store = openSqliteStore(':memory:');
  server = await createApiServer({ store, pki: await openPki(join(folder, 'pki')), log: silent });
  await server.listenUnix(join(folder, 'api.sock'));
  client = socketClient(join(folder, 'api.sock'));
  await createObjects();
  dns = await startDns({ client, zone: 'cluster.local', listen: LISTEN, log: silent });
  outside = await startDns({ client, zone: 'example.test', listen: LISTEN, log: silent });
  const forward = [
    Endpoint.parse(`127.0.0.1:${await deafPort()}`),
    Endpoint.parse(`127.0.0.1:${outside.ports.port}`),
  ];
  forwarding = await startDns({ client, zone: 'cluster.local', listen: LISTEN, forward, log: silent });
  await Promise.all([dns.synced, outside.synced, forwarding.synced]);
});

afterAll(async () => {
  await Promise.all([dns?.close(), outside?.close(), forwarding?.close()]);
  await client?.close();
  await server?.close();
  store?.close();
  await rm(folder, { recursive: true });
});

async function createObjects(): Promise<void> {
  const ports = [{ name: 'http', port: 8080, targetPort: 80 }];
  const services: Service[] = [
    { metadata: { name: 'web' }, spec: { clusterIP: '10.247.0.99', ports } },
    { metadata: { name: 'many' }, spec: { clusterIP: 'None', selector: { app: 'many' }, ports } },
    {
      metadata: { name: 'out' },
      spec: { type: 'ExternalName', externalName: 'web.default.svc.example.test' },
    },
  ];
  for (const service of services) await client.create(RESOURCES.services, service, 'default');
  const slice: EndpointSlice = {
    metadata: { name: 'many-1', labels: { 'kubernetes.io/service-name': 'many' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80 }],
    endpoints: Array.from({ length: PODS }, (_, at) => ({
      addresses: [`172.16.0.${at + 1}`],
      hostname: `many-${at}`,
    })),
  };
  await client.create(RESOURCES.endpointslices, slice, 'default');
}

/** A port nothing listens on. */
async function deafPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** What dig prints. */
async function dig(of: Dns, ...args: readonly string[]): Promise<string> {
  const bounds = ['+time=3', '+tries=1'];
  const { stdout } = await new Exec().run({
    file: 'dig',
    args: ['@127.0.0.1', '-p', String(of.ports.port), ...bounds, ...args],
  });
  return stdout;
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

async function nslookup(...args: readonly string[]) {
  return new Exec().run({
    file: 'nslookup',
    args: [`-port=${dns.ports.port}`, ...args, '127.0.0.1'],
    accept: [0, 1],
  });
}

describe('dig', () => {
  it('gets a Service’s address, with the question’s case and a TTL of 5', async () => {
    const text = await dig(dns, '+noall', '+answer', '+comments', 'WEB.default.svc.Cluster.local');
    expect(text).toMatch(/^WEB\.default\.svc\.Cluster\.local\.\s+5\s+IN\s+A\s+10\.247\.0\.99$/m);
    expect(text).toMatch(/status: NOERROR/);
    expect(text).toMatch(/flags: qr aa rd ra;/);
    expect(text).toMatch(/EDNS: version: 0, flags:; udp: 1232/);
  });

  it('gets NXDOMAIN, NODATA and REFUSED apart', async () => {
    const shown = ['+noall', '+comments', '+authority', '+answer'];
    const none = await dig(dns, ...shown, 'none.default.svc.cluster.local');
    expect(none).toMatch(/status: NXDOMAIN/);
    expect(none).toMatch(
      /^cluster\.local\.\s+5\s+IN\s+SOA\s+ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. \d+ 7200 1800 86400 5$/m,
    );
    const other = await dig(dns, ...shown, 'web.default.svc.cluster.local', 'AAAA');
    expect(other).toMatch(/status: NOERROR/);
    expect(other).toMatch(/ANSWER: 0, AUTHORITY: 1/);
    expect(await dig(dns, ...shown, 'example.com')).toMatch(/status: REFUSED/);
    expect(await dig(dns, ...shown, 'version.bind', 'CH', 'TXT')).toMatch(/status: REFUSED/);
    expect(await dig(dns, ...shown, '+opcode=update', 'cluster.local')).toMatch(/status: NOTIMP/);
    expect(await dig(dns, ...shown, '+edns=1', '+noednsneg', 'cluster.local')).toMatch(/status: BADVERS/);
  });

  it('gets SRV, PTR and TXT', async () => {
    expect(await dig(dns, '+short', '_http._tcp.web.default.svc.cluster.local', 'SRV')).toBe(
      '0 100 8080 web.default.svc.cluster.local.\n',
    );
    expect(await dig(dns, '+short', '-x', '10.247.0.99')).toBe('web.default.svc.cluster.local.\n');
    expect(await dig(dns, '+short', '-x', '172.16.0.5')).toBe('many-4.many.default.svc.cluster.local.\n');
    expect(await dig(dns, '+short', 'dns-version.cluster.local', 'TXT')).toBe('"1.1.0"\n');
  });

  it('is told to come back over TCP when an answer does not fit, and gets it whole there', async () => {
    const name = 'many.default.svc.cluster.local';
    const cut = await dig(dns, '+ignore', '+noedns', '+noall', '+comments', '+answer', name);
    expect(cut).toMatch(/flags: qr aa tc rd ra;/);
    // 512 bytes hold the header, the question, and 16 bytes a record.
    expect(lines(cut).filter((line) => line.startsWith(name))).toHaveLength(Math.floor((512 - 12 - 36) / 16));
    const whole = lines(await dig(dns, '+short', name));
    expect(new Set(whole).size).toBe(PODS);
    expect(new Set(lines(await dig(dns, '+tcp', '+short', name)))).toEqual(new Set(whole));
  });

  it('gets the addresses in another order each time', async () => {
    const name = 'many.default.svc.cluster.local';
    const orders = new Set([await dig(dns, '+short', name), await dig(dns, '+short', name)]);
    expect(orders.size).toBe(2);
  });

  it('sees a change at once', async () => {
    const spec = { clusterIP: '10.247.0.77', ports: [{ port: 1 }] };
    await client.create<Service>(RESOURCES.services, { metadata: { name: 'late' }, spec }, 'default');
    const now = () => dig(dns, '+short', 'late.default.svc.cluster.local');
    await expect.poll(now, { timeout: 5_000 }).toBe('10.247.0.77\n');
    await client.delete(RESOURCES.services, { name: 'late', namespace: 'default' });
    await expect.poll(now, { timeout: 5_000 }).toBe('');
  });
});

describe('nslookup', () => {
  it('finds a Service and its name', async () => {
    const { stdout } = await nslookup('web.default.svc.cluster.local');
    expect(stdout).toMatch(/Name:\s+web\.default\.svc\.cluster\.local\nAddress: 10\.247\.0\.99\n/);
    expect((await nslookup('10.247.0.99')).stdout).toContain('name = web.default.svc.cluster.local.');
  });

  it('says that a name does not exist', async () => {
    const { code, stdout } = await nslookup('none.default.svc.cluster.local');
    expect(code).toBe(1);
    expect(stdout).toContain("can't find none.default.svc.cluster.local: NXDOMAIN");
  });
});

describe('forwarding', () => {
  it('asks the next server when one is silent, and keeps the answer', async () => {
    const name = 'web.default.svc.example.test';
    const first = await dig(forwarding, '+noall', '+answer', '+comments', name);
    expect(first).toMatch(/flags: qr rd ra;/);
    expect(first).toContain('10.247.0.99');
    await dig(forwarding, name);
    const page = await text(forwarding.ports.metricsPort, '/metrics');
    expect(page).toMatch(/^coredns_cache_hits_total\{.*\} [1-9]/m);
    expect(page).toMatch(/^coredns_cache_misses_total\{.*\} [1-9]/m);
  });

  it('follows an ExternalName out of the cluster', async () => {
    expect(await dig(dns, '+short', 'out.default.svc.cluster.local')).toBe('web.default.svc.example.test.\n');
    expect(await dig(forwarding, '+short', 'out.default.svc.cluster.local')).toBe(
      'web.default.svc.example.test.\n10.247.0.99\n',
    );
  });

  it('gets over TCP what did not fit, and passes absence on', async () => {
    const whole = await dig(forwarding, '+short', '+tcp', 'many.default.svc.example.test');
    expect(lines(whole)).toHaveLength(PODS);
    const none = await dig(forwarding, '+noall', '+comments', 'none.default.svc.example.test');
    expect(none).toMatch(/status: NXDOMAIN/);
  });

  it('reads the address of a server', () => {
    expect(parseUpstream('10.0.0.2').text).toBe('10.0.0.2:53');
    expect(parseUpstream('2001:db8::1').text).toBe('[2001:db8::1]:53');
    expect(parseUpstream('[2001:db8::1]:5353').text).toBe('[2001:db8::1]:5353');
    expect(() => parseUpstream('dns.example.com')).toThrow('not an endpoint');
  });
});

async function text(port: number, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).text();
}

describe('a server without its API server', () => {
  it('is alive, not ready, and fails rather than denies; a taken port is said', async () => {
    const lost = socketClient(join(folder, 'nobody.sock'));
    const early = await startDns({ client: lost, zone: 'cluster.local', listen: LISTEN, log: silent });
    try {
      const { healthPort, readyPort, port } = early.ports;
      expect((await fetch(`http://127.0.0.1:${healthPort}/health`)).status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${readyPort}/ready`)).status).toBe(503);
      expect((await fetch(`http://127.0.0.1:${dns.ports.readyPort}/ready`)).status).toBe(200);
      expect(await dig(early, 'web.default.svc.cluster.local')).toMatch(/status: SERVFAIL/);
      const taken = { ...LISTEN, port };
      await expect(
        startDns({ client: lost, zone: 'cluster.local', listen: taken, log: silent }),
      ).rejects.toMatchObject({ code: 'FE005' });
    } finally {
      await early.close();
      await lost.close();
    }
  });

  it('runs until it is told to stop, and frees its ports', async () => {
    const stop = new AbortController();
    // An address of loopback that no other process has: its ports are free.
    const address = `127.53.${(process.pid >> 8) & 255}.${process.pid & 255}`;
    const readyPort = 8181;
    const listen = { address, port: 5353, healthPort: 8080, readyPort, metricsPort: 9153 };
    const run = { client, zone: 'cluster.local', listen, log: silent, signal: stop.signal };
    const running = runDns(run);
    await expect
      .poll(() => fetch(`http://${address}:${readyPort}/ready`).then(({ status }) => status, String), {
        timeout: 5_000,
      })
      .toBe(200);
    stop.abort();
    await running;
    const again = await startDns({ client, zone: 'cluster.local', listen, log: silent });
    await again.close();
  });

  it('counts what it answered', async () => {
    await dig(dns, 'web.default.svc.cluster.local');
    const page = await text(dns.ports.metricsPort, '/metrics');
    expect(page).toMatch(
      /^coredns_dns_requests_total\{.*zone="cluster\.local\.",proto="udp",family="1",type="A"\} \d+$/m,
    );
    expect(page).toMatch(/^coredns_dns_responses_total\{.*rcode="NXDOMAIN".*\} \d+$/m);
  });
});

describe('messages that are no questions', () => {
  /** The answer's first twelve bytes, or undefined when there is none before the answer to a good question. */
  async function send(...messages: Buffer[]): Promise<Buffer[]> {
    const socket = createSocket('udp4');
    const good = Buffer.from('ffff010000010000000000000000010001', 'hex');
    const answers: Buffer[] = [];
    const last = new Promise<void>((resolve) =>
      socket.on('message', (bytes) => {
        if (bytes.readUInt16BE(0) === 0xffff) resolve();
        else answers.push(bytes);
      }),
    );
    for (const message of [...messages, good]) socket.send(message, dns.ports.port, '127.0.0.1');
    await last;
    socket.close();
    return answers;
  }

  it('get FORMERR, or silence when they are answers', async () => {
    const [garbled, ...more] = await send(
      Buffer.from('000181000000', 'hex'),
      Buffer.from('000281000001000000000000', 'hex'),
      Buffer.from('000301000001000000000000c00c', 'hex'),
      Buffer.from('short'),
    );
    expect(more).toEqual([]);
    expect(garbled?.subarray(0, 4).toString('hex')).toBe('00038101');
  });
});
