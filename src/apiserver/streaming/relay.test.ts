import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Pod } from '../../kube/objects.ts';
import { type KubeletStandIn, startKubelet } from './kubelet-contract.ts';
import { emit, type Frame, FrameParser } from './spdy/frame.ts';
import { HeaderCompressor } from './spdy/headers.ts';
import { createStreaming } from './streaming.ts';

/** What kubectl does not do by itself: old protocols, a client that does not read, one that breaks off. */
const POD: Pod = {
  metadata: { name: 'web', namespace: 'default' },
  spec: { nodeName: 'n1', containers: [{ name: 'web' }] },
};
const WAIT_MS = 10_000;

let folder: string;
let kubelet: KubeletStandIn;
let server: Server;
let port: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-relay-'));
  kubelet = await startKubelet(join(folder, 'n1.sock'), ['true']);
  const streaming = createStreaming({ kubeletSocket: (node) => join(folder, `${node}.sock`) });
  server = createServer();
  server.on('upgrade', (incoming, socket, head) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '', 'http://front');
    const kind = pathname === '/exec' ? 'exec' : 'portforward';
    void streaming.handleUpgrade(incoming, socket, head, POD, kind, searchParams);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await kubelet.close();
  await rm(folder, { recursive: true });
});

const exec = (script: string, ...flags: string[]): string => {
  const query = new URLSearchParams([
    ...['sh', '-c', script].map((word): [string, string] => ['command', word]),
    ...flags.map((flag): [string, string] => [flag, 'true']),
  ]);
  return `/exec?${query}`;
};

/** A SPDY client that opens the streams and keeps what it is told. */
async function openSpdy(path: string, protocols: readonly string[], types: readonly string[]) {
  const socket = await upgradeToSpdy(path, protocols);
  const compressor = new HeaderCompressor();
  for (const [at, type] of types.entries()) {
    const headers = compressor.compress(new Map([['streamtype', [type]]]));
    const rest = { associatedTo: 0, priority: 0, fin: false, unidirectional: false };
    socket.write(emit({ type: 'SYN_STREAM', streamId: at * 2 + 1, headers, ...rest }));
  }
  return socket;
}

function upgradeToSpdy(path: string, protocols: readonly string[]): Promise<Socket> {
  const outgoing = request({ port, path, method: 'POST' });
  outgoing.setHeader('Connection', 'Upgrade');
  outgoing.setHeader('Upgrade', 'SPDY/3.1');
  outgoing.setHeader('X-Stream-Protocol-Version', [...protocols]);
  outgoing.end();
  return new Promise((resolve, reject) => {
    outgoing.once('upgrade', (response, socket) => {
      expect(response.headers['x-stream-protocol-version']).toBe(protocols[0]);
      resolve(socket);
    });
    outgoing.once('response', (response) => reject(new Error(`refused with ${response.statusCode}`)));
    outgoing.once('error', reject);
  });
}

/** The text of each stream, by its id, once the server has said goodbye. */
async function textsOf(socket: Socket): Promise<Record<number, string>> {
  const parser = new FrameParser();
  const texts: Record<number, string> = {};
  for await (const chunk of socket) {
    const isData = (frame: Frame) => frame.type === 'DATA';
    for (const { streamId, data } of parser.push(chunk as Buffer).filter(isData)) {
      texts[streamId] = (texts[streamId] ?? '') + Buffer.from(data).toString();
    }
  }
  return texts;
}

describe('SPDY', () => {
  it('v2 is told a failure as text, and nothing when all went well', async () => {
    const failed = await openSpdy(
      exec('echo hi; exit 2', 'stdout'),
      ['v2.channel.k8s.io'],
      ['error', 'stdout'],
    );
    expect(await textsOf(failed)).toEqual({
      1: 'command terminated with non-zero exit code: exit status 2',
      3: 'hi\n',
    });
    const well = await openSpdy(exec('echo hi', 'stdout'), ['v3.channel.k8s.io'], ['error', 'stdout']);
    expect(await textsOf(well)).toEqual({ 1: '', 3: 'hi\n' });
  });

  it('without a protocol in common is refused', async () => {
    await expect(upgradeToSpdy(exec('true', 'stdout'), ['v9.channel.k8s.io'])).rejects.toThrow('403');
  });

  it('an upgrade to something else is refused', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `GET ${exec('true', 'stdout')} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    );
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('unable to upgrade: missing upgrade headers');
  });
});

describe('WebSocket', () => {
  const open = (path: string, protocol: string) => new WebSocket(`ws://127.0.0.1:${port}${path}`, [protocol]);

  it('v4 is greeted, gets output and a Status, and is closed with 1000', async () => {
    const client = open(exec('echo out; echo err >&2; exit 6', 'stdout', 'stderr'), 'v4.channel.k8s.io');
    const messages: string[] = [];
    client.on('message', (message) => messages.push(String(message)));
    const code = await new Promise((resolve) => client.once('close', resolve));
    expect(code).toBe(1000);
    expect(messages[0]).toBe('\u0001');
    expect(messages).toContain('\u0001out\n');
    expect(messages).toContain('\u0002err\n');
    const last = messages.at(-1) ?? '';
    expect(last.charCodeAt(0)).toBe(3);
    expect(JSON.parse(last.slice(1))).toMatchObject({
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '6' }] },
    });
  });

  it('without a protocol in common is refused', async () => {
    const client = open(exec('true', 'stdout'), 'v1.channel.k8s.io');
    const [error] = await new Promise<[Error]>((resolve) => client.once('error', (one) => resolve([one])));
    expect(error.message).toContain('400');
  });

  it('makes the command wait while the client does not read', async () => {
    const progress = join(folder, 'progress');
    const script = `i=0; while head -c 100000 /dev/zero; do i=$((i+1)); echo $i > ${progress}; done`;
    const client = open(exec(script, 'stdout'), 'v5.channel.k8s.io');
    await new Promise((resolve) => client.once('open', resolve));
    client.pause();
    // It has come to a halt when its count stands still, after what the sockets on the way hold.
    const count = async () => Number(await readFile(progress, 'utf8').catch(() => '0'));
    let before = -1;
    await expect
      .poll(
        async () => {
          const last = before;
          before = await count();
          return before > 0 && before === last;
        },
        { interval: 500, timeout: WAIT_MS },
      )
      .toBe(true);
    expect(before * 100_000).toBeLessThan(50_000_000);
    const goesOn = new Promise((resolve) => client.once('message', resolve));
    client.resume();
    await goesOn;
    client.terminate();
  });

  it('ends with the Status, though the kubelet takes its time over the closing handshake', async () => {
    const slow = createServer();
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
    slow.on('upgrade', (incoming, socket, head) =>
      sockets.handleUpgrade(incoming, socket, head, (session) => {
        session.pause();
        session.send('\u0001bye');
        session.send('\u0003{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}');
        session.close(1000);
      }),
    );
    await kubelet.close();
    await new Promise<void>((resolve) => slow.listen(join(folder, 'n1.sock'), resolve));
    try {
      const spdy = await openSpdy(exec('true', 'stdout'), ['v4.channel.k8s.io'], ['error', 'stdout']);
      const texts = await textsOf(spdy);
      expect(texts[3]).toBe('bye');
      expect(texts[1]).toContain('"Success"');
    } finally {
      for (const session of sockets.clients) session.terminate();
      await new Promise((resolve) => slow.close(resolve));
    }
  });

  it('a client that breaks off ends the kubelet’s session', async () => {
    const marker = join(folder, 'marker');
    const script = `echo $$; trap 'echo gone > ${marker}' TERM; sleep 60`;
    const client = open(exec(script, 'stdin', 'stdout'), 'v5.channel.k8s.io');
    const pid = await new Promise<number>((resolve) => {
      client.on('message', (message) => {
        const number = Number(String(message).slice(1));
        if (number > 0) resolve(number);
      });
    });
    client.terminate();
    await expect.poll(() => isAlive(pid), { timeout: WAIT_MS }).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: no such process.
    return false;
  }
}
