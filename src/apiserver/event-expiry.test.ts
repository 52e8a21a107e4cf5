import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Served, startServed } from './test-server.ts';

const EVENTS = '/api/v1/namespaces/default/events';
const HOUR = 3_600_000;

let served: Served;
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  served = await startServed();
});
afterAll(async () => {
  vi.useRealTimers();
  await served.stop();
});

describe('Events', () => {
  const event = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'Tested',
    type: 'Normal',
    lastTimestamp: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
  });
  const names = async () =>
    (await served.send('GET', EVENTS)).body.items.map(({ metadata }) => metadata.name);

  it('are forgotten an hour after they were last seen', async () => {
    await served.create(EVENTS, event('once'));
    await served.create(EVENTS, event('again'));
    vi.advanceTimersByTime(HOUR - 60_000);
    await served.send('PUT', `${EVENTS}/again`, event('again'));
    expect(await names()).toEqual(['again', 'once']);
    vi.advanceTimersByTime(180_000);
    await expect.poll(names).toEqual(['again']);
  });
});
