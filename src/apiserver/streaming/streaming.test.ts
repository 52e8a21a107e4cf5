import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Exec, type Running } from '../../exec/exec.ts';
import { startOnTerminal } from '../../exec/pty.ts';
import type { Pod } from '../../kube/objects.ts';
import { type KubeletStandIn, startKubelet } from './kubelet-contract.ts';
import { createStreaming, refuseUpgrade, type StreamKind } from './streaming.ts';

/** Every kubectl that must work; and the one that users of this machine get. */
const KUBECTLS = [
  ...[28, 29, 30, 31, 32, 33].map((minor) => `/usr/lib/google-cloud-sdk/bin/kubectl.1.${minor}`),
  process.env.FAIRLEAD_KUBECTL ?? '/usr/bin/kubectl',
];
const WAIT_MS = 15_000;

const PODS: Record<string, Pod> = {
  web: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'n1', containers: [{ name: 'web' }, { name: 'waiting' }] },
    status: { phase: 'Running', podIP: '172.16.0.5' },
  },
  pending: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pending', namespace: 'default' },
    spec: { containers: [{ name: 'web' }] },
    status: { phase: 'Running' },
  },
  lost: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'lost', namespace: 'default' },
    spec: { nodeName: 'n2', containers: [{ name: 'web' }] },
    status: { phase: 'Running' },
  },
};

const DISCOVERY: Record<string, unknown> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'list'] }],
  },
};

let folder: string;
let kubelet: KubeletStandIn;
let server: Server;
let port: number;
/** The Upgrade header of each stream request. */
let upgrades: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-streaming-'));
  kubelet = await startKubelet(join(folder, 'n1.sock'), ['sh', '-c', 'read line; echo "got $line"; exit 4']);
  upgrades = [];
  server = createFront();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await kubelet.close();
  await rm(folder, { recursive: true });
});

/** As much of an API server as kubectl needs to find a pod. */
function createFront(): Server {
  const streaming = createStreaming({ kubeletSocket: (node) => join(folder, `${node}.sock`) });
  const front = createServer((request, response) => {
    const { pod, sub, query, path } = routeOf(request);
    if (pod !== undefined && sub === 'log') void streaming.handleLogs(response, pod, query);
    else {
      const body = pod ?? DISCOVERY[path];
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body ?? { kind: 'Status', status: 'Failure', code: 404 }));
    }
  });
  front.on('upgrade', (request, socket, head) => {
    const { pod, sub, query } = routeOf(request);
    if (pod === undefined) {
      refuseUpgrade(socket, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 404 });
      return;
    }
    upgrades.push((request.headers.upgrade ?? '').toLowerCase());
    void streaming.handleUpgrade(request, socket, head, pod, sub as StreamKind, query);
  });
  return front;
}

function routeOf(request: IncomingMessage) {
  const url = new URL(request.url ?? '', 'http://front');
  const [, name = '', sub = ''] =
    /^\/api\/v1\/namespaces\/default\/pods\/([^/]+)\/?(.*)$/.exec(url.pathname) ?? [];
  return { path: url.pathname, pod: PODS[name], sub, query: url.searchParams };
}

const flags = () => [`--server=http://127.0.0.1:${port}`, `--cache-dir=${join(folder, 'cache')}`];
const environment = () => ({ KUBECONFIG: '/dev/null', HOME: folder });

/** Runs to its end; any exit code is an answer. */
const kubectl = (file: string, args: readonly string[], stdin?: string | Uint8Array) =>
  new Exec().run({
    file,
    args: [...flags(), ...args],
    env: environment(),
    timeoutMs: WAIT_MS,
    accept: Array.from({ length: 126 }, (_, code) => code),
    ...(stdin === undefined ? {} : { stdin }),
  });

/** Starts, and waits until standard output holds `text`. */
async function startKubectl(file: string, args: readonly string[], text: string): Promise<Running> {
  const running = await new Exec().start(file, [...flags(), ...args], {
    env: environment(),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  await outputHolds(running.stdout, text);
  return running;
}

async function startForward(file: string, target: number): Promise<{ running: Running; local: number }> {
  const local = await freePort();
  const args = ['port-forward', 'web', `${local}:${target}`];
  return { running: await startKubectl(file, args, `Forwarding from 127.0.0.1:${local}`), local };
}

const curl = (local: number, accept: readonly number[] = [0]) =>
  new Exec().run({ file: 'curl', args: ['-s', '--max-time', '10', `http://127.0.0.1:${local}/`], accept });

function outputHolds(output: Readable | null, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    const timer = setTimeout(() => {
      reject(new Error(`waited ${WAIT_MS} ms for '${text}' of kubectl, saw '${seen}'`));
    }, WAIT_MS);
    output?.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      clearTimeout(timer);
      resolve();
    });
  });
}

describe.each(KUBECTLS)('%s', (file) => {
  /** Of version 1.minor. */
  let minor: number;

  beforeAll(async () => {
    expect(existsSync(file), `a kubectl is missing: it is looked for at ${file}`).toBe(true);
    const { stdout } = await new Exec().run({ file, args: ['version', '--client', '-o', 'json'] });
    minor = Number.parseInt(JSON.parse(stdout).clientVersion.minor, 10);
  });

  it('exec gives output, errors and the exit code', async () => {
    const script = 'echo out; echo err >&2; exit 3';
    const done = await kubectl(file, ['exec', 'web', '-c', 'web', '--', 'sh', '-c', script]);
    expect(done).toMatchObject({ code: 3, stdout: 'out\n' });
    expect(done.stderr).toContain('err\n');
    expect(done.stderr).toContain('command terminated with exit code 3');
    expect(upgrades).toEqual([minor < 30 ? 'spdy/3.1' : 'websocket']);
    expect(kubelet.asked[0]).toMatch(
      /^\/exec\/default\/web\/web\?command=sh&command=-c&command=.*&stdout=true&stderr=true$/,
    );
  });

  it('exec passes input on to its end, and 5 MB back intact', async () => {
    const input = randomBytes(2_500_000).toString('hex');
    const done = await kubectl(file, ['exec', '-i', 'web', '-c', 'web', '--', 'cat'], input);
    expect(done.code).toBe(0);
    expect(done.stdout.length).toBe(input.length);
    expect(digest(done.stdout)).toBe(digest(input));
  });

  it('exec -it has a terminal of the client’s size', async () => {
    const terminal = startOnTerminal(
      file,
      [
        ...flags(),
        'exec',
        '-it',
        'web',
        '-c',
        'web',
        '--',
        'sh',
        '-c',
        'read go; tty >/dev/null && stty size; exit 7',
      ],
      { columns: 93, rows: 31, env: environment() },
    );
    let seen = '';
    terminal.onData((bytes) => {
      seen += bytes.toString();
    });
    terminal.write('go\r');
    expect(await terminal.ended).toEqual({ code: 7, signal: null });
    expect(seen).toContain('31 93');
  });

  it('attach reaches the running command', async () => {
    const done = await kubectl(file, ['attach', '-i', 'web', '-c', 'web'], 'hello\n');
    expect(done.stdout).toContain('got hello\n');
    expect(done.code).toBe(4);
  });

  it('port-forward carries several connections at once', async () => {
    const page = randomBytes(300_000).toString('hex');
    const web = createServer((_request, response) => response.end(page));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { port: target } = web.address() as AddressInfo;
    const { running, local } = await startForward(file, target);
    try {
      const pages = await Promise.all([curl(local), curl(local), curl(local), curl(local)]);
      for (const one of pages) expect(digest(one.stdout)).toBe(digest(page));
      expect(upgrades).toEqual([minor < 31 ? 'spdy/3.1' : 'websocket']);
    } finally {
      running.kill('SIGKILL');
      await running.ended;
      web.closeAllConnections();
      web.close();
    }
  });

  it('port-forward tells what the port said when it refused', async () => {
    const { running, local } = await startForward(file, 1);
    try {
      const told = outputHolds(running.stderr, 'error forwarding port 1 to pod web: connect ECONNREFUSED');
      await curl(local, [52, 56]);
      await told;
    } finally {
      running.kill('SIGKILL');
      await running.ended;
    }
  });

  it('logs prints the log, and -f follows it until the client goes', async () => {
    const whole = await kubectl(file, ['logs', 'web', '-c', 'web', '--tail=5']);
    expect(whole).toMatchObject({ code: 0, stdout: 'first\nsecond\n' });
    expect(kubelet.asked).toEqual(['/containerLogs/default/web/web?tailLines=5']);
    const running = await startKubectl(file, ['logs', '-f', 'web', '-c', 'web'], 'first\n');
    await kubelet.follower.came;
    const followed = outputHolds(running.stdout, 'later\n');
    kubelet.log('later');
    await followed;
    running.kill('SIGKILL');
    await running.ended;
    await kubelet.follower.gone;
  });

  it.each([
    ['exec', ['exec', 'web', '-c', 'no', '--', 'true'], 'container no is not valid for pod web'],
    ['exec', ['exec', 'pending', '--', 'true'], 'pod pending does not have a host assigned'],
    ['exec', ['exec', 'lost', '--', 'true'], 'error dialing backend: connect ENOENT'],
    ['exec', ['exec', 'web', '-c', 'waiting', '--', 'true'], 'container not found ("waiting")'],
    ['port-forward', ['port-forward', 'lost', ':80'], 'error dialing backend: connect ENOENT'],
    ['logs', ['logs', 'web', '-c', 'waiting'], 'container "waiting" in pod "web" is waiting to start'],
    ['logs', ['logs', 'lost'], 'error dialing backend: connect ENOENT'],
  ])('%s is told why it is refused: %j', async (_name, args, message) => {
    const done = await kubectl(file, args);
    expect(done.code).not.toBe(0);
    expect(done.stderr).toContain(message);
  });
});

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

async function freePort(): Promise<number> {
  const probe = createTcpServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port: free } = probe.address() as AddressInfo;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return free;
}
