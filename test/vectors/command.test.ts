/** `fairlead proxy` as kube-proxy is run: its configuration file, a kubeconfig, an API server, a node's namespace. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Running } from '../../src/exec/exec.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { MAIN } from '../supervisor.ts';

const OBJECTS = [
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDR: '172.16.0.0/24', podCIDRs: ['172.16.0.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.0.11' }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { clusterIP: '10.247.0.80', ports: [{ port: 80 }] },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'web-1',
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': 'web' },
    },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080 }],
    endpoints: [{ addresses: ['172.16.0.9'], conditions: { ready: true } }],
  },
];

const folder = mkdtempSync(join(tmpdir(), 'fairlead-proxy-command-'));
const kubeconfig = join(folder, 'data', 'kubeconfig');
let cage: Cage;

beforeAll(async () => {
  cage = await openCage();
  await cage.exec().run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
  await cage.exec().run({ file: 'ip', args: ['address', 'add', '192.168.0.11/32', 'dev', 'lo'] });
  await ready('apiserver', '--data', join(folder, 'data'), '--advertise-address', '192.168.0.11');
  const manifest = OBJECTS.map((object) => stringify(object)).join('---\n');
  await run('kubectl', ['--kubeconfig', kubeconfig, 'apply', '--validate=false', '-f', '-'], manifest);
  await run('nft', ['-f', '-'], 'add table ip foreign');
});
afterAll(async () => {
  await cage.close();
  rmSync(folder, { recursive: true });
});

const run = async (file: string, args: readonly string[], stdin = ''): Promise<string> =>
  (await cage.exec().run({ file, args, stdin })).stdout;

/** Starts a daemon and waits until it serves. */
async function ready(...args: readonly string[]): Promise<Running> {
  const running = await cage.exec().start(process.execPath, [MAIN, ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const complaints: Buffer[] = [];
  running.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk));
  if (running.stdout === null) throw new Error('a pipe was asked for');
  for await (const line of createInterface(running.stdout)) if (line === 'ready') return running;
  throw new Error(`${args[0]} ended before it served: ${Buffer.concat(complaints)}`);
}

/** kube-proxy's configuration for a mode, with addresses of its own for each. */
function configured(mode: string, port: number): string {
  const file = join(folder, `${mode}.conf`);
  const document = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode,
    clientConnection: { kubeconfig },
    hostnameOverride: 'n1',
    bindAddress: '192.168.0.11',
    healthzBindAddress: `127.0.0.1:${port}`,
    metricsBindAddress: `127.0.0.1:${port + 1}`,
    clusterCIDR: '172.16.0.0/16',
    [mode]: { masqueradeBit: 7 },
    conntrack: { tcpEstablishedTimeout: '2h0m0s' },
  };
  writeFileSync(file, stringify(document));
  return file;
}

describe.each([
  ['nftables', 20256, /10\.247\.0\.80 \. tcp \. 80 : goto/, /0x00000080/],
  ['iptables', 30256, /-A KUBE-SERVICES -d 10\.247\.0\.80\/32/, /--set-xmark 0x80\/0x80/],
] as const)('%s', (mode, port, rule, mark) => {
  const rules = () => (mode === 'nftables' ? run('nft', ['list', 'ruleset']) : run('iptables-save', []));

  it('programs the rules the file asks for, and answers where it says', async () => {
    const proxy = await ready('proxy', '--config', configured(mode, port));
    const listed = await rules();
    expect(listed).toMatch(rule);
    expect(listed).toMatch(mark);
    expect(await run('curl', ['-sS', `http://127.0.0.1:${port}/livez`])).toContain('lastUpdated');
    expect(await run('curl', ['-sS', `http://127.0.0.1:${port + 1}/proxyMode`])).toBe(mode);
    const timeout = await run('sysctl', ['-n', 'net.netfilter.nf_conntrack_tcp_timeout_established']);
    expect(timeout.trim()).toBe('7200');
    proxy.kill('SIGTERM');
    expect(await proxy.ended).toEqual({ code: 0, signal: null });
  });

  it("leaves the rules when it ends, and takes them away when told to, but nobody else's", async () => {
    expect(await rules()).toMatch(rule);
    await run(process.execPath, [MAIN, 'proxy', '--cleanup']);
    const left = `${await run('nft', ['list', 'ruleset'])}${await run('iptables-save', [])}`;
    expect(left).not.toMatch(/fairlead|KUBE-/);
    expect(left).toContain('table ip foreign');
  });
});

it('names a field kube-proxy does not know, and goes on, as it does', async () => {
  const file = join(folder, 'wrong.conf');
  writeFileSync(
    file,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\niptables: { masqAll: true }\n',
  );
  const { code, stderr } = await cage
    .exec()
    .run({ file: process.execPath, args: [MAIN, 'proxy', '--config', file], accept: [0, 1] });
  expect(code).toBe(1);
  expect(stderr).toContain('the configuration has a field kube-proxy does not know');
  expect(stderr).toContain('field=iptables.masqAll');
  // There is no API server here, which is as far as it comes.
  expect(stderr).toContain('FE008');
});
