import { describe, expect, it } from 'vitest';
import { lineLog } from '../fault/log.ts';
import { ApiError } from './client.ts';
import { ManualClock } from './manual-clock.ts';
import { WorkQueue } from './work-queue.ts';

const logTo = (lines: string[]) =>
  lineLog(
    (line) => lines.push(line.trim()),
    () => new Date(0),
  );
const silent = logTo([]);

describe('a work queue', () => {
  it('works once on a key added many times', async () => {
    const seen: string[] = [];
    const queue = new WorkQueue({ name: 'q', log: silent, sync: async (key) => void seen.push(key) });
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    await queue.idle();
    expect(seen).toEqual(['a', 'b']);
  });

  it('never works on a key twice at the same time, and again on one added meanwhile', async () => {
    let inside = 0;
    let most = 0;
    let runs = 0;
    const queue = new WorkQueue({
      name: 'q',
      log: silent,
      sync: async (key) => {
        inside += 1;
        most = Math.max(most, inside);
        runs += 1;
        if (runs === 1) {
          queue.add(key);
          queue.add(key);
        }
        await Promise.resolve();
        inside -= 1;
      },
    });
    queue.add('a');
    await queue.idle();
    expect({ most, runs }).toEqual({ most: 1, runs: 2 });
  });

  it('keeps to its concurrency', async () => {
    let inside = 0;
    let most = 0;
    const queue = new WorkQueue({
      name: 'q',
      log: silent,
      concurrency: 3,
      sync: async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      },
    });
    for (let i = 0; i < 20; i++) queue.add(String(i));
    await queue.idle();
    expect(most).toBe(3);
  });

  it('logs a failure and comes back with growing pauses', async () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const log = logTo(lines);
    let runs = 0;
    const queue = new WorkQueue({
      name: 'q',
      log,
      clock,
      backoff: { baseMs: 100, maxMs: 300, random: () => 0.999999 },
      sync: async () => {
        runs += 1;
        if (runs <= 3) throw new Error('no');
      },
    });
    queue.add('a');
    for (const [pause, expected] of [
      [100, 2],
      [200, 3],
      [300, 4],
    ] as const) {
      await queue.idle();
      clock.advance(pause - 2);
      await queue.idle();
      expect(runs).toBe(expected - 1);
      clock.advance(2);
      await queue.idle();
      expect(runs).toBe(expected);
    }
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z error q a: sync failed, again in 100 ms error=no',
      '1970-01-01T00:00:00.000Z error q a: sync failed, again in 200 ms error=no',
      '1970-01-01T00:00:00.000Z error q a: sync failed, again in 300 ms error=no',
    ]);
  });

  it('takes a conflict for what it is', async () => {
    const lines: string[] = [];
    const log = logTo(lines);
    const clock = new ManualClock();
    let runs = 0;
    const sync = async () => {
      runs += 1;
      if (runs > 1) return;
      const kind = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' } as const;
      throw new ApiError({ ...kind, reason: 'Conflict', code: 409, message: 'modified' });
    };
    const queue = new WorkQueue({ name: 'q', log, clock, sync });
    queue.add('a');
    await queue.idle();
    clock.advance(5);
    await queue.idle();
    expect(runs).toBe(2);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/ info .*modified$/);
  });

  it('lets the earliest of several planned times count', async () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const queue = new WorkQueue({
      name: 'q',
      log: silent,
      clock,
      sync: async () => void seen.push(clock.now()),
    });
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    clock.advance(1000);
    await queue.idle();
    expect(seen).toHaveLength(1);
  });

  it('begins nothing after its signal', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const sync = async (key: string) => void seen.push(key);
    const queue = new WorkQueue({ name: 'q', log: silent, signal: stop.signal, sync });
    queue.add('a');
    stop.abort();
    queue.add('b');
    await queue.idle();
    expect(seen).toEqual([]);
  });
});
