import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Exec } from '../exec/exec.ts';
import { lineLog } from '../fault/log.ts';
import { Daemon } from './daemon.ts';

const BOUND_MS = 20_000;
const QUIET = lineLog(
  () => undefined,
  () => new Date(),
);
let folder: string;
let daemon: Daemon | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-daemon-'));
});
afterEach(async () => {
  await daemon?.stop();
  rmSync(folder, { recursive: true });
});

/** The place has a shell run in the daemon's stead. */
function started(script: string): Daemon {
  const prefix = ['sh', '-c', script, 'sh', join(folder, 'been')];
  const spec = { name: 'one', exec: new Exec({ name: 'here', prefix }), args: [], log: 2, announces: true };
  daemon = Daemon.start(spec, QUIET);
  return daemon;
}

it('is waited for although it ended once before it served', async () => {
  const once = started('test -e "$1" || { touch "$1"; exit 3; }; echo ready; exec sleep 60');
  await once.ready(BOUND_MS);
  expect(once.restarts).toBe(1);
});

it('is not waited for when it ends again and again', async () => {
  await expect(started('exit 3').ready(BOUND_MS)).rejects.toThrow(
    'one ended 4 times before it served, the last time with 3',
  );
});

it('is waited for anew once it has ended', async () => {
  const again = started('echo ready; test -e "$1" && exec sleep 60; touch "$1"; sleep 0.2');
  await again.ready(BOUND_MS);
  await expect.poll(() => again.restarts, { timeout: BOUND_MS }).toBe(1);
  await again.ready(BOUND_MS);
  expect(again.pid).toBeGreaterThan(0);
});
