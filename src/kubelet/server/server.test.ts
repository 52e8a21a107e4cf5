import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Pod, Status } from '../../kube/objects.ts';
import { TestNode, USERS } from '../test-node.ts';

let node: TestNode;

/** A client of v5.channel.k8s.io. */
class Client {
  readonly #socket: WebSocket;
  readonly #said: Record<number, string> = {};
  #heard: (() => void) | undefined;

  constructor(path: string) {
    this.#socket = new WebSocket(`ws+unix:${node.socketPath}:${path}`, ['v5.channel.k8s.io']);
    this.#socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? 0;
      this.#said[channel] = `${this.#said[channel] ?? ''}${data.subarray(1).toString('latin1')}`;
      this.#heard?.();
    });
    this.#socket.on('close', () => this.#heard?.());
  }

  async send(channel: number, body: string): Promise<void> {
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      await new Promise((resolve) => this.#socket.once('open', resolve));
    }
    this.#socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(body, 'latin1')]));
  }

  said(channel: number): string {
    return this.#said[channel] ?? '';
  }

  hears(channel: number, wanted: RegExp): Promise<void> {
    return this.#until(() => wanted.test(this.said(channel)), `channel ${channel} to say ${wanted}`);
  }

  /** The Status at the end. */
  async ends(): Promise<Status> {
    await this.#until(() => this.#socket.readyState === WebSocket.CLOSED, 'the end');
    return JSON.parse(this.said(3)) as Status;
  }

  leave(): void {
    this.#socket.close();
  }

  #until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited 8 s for ${what}: ${JSON.stringify(this.#said).slice(-400)}`)),
        8000,
      );
      this.#heard = () => {
        if (!holds()) return;
        clearTimeout(timer);
        resolve();
      };
      this.#heard();
    });
  }
}

const command = (...argv: string[]) => argv.map((word) => `command=${encodeURIComponent(word)}`).join('&');

describe.each(USERS)('streams of $name', ({ options }) => {
  beforeAll(async () => {
    node = await TestNode.open(options);
    const image = 'busybox';
    const container = { name: 'c', image };
    await node.run('box', {
      containers: [{ ...container, command: ['sh', '-c', 'echo up; exec sleep 600'] }],
    });
    await node.run('tty', { containers: [{ ...container, stdin: true, tty: true }] });
    await node.run('pipe', {
      restartPolicy: 'Never',
      containers: [
        {
          ...container,
          stdin: true,
          stdinOnce: true,
          command: ['sh', '-c', 'echo said; echo oops >&2; exec cat'],
        },
      ],
    });
    await node.run('web', { containers: [{ name: 'c', image: 'responder' }] });
    const script =
      'for i in 1 2 3 4; do echo line $i; done; echo err >&2; sleep 0.2; printf "no end"; sleep 0.3; echo " yet"';
    await node.run('talk', {
      restartPolicy: 'Never',
      containers: [{ ...container, command: ['sh', '-c', script] }],
    });
    await Promise.all(['box', 'tty', 'pipe', 'web'].map((name) => node.ready(name)));
  }, 30_000);
  afterAll(async () => await node?.close());

  describe('exec', () => {
    it('keeps streams apart, carries input to its end, and tells the exit code', async () => {
      const script = 'cat; echo e >&2; exit 7';
      const client = new Client(
        `/exec/default/box/c?${command('sh', '-c', script)}&stdin=true&stdout=true&stderr=true`,
      );
      await client.send(0, 'a\n\xff');
      await client.send(255, '\0');
      const status = await client.ends();
      expect([client.said(1), client.said(2)]).toEqual(['a\n\xff', 'e\n']);
      expect(status).toMatchObject({ status: 'Failure', reason: 'NonZeroExitCode' });
      expect(status.details?.causes).toEqual([{ reason: 'ExitCode', message: '7', field: '' }]);
    });

    it('carries a megabyte each way', async () => {
      const client = new Client(`/exec/default/box/c?${command('cat')}&stdin=true&stdout=true`);
      const block = 'x'.repeat(64 * 1024);
      for (let at = 0; at < 16; at++) await client.send(0, block);
      await client.send(255, '\0');
      expect(await client.ends()).toMatchObject({ status: 'Success' });
      expect(client.said(1)).toHaveLength(1024 * 1024);
    });

    it("gives a terminal the client's size and the container's environment", async () => {
      const client = new Client(`/exec/default/box/c?${command('sh')}&stdin=true&stdout=true&tty=true`);
      await client.send(4, '{"Width":101,"Height":31}');
      await client.hears(1, /\/ # $/);
      await client.send(0, 'stty size; exit 5\r');
      expect(await client.ends()).toMatchObject({ details: { causes: [{ message: '5' }] } });
      expect(client.said(1)).toContain('31 101\r\n');
    });

    it('refuses before the upgrade what is not there', async () => {
      const refused = (path: string) =>
        new Promise<string>((resolve, reject) => {
          const socket = new WebSocket(`ws+unix:${node.socketPath}:${path}`, ['v5.channel.k8s.io']);
          socket.on('unexpected-response', async (_request, response) => {
            resolve(`${response.statusCode} ${await text(response)}`);
          });
          socket.on('error', reject);
        });
      expect(await refused(`/exec/default/nobody/c?${command('sh')}`)).toBe('404 pods "nobody" not found');
      expect(await refused(`/exec/default/box/d?${command('sh')}`)).toBe('404 container not found ("d")');
      expect(await refused('/exec/default/box/c')).toContain('400 you must specify at least one command');
    });
  });

  describe('attach', () => {
    it('shows the prompt that was printed before, and what is typed', async () => {
      const first = new Client('/attach/default/tty/c?stdin=true&stdout=true&tty=true');
      await first.hears(1, /^\/ # $/);
      await first.send(4, '{"Width":90,"Height":20}');
      await first.send(0, 'stty size; echo $((6*7))\r');
      await first.hears(1, /20 90\r\n42\r\n\/ # $/);
      first.leave();
      const second = new Client('/attach/default/tty/c?stdin=true&stdout=true&tty=true');
      await second.hears(1, /42\r\n\/ # $/);
      await second.send(0, 'exit\r');
      expect(await second.ends()).toMatchObject({ status: 'Success' });
    });

    it('keeps streams apart without a terminal, and ends the input of a container that reads once', async () => {
      const client = new Client('/attach/default/pipe/c?stdin=true&stdout=true&stderr=true');
      await client.send(0, 'in\n');
      await client.hears(1, /in\n$/);
      await client.send(255, '\0');
      expect(await client.ends()).toMatchObject({ status: 'Success' });
      expect([client.said(1), client.said(2)]).toEqual(['said\nin\n', 'oops\n']);
      await node.until('pipe', (pod) => pod?.status?.phase === 'Succeeded', 'to succeed');
    });
  });

  describe('port-forward', () => {
    it("connects to the pod's loopback address", async () => {
      const client = new Client('/portForward/default/web?port=80');
      await client.send(0, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n');
      expect(await client.ends()).toMatchObject({ status: 'Success' });
      expect(client.said(0)).toContain('pod default/web on node n1');
    });

    it('names a port on which nobody listens', async () => {
      const client = new Client('/portForward/default/web?port=81');
      expect(await client.ends()).toMatchObject({
        status: 'Failure',
        message: expect.stringMatching(
          /^error forwarding port 81 to pod default\/web: .*Connection refused$/,
        ),
      });
    });
  });

  describe('logs', () => {
    const get = (path: string) =>
      new Promise<string>((resolve, reject) => {
        const asked = request({ socketPath: node.socketPath, path }, async (answer) =>
          resolve(`${answer.statusCode} ${await text(answer)}`),
        );
        asked.on('error', reject);
        asked.end();
      });
    const all = 'line 1\nline 2\nline 3\nline 4\nerr\nno end yet\n';
    const succeeded = (pod: Pod | undefined) => pod?.status?.phase === 'Succeeded';

    it('follow until the container ends, and stay afterwards', async () => {
      const sorted = (answer: string) => answer.split('\n').toSorted();
      expect(sorted(await get('/containerLogs/default/talk/c?follow=true'))).toEqual(sorted(`200 ${all}`));
      await node.until('talk', succeeded, 'to succeed');
      expect(sorted(await get('/containerLogs/default/talk/c'))).toEqual(sorted(`200 ${all}`));
    });

    it('give as much as is asked for', async () => {
      await node.until('talk', succeeded, 'to succeed');
      expect(await get('/containerLogs/default/talk/c?tailLines=1')).toBe('200 no end yet\n');
      expect(await get('/containerLogs/default/talk/c?tailLines=0')).toBe('200 ');
      expect(await get('/containerLogs/default/talk/c?limitBytes=9')).toBe('200 line 1\nli');
      expect(await get('/containerLogs/default/talk/c?timestamps=true&tailLines=1')).toMatch(
        /^200 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S* no end yet\n$/,
      );
      expect(await get('/containerLogs/default/talk/c?sinceSeconds=3600&tailLines=1')).toBe(
        '200 no end yet\n',
      );
    });

    it('are rotated, and who follows misses nothing', async () => {
      const flood = ['sh', '-c', 'seq 1 100000; while [ ! -e /go ]; do sleep 0.1; done; seq 100001 100010'];
      await node.run('flood', {
        restartPolicy: 'Never',
        containers: [{ name: 'c', image: 'busybox', command: flood }],
      });
      const pod = await node.ready('flood');
      const followed = get('/containerLogs/default/flood/c?follow=true');
      const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('crun://', '') ?? '';
      const rotated = `/run/fairlead/kubelet-n1/containers/${id}/log.1`;
      const waitForIt = `until [ -e ${rotated} ]; do sleep 0.1; done`;
      await node.at().run({ file: 'timeout', args: ['10', 'sh', '-c', waitForIt] });
      const exec = new Client(`/exec/default/flood/c?${command('touch', '/go')}&stdout=true`);
      expect(await exec.ends()).toMatchObject({ status: 'Success' });
      const lines = (await followed).replace('200 ', '').trimEnd().split('\n');
      expect(lines).toHaveLength(100_010);
      expect(lines.findIndex((line, at) => line !== String(at + 1))).toBe(-1);
      expect(await get('/containerLogs/default/flood/c?tailLines=2')).toBe('200 100009\n100010\n');
    });

    it('say why there is none', async () => {
      expect(await get('/containerLogs/default/box/c?previous=true')).toBe(
        '400 previous terminated container "c" in pod "box" not found',
      );
      expect(await get('/containerLogs/default/box/d')).toBe(
        '400 container "d" in pod "box" is waiting to start: ContainerCreating',
      );
      expect(await get('/containerLogs/default/nobody/c')).toBe('404 pods "nobody" not found');
    });
  });
});
