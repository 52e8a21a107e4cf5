import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientFromKubeconfig } from '../src/client/kubeconfig.ts';
import { DataFolder } from '../src/cluster/data-folder.ts';
import { Exec } from '../src/exec/exec.ts';
import type { ConfigMap } from '../src/kube/objects.ts';
import { RESOURCES } from '../src/kube/resources.ts';
import { fairlead, until, up, upOnTerminal } from './supervisor.ts';

const exec = new Exec();
let data: string;

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'fairlead-test-'));
});
afterEach(() => rmSync(data, { recursive: true }));

/** What of the machine a cluster must not change, as text. */
async function machine(): Promise<Record<string, string>> {
  const text = async (file: string, ...args: string[]) => (await exec.run({ file, args })).stdout;
  return {
    links: await text('ip', '-o', 'link'),
    addresses: (await text('ip', '-o', 'addr')).replaceAll(/valid_lft.*/g, ''),
    routes: await text('ip', 'route', 'show', 'table', 'all'),
    rules: await text('nft', 'list', 'ruleset'),
    namespaces: await text('ip', 'netns', 'list'),
    mounts: readFileSync('/proc/self/mounts', 'utf8'),
    forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'),
  };
}

/** Processes whose command line names the data folder. */
async function processesOf(folder: string): Promise<string[]> {
  const { stdout } = await exec.run({ file: 'pgrep', args: ['-f', '-a', folder], accept: [0, 1] });
  return stdout.split('\n').filter((line) => line !== '' && !line.includes('pgrep'));
}

describe('fairlead up', () => {
  it('killed by SIGKILL leaves nothing on the machine, and the next start finds every acknowledged object', async () => {
    const before = await machine();
    const supervisor = await up(data, '--nodes', '2');
    const folder = new DataFolder(data);
    const { cagePid } = folder.running();
    expect(readFileSync(`/proc/${cagePid}/status`, 'utf8')).toMatch(/^NSpid:\s+\d+\s+1$/m);
    const client = await clientFromKubeconfig(folder.kubeconfig);
    const wanted: ConfigMap = { metadata: { name: 'kept' }, data: { a: '1' } };
    const kept = await client.create<ConfigMap>(RESOURCES.configmaps, wanted, 'default');
    supervisor.kill('SIGKILL');
    await supervisor.ended;
    await client.close();
    await until('the cage to end', () => !existsSync(`/proc/${cagePid}`));
    expect(await processesOf(data)).toEqual([]);
    expect(await machine()).toEqual(before);

    const again = await up(data, '--nodes', '2');
    const second = await clientFromKubeconfig(folder.kubeconfig);
    const found = await second.get<ConfigMap>(RESOURCES.configmaps, 'kept', 'default');
    expect(found.metadata?.uid).toBe(kept.metadata?.uid);
    await second.close();
    again.kill('SIGTERM');
    expect(await again.ended).toEqual({ code: 0, signal: null });
    expect(await machine()).toEqual(before);
  });

  it('refuses a second supervisor on the same data, says what runs, and ends by `down`', async () => {
    const first = await up(data, '--nodes', '1');
    const second = await fairlead(['up', '--data', data, '--port', '0']);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/FE009: the cluster in .* already runs \(process \d+\)/);
    const status = await fairlead(['status', '--data', data, '-o', 'json']);
    const { parts } = JSON.parse(status.stdout) as { parts: { name: string; ready: boolean }[] };
    expect(parts.filter(({ ready }) => !ready)).toEqual([]);
    expect(parts.map(({ name }) => name)).toContain('node/n1');
    const down = await fairlead(['down', '--data', data]);
    expect(down.stderr).toContain('the cluster is down');
    await first.ended;
    expect((await fairlead(['status', '--data', data])).stderr).toMatch(/FE010: no cluster runs/);
  });

  it('ends in order by ctrl-C at its terminal', async () => {
    const before = await machine();
    const { process, seen } = upOnTerminal(data);
    await seen('the cluster to be ready', /^ready\r?$/m);
    process.write('\x03');
    expect(await process.ended).toEqual({ code: 130, signal: null });
    expect(await seen('the last line', /./)).not.toContain('starting it again');
    expect(await machine()).toEqual(before);
  });
});
