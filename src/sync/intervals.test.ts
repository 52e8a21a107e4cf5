import { describe, expect, it } from 'vitest';
import { DEFAULT_INTERVALS, SyncSchedule } from './intervals.ts';

const START = 1_000_000;
const scheduleOf = (intervals: Partial<typeof DEFAULT_INTERVALS>) =>
  new SyncSchedule({ ...DEFAULT_INTERVALS, ...intervals }, START);

describe('a schedule of syncs', () => {
  it('lets the first change through at once, and those after it when the least interval is over', () => {
    const schedule = scheduleOf({ gatherMs: 5, minMs: 1000 });
    expect(schedule.untilChange(START)).toBe(5);
    schedule.began(START, true);
    expect(schedule.untilChange(START + 300)).toBe(700);
    schedule.began(START + 1000, false);
    expect(schedule.untilChange(START + 1999)).toBe(5);
    expect(schedule.untilChange(START + 60_000)).toBe(5);
  });

  it('gathers for the shortest time only, where no least interval is set', () => {
    const schedule = scheduleOf({});
    schedule.began(START, false);
    expect(schedule.untilChange(START)).toBe(DEFAULT_INTERVALS.gatherMs);
  });

  it('looks after the canary until the whole is due, whatever changes come between', () => {
    const schedule = scheduleOf({ canaryMs: 10_000, fullMs: 25_000 });
    expect(schedule.next(START)).toEqual({ due: 'canary', ms: 10_000 });
    schedule.looked(START + 10_000);
    schedule.began(START + 12_000, false);
    expect(schedule.next(START + 12_000)).toEqual({ due: 'canary', ms: 8_000 });
    schedule.looked(START + 20_000);
    expect(schedule.next(START + 20_000)).toEqual({ due: 'full', ms: 5_000 });
    expect(schedule.next(START + 26_000)).toEqual({ due: 'full', ms: 0 });
    schedule.began(START + 26_000, true);
    expect(schedule.next(START + 26_000)).toEqual({ due: 'canary', ms: 10_000 });
  });

  it('needs no canary where the whole is looked after more often', () => {
    const schedule = scheduleOf({ canaryMs: 10_000, fullMs: 1_000 });
    schedule.began(START, true);
    expect(schedule.next(START)).toEqual({ due: 'full', ms: 1_000 });
  });
});
