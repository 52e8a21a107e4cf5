/**
 * `fairlead proxy` as an operator runs it: a process of its own in the node's network namespace, against an API server in
 * another one. What it takes of memory, and how long a change takes from the request to the kernel.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { type HttpKubeClient, socketClient } from '../../src/client/http-client.ts';
import type { Exec, Running } from '../../src/exec/exec.ts';
import { RESOURCES } from '../../src/kube/resources.ts';
import { NODE, service, slice } from './services.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const API_SERVER = new URL('./api-server.ts', import.meta.url).pathname;
const AT_ONCE = 32;

export interface DaemonFigures {
  /** Megabytes (10^6 bytes) of resident memory, the daemon and its netlink relay: the most there ever was, and after the changes. */
  readonly peak: number;
  readonly changed: number;
  /** Milliseconds from each request to the kernel's new generation. */
  readonly changes: readonly number[];
  /** Milliseconds from the daemon's start to rules that stand. */
  readonly start: number;
}

export async function measureDaemon(node: Exec, services: number, changes: number): Promise<DaemonFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  const started: Running[] = [];
  const client = socketClient(join(folder, 'admin.sock'));
  try {
    await node.run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
    started.push(await ready(node, [API_SERVER, folder, '6443']));
    await fill(client, services);
    const began = performance.now();
    const args = ['proxy', '--kubeconfig', join(folder, 'kubeconfig'), '--node', NODE.name];
    const daemon = await ready(node, [MAIN, ...args]);
    started.push(daemon);
    const start = performance.now() - began;
    const generations = await watchGenerations(node);
    started.push(generations.process);
    const took: number[] = [];
    for (let at = 0; at < changes; at++) {
      const next = generations.next();
      const asked = performance.now();
      await client.update(RESOURCES.endpointslices, slice(at, 1));
      took.push((await next) - asked);
    }
    const [peak, changed] = [resident(daemon.pid, 'VmHWM'), resident(daemon.pid, 'VmRSS')];
    return { peak, changed, changes: took, start };
  } finally {
    await client.close();
    for (const running of started.reverse()) {
      running.kill('SIGTERM');
      await running.ended;
    }
    rmSync(folder, { recursive: true });
  }
}

async function ready(exec: Exec, args: readonly string[]): Promise<Running> {
  const running = await exec.start(process.execPath, args, { stdout: 'pipe', stderr: 'pipe' });
  const said: string[] = [];
  running.stderr?.on('data', (text: Buffer) => said.push(text.toString()));
  const ended = running.ended.then(({ code }) => {
    throw new Error(`${args.join(' ')} ended with ${code}: ${said.join('')}`);
  });
  ended.catch(() => undefined);
  await Promise.race([lineOf(linesOf(running), (line) => line === 'ready'), ended]);
  return running;
}

async function fill(client: HttpKubeClient, services: number): Promise<void> {
  await client.create(RESOURCES.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE.name },
    spec: { podCIDR: NODE.podCIDRs[0]?.text, podCIDRs: NODE.podCIDRs.map(({ text }) => text) },
    status: { addresses: NODE.ips.map(({ text }) => ({ type: 'InternalIP', address: text })) },
  });
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < services; at = next++) {
      await client.create(RESOURCES.services, service(at), 'default');
      await client.create(RESOURCES.endpointslices, slice(at), 'default');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Megabytes of a process and those it has started, as proc(5) tells it; the most of each need not have been at one time. */
function resident(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  // One that has just ended is still listed, and has no memory.
  const own = Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024e-6;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + resident(Number(child), field), own);
}

/** Tells of every transaction that has come into force, by nf_tables' multicast group. */
async function watchGenerations(node: Exec): Promise<{ process: Running; next(): Promise<number> }> {
  const running = await node.start('perl', ['-e', GENERATIONS], { stdout: 'pipe', stderr: 'inherit' });
  const lines = linesOf(running);
  await lineOf(lines, (line) => line === 'listening');
  return {
    process: running,
    next: () => lineOf(lines, (line) => line === 'generation').then(() => performance.now()),
  };
}

function linesOf({ stdout }: Running): Interface {
  if (stdout === null) throw new Error('a process to be read has a pipe');
  return createInterface(stdout);
}

function lineOf(lines: Interface, wanted: (line: string) => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = setTimeout(() => reject(new Error('a line was waited for, for two minutes')), 120_000);
  const take = (line: string) => {
    if (wanted(line)) resolve();
  };
  lines.on('line', take);
  return promise.finally(() => {
    clearTimeout(late);
    lines.off('line', take);
  });
}

/** 12 is NETLINK_NETFILTER, 7 NFNLGRP_NFTABLES, joined by option 1 at level 270; 0x0a0f is NFT_MSG_NEWGEN. */
const GENERATIONS = String.raw`
use strict; $| = 1;
socket(my $s, 16, 3, 12) or die "socket: $!\n";
bind($s, pack('SSLL', 16, 0, 0, 0)) or die "bind: $!\n";
setsockopt($s, 270, 1, pack('i', 7)) or die "group: $!\n";
setsockopt($s, 1, 33, pack('i', 1 << 24));
print "listening\n";
while (defined recv($s, my $message, 1 << 20, 0)) {
  my $at = 0;
  while ($at + 16 <= length $message) {
    my ($length, $type) = unpack('LS', substr $message, $at, 6);
    print "generation\n" if $type == 0x0a0f;
    $at += ($length + 3) & ~3;
  }
}
`;
