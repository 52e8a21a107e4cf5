import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { AGENT } from './agent.ts';
import { type Frame, FrameReader, isPiped, printFrame, printStart } from './frames.ts';
import { Link } from './link.ts';

/** A link and, in the agent's stead, the frames that it sent and the means to send some. */
function opened() {
  const input = new PassThrough();
  const output = new PassThrough();
  const frames: Frame[] = [];
  const reader = new FrameReader();
  output.on('data', (bytes: Buffer) => frames.push(...reader.read(bytes)));
  const messages: unknown[] = [];
  const link = new Link(input, output, (...message) => messages.push(message));
  const answer = (...frame: Parameters<typeof printFrame>) => input.write(printFrame(...frame));
  const sent = (kind: string) =>
    frames.filter((frame) => frame.kind === kind).reduce((sum, { payload }) => sum + payload.length, 0);
  return { link, input, answer, frames, sent, messages };
}

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

describe('frames', () => {
  it('are found however the bytes are cut', () => {
    const bytes = Buffer.concat([
      printFrame('data', 7, Buffer.from('abc')),
      printFrame('end', 7, Buffer.alloc(0)),
    ]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new FrameReader();
      const found = [...reader.read(bytes.subarray(0, cut)), ...reader.read(bytes.subarray(cut))];
      expect(found.map(({ kind, id, payload }) => [kind, id, payload.toString()])).toEqual([
        ['data', 7, 'abc'],
        ['end', 7, ''],
      ]);
    }
  });

  it('of a kind that nobody knows are refused', () => {
    expect(() => [...new FrameReader().read(Buffer.from([0, 0, 0, 0, 99, 0, 0, 0, 1]))]).toThrow('kind 99');
  });

  it('have the kinds of the agent, in its order', () => {
    const kinds = /@KINDS = qw\((.*)\)/.exec(AGENT)?.[1]?.split(' ') ?? [];
    expect(kinds).toHaveLength(10);
    for (const [at, kind] of kinds.entries()) {
      expect(printFrame(kind as Frame['kind'], 0, Buffer.alloc(0)).readUInt8(4)).toBe(at);
    }
  });

  it('say what is to be started, and refuse what cannot be said', () => {
    const spec = {
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'pipe',
      report: true,
      detached: true,
      forks: false,
    } as const;
    expect(printStart({ ...spec, argv: ['ip', '-V'], env: { A: 'b=c' } })).toEqual([
      '023d',
      '/',
      '2',
      'ip',
      '-V',
      'A=b=c',
    ]);
    expect(() => printStart({ ...spec, argv: ['a\0b'] })).toThrow('zero byte');
    expect(() => isPiped('inherit')).toThrow("cannot have 'inherit'");
    expect(() => isPiped(1)).toThrow("cannot have '1'");
  });
});

describe('a link', () => {
  it('sends no more than the reader takes, and the rest when it takes more', async () => {
    const { link, answer, sent } = opened();
    const writer = link.writer(4);
    const written = new Promise((resolve) => writer.once('finish', resolve));
    writer.end(Buffer.alloc(300 * 1024));
    await expect.poll(() => sent('data')).toBe(256 * 1024);
    answer('credit', 4, uint32(100 * 1024));
    await written;
    await expect.poll(() => sent('data')).toBe(300 * 1024);
  });

  it('gives credit for what was read, and none for what waits', async () => {
    const { link, answer, frames } = opened();
    const reader = link.reader(5);
    for (let at = 0; at < 4; at += 1) answer('data', 5, Buffer.alloc(32 * 1024));
    await expect.poll(() => reader.readableLength).toBe(128 * 1024);
    expect(frames).toEqual([]);
    reader.resume();
    await expect.poll(() => frames.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['credit 5']);
    expect(frames[0]?.payload).toEqual(uint32(128 * 1024));
  });

  it('tells the agent of a stream that nobody reads any more, and ends one that it abandons', async () => {
    const { link, answer, frames } = opened();
    link.reader(5).destroy();
    await expect.poll(() => frames.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['abandon 5']);
    const writer = link.writer(4);
    const failed = new Promise((resolve) => writer.once('error', resolve));
    writer.write(Buffer.alloc(300 * 1024));
    answer('abandon', 4, Buffer.alloc(0));
    expect(await failed).toMatchObject({ code: 'EPIPE' });
    const idle = link.writer(8);
    answer('abandon', 8, Buffer.alloc(0));
    await new Promise((resolve) => idle.once('close', resolve));
  });

  it('ends every stream when the guest is gone', async () => {
    const { link } = opened();
    const reader = link.reader(5);
    const ended = new Promise((resolve) => reader.resume().once('end', resolve));
    link.break();
    await ended;
  });
});
