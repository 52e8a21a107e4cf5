import type { Answer } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import type { Rcode, Reply } from './answer.ts';
import { ReplyCache } from './cache.ts';

const QUESTION = { name: 'example.com', type: 'A' };
const record = (ttl: number): Answer => ({ type: 'A', name: 'example.com', ttl, data: '192.0.2.1' });
const soa = (ttl: number, minimum: number): Answer => ({
  type: 'SOA',
  name: 'com',
  ttl,
  data: { mname: 'ns.com', rname: 'h.com', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
const reply = (rcode: Rcode, answers: Answer[], authorities: Answer[] = []): Reply => ({
  rcode,
  authoritative: false,
  answers,
  authorities,
  additionals: [],
});

/** How many seconds the cache holds a reply. */
function heldFor(one: Reply): number {
  const cache = new ReplyCache();
  cache.put(QUESTION, one, 0);
  let seconds = 0;
  while (cache.get(QUESTION, seconds * 1000) !== undefined) seconds++;
  return seconds;
}

describe('ReplyCache', () => {
  it.each([
    ['the shortest TTL', reply('NOERROR', [record(30), record(20)]), 20],
    ['an hour at most', reply('NOERROR', [record(100_000)]), 3_600],
    ['not at all with a TTL of 0', reply('NOERROR', [record(0)]), 0],
    ['an absence by the SOA’s minimum', reply('NXDOMAIN', [], [soa(90, 7)]), 7],
    ['an absence by the SOA’s TTL', reply('NOERROR', [], [soa(8, 90)]), 8],
    ['an absence half an hour at most', reply('NXDOMAIN', [], [soa(9_000, 9_000)]), 1_800],
    ['not at all an absence without SOA', reply('NXDOMAIN', []), 0],
    ['not at all a failure', reply('SERVFAIL', [], [soa(9, 9)]), 0],
  ])('holds %s', (_what, one, seconds) => {
    expect(heldFor(one)).toBe(seconds);
  });

  it('counts TTLs down and gives the name in the case of who asks', () => {
    const cache = new ReplyCache();
    cache.put(QUESTION, reply('NOERROR', [record(30)]), 0);
    const told = cache.get({ name: 'EXAMPLE.com', type: 'A' }, 10_999);
    expect(told?.answers).toEqual([{ ...record(20), name: 'EXAMPLE.com' }]);
    expect(cache.get({ ...QUESTION, type: 'AAAA' }, 0)).toBeUndefined();
  });

  it('drops the oldest beyond its bound', () => {
    const cache = new ReplyCache();
    const nth = (at: number) => ({ name: `${at}.com`, type: 'A' });
    for (let at = 0; at <= 9_984; at++) cache.put(nth(at), reply('NOERROR', [record(30)]), 0);
    expect(cache.size).toBe(9_984);
    expect(cache.get(nth(0), 0)).toBeUndefined();
    expect(cache.get(nth(1), 0)).toBeDefined();
  });
});
