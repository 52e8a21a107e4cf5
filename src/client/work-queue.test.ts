import { describe, expect, it } from 'vitest';
import { ApiError } from './client.ts';
import { ManualClock } from './manual-clock.ts';
import { WorkQueue } from './work-queue.ts';

class Lines {
  readonly lines: string[] = [];
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
}

describe('a work queue', () => {
  it('works once on a key added many times', async () => {
    const seen: string[] = [];
    const queue = new WorkQueue({ name: 'q', log: new Lines(), sync: async (key) => void seen.push(key) });
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
      log: new Lines(),
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
      log: new Lines(),
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
    const log = new Lines();
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
    expect(log.lines).toEqual([
      'error q a: sync failed, again in 100 ms',
      'error q a: sync failed, again in 200 ms',
      'error q a: sync failed, again in 300 ms',
    ]);
  });

  it('takes a conflict for what it is', async () => {
    const log = new Lines();
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
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatch(/^info .*modified$/);
  });

  it('lets the earliest of several planned times count', async () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const queue = new WorkQueue({
      name: 'q',
      log: new Lines(),
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
    const queue = new WorkQueue({ name: 'q', log: new Lines(), signal: stop.signal, sync });
    queue.add('a');
    stop.abort();
    queue.add('b');
    await queue.idle();
    expect(seen).toEqual([]);
  });
});
