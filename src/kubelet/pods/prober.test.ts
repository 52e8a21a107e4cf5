import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../client/manual-clock.ts';
import type { Container } from '../../kube/objects.ts';
import { Prober } from './prober.ts';

const exec = { command: ['check'] };

/** A prober whose container answers as told; each look is awaited. */
function watch(container: Partial<Container>, was: { wasStarted?: boolean; wasReady?: boolean } = {}) {
  const clock = new ManualClock();
  const told: string[] = [];
  let healthy = false;
  let looks = 0;
  const prober = new Prober({
    container: { name: 'c', ...container },
    podIP: '192.0.2.1',
    clock,
    wasStarted: was.wasStarted ?? false,
    wasReady: was.wasReady ?? false,
    exec: async () => {
      looks += 1;
      return { code: healthy ? 0 : 1, output: 'sick' };
    },
    changed: () => told.push('changed'),
    failed: (kind) => told.push(`failed ${kind}`),
    unhealthy: (kind, output) => told.push(`unhealthy ${kind} ${output}`),
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    prober,
    told,
    looks: () => looks,
    become: (now: boolean) => {
      healthy = now;
    },
    /** One step a millisecond count, so that each look is judged before the next is due. */
    pass: async (...steps: number[]) => {
      for (const ms of steps) {
        clock.advance(ms);
        await settle();
      }
    },
  };
}

describe('Prober', () => {
  it('is ready at once without probes', () => {
    const { prober } = watch({});
    expect([prober.started, prober.ready]).toEqual([true, true]);
  });

  it('looks early for readiness without counting failures', async () => {
    const { become, pass, prober, told } = watch({ readinessProbe: { exec, periodSeconds: 10 } });
    await pass(0, 50, 100);
    expect([prober.ready, told]).toEqual([false, []]);
    become(true);
    await pass(200);
    expect([prober.ready, told]).toEqual([true, ['changed']]);
  });

  it('takes readiness away after failureThreshold looks and gives it back', async () => {
    const { become, pass, prober, told } = watch({
      readinessProbe: { exec, periodSeconds: 1, failureThreshold: 2 },
    });
    become(true);
    await pass(0);
    become(false);
    await pass(1000);
    expect(prober.ready).toBe(true);
    await pass(1000);
    expect(prober.ready).toBe(false);
    become(true);
    await pass(1000);
    expect(prober.ready).toBe(true);
    expect(told.filter((one) => one === 'changed')).toHaveLength(3);
  });

  it('fails liveness after initialDelay and failureThreshold, and then looks no more', async () => {
    const livenessProbe = { exec, initialDelaySeconds: 5, periodSeconds: 1, failureThreshold: 2 };
    const { looks, pass, told } = watch({ livenessProbe });
    await pass(4999);
    expect(looks()).toBe(0);
    await pass(1, 1000, 1000, 1000);
    expect(told).toEqual(['unhealthy liveness sick', 'unhealthy liveness sick', 'failed liveness']);
    expect(looks()).toBe(2);
  });

  it('holds the other probes back until the startup probe has passed', async () => {
    const startupProbe = { exec, periodSeconds: 1, failureThreshold: 30 };
    const { become, pass, prober } = watch({ startupProbe, readinessProbe: { exec, periodSeconds: 1 } });
    await pass(0, 50, 100, 200, 400);
    expect([prober.started, prober.ready]).toEqual([false, false]);
    become(true);
    await pass(1000, 0);
    expect([prober.started, prober.ready]).toEqual([true, true]);
  });

  it('believes what an earlier agent knew until a probe says otherwise', async () => {
    const { pass, prober } = watch(
      { readinessProbe: { exec, periodSeconds: 1, failureThreshold: 1 } },
      { wasStarted: true, wasReady: true },
    );
    expect(prober.ready).toBe(true);
    await pass(0, 50, 100, 200, 400, 1000, 1000);
    expect(prober.ready).toBe(false);
  });
});
