import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataFolder, startTimeOf } from './data-folder.ts';

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'data-'));
});
afterEach(() => rmSync(path, { recursive: true }));

const rest = { cagePid: 1, port: 6443, privilege: 'root' as const, nodes: ['n1'], profile: 'x' };

describe('DataFolder', () => {
  it('is held by one living supervisor', () => {
    const folder = new DataFolder(path);
    folder.claim();
    folder.record(rest);
    expect(folder.holder()).toMatchObject({ pid: process.pid, port: 6443 });
    expect(() => new DataFolder(path).claim()).toThrow(/already runs/);
    folder.release();
    expect(folder.holder()).toBeUndefined();
  });

  it('sees through the record of a supervisor that is gone, though its pid lives again', () => {
    const record = { pid: process.pid, startTime: '1', ...rest };
    writeFileSync(join(path, 'supervisor.json'), JSON.stringify(record));
    expect(new DataFolder(path).holder()).toBeUndefined();
  });

  it('lets a run begin in another second than the last write of the one before', async () => {
    const folder = new DataFolder(path);
    const file = join(path, 'objects.db-wal');
    writeFileSync(file, '');
    const second = (ms: number) => Math.floor(ms / 1000);
    await folder.untilLater();
    expect(second(Date.now())).toBeGreaterThan(second(statSync(file).mtimeMs));
  });

  it('waits for no second that is past, nor for one that a wrong clock wrote', async () => {
    const folder = new DataFolder(path);
    const file = join(path, 'objects.db-wal');
    writeFileSync(file, '');
    for (const seconds of [-2, 3600]) {
      const at = Date.now() / 1000 + seconds;
      utimesSync(file, at, at);
      const late = new AbortController();
      const waited = delay(900, 'waited', { signal: late.signal }).catch(() => 'ended');
      expect(await Promise.race([folder.untilLater().then(() => 'at once'), waited])).toBe('at once');
      late.abort();
    }
  });

  it('reads the start time behind a process name with brackets', () => {
    expect(startTimeOf(process.pid)).toMatch(/^\d+$/);
    expect(startTimeOf(2 ** 22 + 1)).toBeUndefined();
  });
});
