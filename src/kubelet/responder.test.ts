import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Running } from '../exec/exec.ts';
import { type Cage, openCage } from '../lab/cage.ts';

const RESPONDER = new URL('./workloads/responder.pl', import.meta.url).pathname;
const ABOUT = ['--pod=web-0', '--namespace=shop', '--node=n1', '--ip=127.0.0.1'];

let cage: Cage;
beforeAll(async () => {
  cage = await openCage();
  await cage.exec().run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
});
afterAll(async () => await cage?.close());

async function start(...ports: string[]): Promise<Running> {
  const running = await cage.exec().start('perl', [RESPONDER, ...ABOUT, ...ports], { stdout: 'pipe' });
  // It says so when it listens.
  await new Promise((resolve) => running.stdout?.once('data', resolve));
  running.stdout?.resume();
  return running;
}

async function stop(running: Running): Promise<void> {
  running.kill('SIGKILL');
  await running.ended;
}

const curl = async (...args: string[]) =>
  (await cage.exec().run({ file: 'curl', args: ['-sS', '--max-time', '3', ...args] })).stdout;
const socat = async (address: string, stdin: string) =>
  (await cage.exec().run({ file: 'socat', args: ['-t', '1', '-', address], stdin })).stdout;

describe('the responder', () => {
  it('answers HTTP as text and as JSON, on both families and on every port', async () => {
    const running = await start('80', '8080');
    expect(await curl('http://127.0.0.1/a?b')).toMatch(
      /^pod shop\/web-0 on node n1 \(127\.0\.0\.1\)\nclient 127\.0\.0\.1:\d+\nlocal 127\.0\.0\.1:80\nprotocol http\nrequest GET \/a\?b\nhost 127\.0\.0\.1\n$/,
    );
    expect(JSON.parse(await curl('http://[::1]:8080/?format=json'))).toMatchObject({
      ...{ pod: 'web-0', namespace: 'shop', node: 'n1', client: '::1', local: '::1', localPort: 8080 },
    });
    expect(
      JSON.parse(await curl('-H', 'Accept: application/json', '-d', 'x="', 'http://127.0.0.1/"')),
    ).toMatchObject({ method: 'POST', path: '/"', protocol: 'http' });
    expect(await curl('http://127.0.0.1/healthz')).toBe('ok\n');
    expect(await curl('-I', 'http://127.0.0.1/')).toMatch(/^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\n$/);
    await stop(running);
  });

  it('keeps connections, and closes them where the client or a large body asks for it', async () => {
    const running = await start('80');
    const format = ['-w', '%{num_connects} '];
    expect(
      await curl(...format, '-o', '/dev/null', '-o', '/dev/null', 'http://127.0.0.1/', 'http://127.0.0.1/'),
    ).toBe('1 0 ');
    const refused = await curl('-i', '-H', 'Content-Length: 70000', '-d', 'x', 'http://127.0.0.1/');
    expect(refused).toContain('HTTP/1.1 413 Content Too Large');
    await stop(running);
  });

  it('answers lines over TCP and datagrams over UDP', async () => {
    const running = await start('80');
    const seen = /^pod shop\/web-0 on node n1 .*\nclient 127\.0\.0\.1:\d+\nlocal 127\.0\.0\.1:80\nprotocol /;
    expect(await socat('TCP4:127.0.0.1:80', 'hello\n')).toMatch(new RegExp(`${seen.source}tcp\n$`));
    expect(await socat('TCP4:127.0.0.1:80', 'a\nb\n')).toMatch(/^(pod [\s\S]*?protocol tcp\n){2}$/);
    expect(await socat('UDP4:127.0.0.1:80', 'hello')).toMatch(new RegExp(`${seen.source}udp\n$`));
    expect(JSON.parse(await socat('UDP4:127.0.0.1:80', 'json'))).toMatchObject({
      protocol: 'udp',
      localPort: 80,
    });
    await stop(running);
  });

  it('goes on answering after SIGTERM and ends by itself', async () => {
    const running = await start('80');
    running.kill('SIGTERM');
    expect(await curl('-i', 'http://127.0.0.1/')).toContain('Connection: close');
    expect(await running.ended).toEqual({ code: 0, signal: null });
  });

  it('says which port it cannot have', async () => {
    const running = await start('80');
    await expect(cage.exec().run({ file: 'perl', args: [RESPONDER, '80'] })).rejects.toThrow(
      'port 80/tcp: Address already in use',
    );
    await stop(running);
  });
});
