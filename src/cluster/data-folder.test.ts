import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    writeFileSync(join(path, 'objects.db-wal'), '');
    const written = Math.floor(Date.now() / 1000);
    await folder.untilLater();
    expect(Math.floor(Date.now() / 1000)).toBe(written + 1);
    const began = performance.now();
    await folder.untilLater();
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('reads the start time behind a process name with brackets', () => {
    expect(startTimeOf(process.pid)).toMatch(/^\d+$/);
    expect(startTimeOf(2 ** 22 + 1)).toBeUndefined();
  });
});
