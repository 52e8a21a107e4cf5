import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { relay } from './relay.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relay-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What a server that answers after the client's half-close with all it read gives back. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.once('end', () => resolve(Buffer.concat(parts).toString()));
    socket.once('error', reject);
    socket.end(text);
  });
}

describe('relay', () => {
  it('carries bytes both ways and the half-close', async () => {
    const path = join(folder, 'sock');
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(path, resolve));
    const front = await relay(0, path);
    const text = 'x'.repeat(1 << 20);
    expect(await exchange(front.port, text)).toBe(text);
    await front.close();
    await new Promise((resolve) => echo.close(resolve));
  });

  it('ends a connection nobody takes behind it', async () => {
    const front = await relay(0, join(folder, 'nothing'));
    await expect(exchange(front.port, 'x')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await front.close();
  });

  it('says that a port is taken, and the cure', async () => {
    const front = await relay(0, join(folder, 'nothing'));
    await expect(relay(front.port, join(folder, 'nothing'))).rejects.toMatchObject({
      code: 'FE005',
      message: `127.0.0.1:${front.port} is already taken`,
    });
    await front.close();
  });
});
