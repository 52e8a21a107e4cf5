import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../kube/objects.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import { nextBackoffMs } from './backoff.ts';
import { type ContainerView, planPod } from './pod-plan.ts';
import { podStatus, qosClassOf } from './pod-status.ts';

const NOW = 1_000_000;

const record = (attempt: number, exit?: number, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...{
    id: `id${attempt}`,
    podUid: 'u',
    namespace: 'default',
    pod: 'p',
    container: 'c',
    image: 'i',
    workload: 'shell',
  },
  ...{ attempt, stdin: false, tty: false, backoffMs: 0, createdAt: NOW - 2000, startedAt: NOW - 2000 },
  ...(exit === undefined
    ? {}
    : { exit: { code: exit, reason: 'Error', message: '', finishedAt: NOW - 1000 } }),
  ...more,
});
const view = (last?: ContainerRecord, ready = true): ContainerView => ({
  started: ready,
  ready,
  ...(last === undefined ? {} : { last }),
});
const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'i', ...more });
const pod = (spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'default', uid: 'u' },
  spec: { restartPolicy: 'Always', containers: [container('c')], ...spec },
});
const starts = (one: Pod, views: Record<string, ContainerView>) =>
  planPod(one, new Map(Object.entries(views)), NOW).starts.map(
    (start) => `${start.container.name}#${start.attempt}`,
  );

describe('planPod', () => {
  it('starts what has never run, all containers together', () => {
    expect(starts(pod({ containers: [container('a'), container('b')] }), {})).toEqual(['a#0', 'b#0']);
  });

  it('restarts at once the first time and then waits', () => {
    expect(starts(pod(), { c: view(record(0, 1)) })).toEqual(['c#1']);
    const plan = planPod(pod(), new Map([['c', view(record(1, 1))]]), NOW);
    expect(plan.starts).toEqual([]);
    expect(plan.wakeAt).toBe(NOW - 1000 + 10_000);
    expect(plan.backingOff.get('c')).toBe(10_000);
  });

  it.each([
    ['Always', 0, ['c#1'], undefined],
    ['OnFailure', 0, [], 'Succeeded'],
    ['OnFailure', 1, ['c#1'], undefined],
    ['Never', 0, [], 'Succeeded'],
    ['Never', 1, [], 'Failed'],
  ] as const)('with restartPolicy %s after exit %s starts %s', (restartPolicy, code, expected, finished) => {
    const one = pod({ restartPolicy });
    const views = { c: view(record(0, code)) };
    expect(starts(one, views)).toEqual(expected);
    expect(planPod(one, new Map(Object.entries(views)), NOW).finished).toBe(finished);
  });

  it('runs init containers in turn, and fails the pod where none may run again', () => {
    const initContainers = [container('i1'), container('i2')];
    const one = pod({ initContainers });
    expect(starts(one, {})).toEqual(['i1#0']);
    expect(starts(one, { i1: view(record(0)) })).toEqual([]);
    expect(starts(one, { i1: view(record(0, 0)) })).toEqual(['i2#0']);
    expect(starts(one, { i1: view(record(0, 0)), i2: view(record(0, 0)) })).toEqual(['c#0']);
    expect(starts(one, { i1: view(record(0, 1)) })).toEqual(['i1#1']);
    const never = pod({ initContainers, restartPolicy: 'Never' });
    expect(planPod(never, new Map([['i1', view(record(0, 1))]]), NOW)).toMatchObject({
      finished: 'Failed',
      starts: [],
    });
  });

  it('waits for a sidecar to have started and keeps it running', () => {
    const one = pod({ initContainers: [container('side', { restartPolicy: 'Always' })] });
    expect(starts(one, {})).toEqual(['side#0']);
    expect(starts(one, { side: view(record(0), false) })).toEqual([]);
    expect(starts(one, { side: view(record(0)) })).toEqual(['c#0']);
    expect(starts(one, { side: view(record(0, 1)), c: view(record(0)) })).toEqual(['side#1']);
  });
});

describe('nextBackoffMs', () => {
  const ended = (attempt: number, backoffMs: number, ranMs: number) =>
    nextBackoffMs({ attempt, backoffMs, startedAt: 0, finishedAt: ranMs });
  it('doubles from 10 s to 5 min and starts over after 10 min', () => {
    expect([ended(0, 0, 1), ended(1, 0, 1), ended(2, 10_000, 1), ended(3, 20_000, 1)]).toEqual([
      0, 10_000, 20_000, 40_000,
    ]);
    expect(ended(9, 160_000, 1)).toBe(300_000);
    expect(ended(9, 300_000, 600_000)).toBe(0);
  });
});

describe('podStatus', () => {
  const statusOf = (one: Pod, views: Record<string, ContainerView>, more: { terminated?: boolean } = {}) => {
    const all = new Map(Object.entries(views));
    const times = { startTime: '2026-01-01T00:00:00Z', now: NOW, hostIP: '192.0.2.1', podIP: '192.0.2.9' };
    return podStatus({ pod: one, views: all, plan: planPod(one, all, NOW), ...times, ...more });
  };
  const conditions = (status: ReturnType<typeof podStatus>) =>
    Object.fromEntries((status.conditions ?? []).map((one) => [one.type, one.reason ?? one.status]));

  it('is Pending until every container has started, then Running and Ready', () => {
    expect(statusOf(pod(), {})).toMatchObject({
      phase: 'Pending',
      podIP: '192.0.2.9',
      podIPs: [{ ip: '192.0.2.9' }],
    });
    const running = statusOf(pod(), { c: view(record(0)) });
    expect(running).toMatchObject({ phase: 'Running', containerStatuses: [{ ready: true, started: true }] });
    expect(conditions(running)).toMatchObject({
      Ready: 'True',
      ContainersReady: 'True',
      Initialized: 'True',
    });
  });

  it('shows a container in back-off as waiting, with the attempt that ended as its last state', () => {
    const status = statusOf(pod(), { c: view(record(1, 7)) });
    expect(status.phase).toBe('Running');
    expect(conditions(status)).toMatchObject({ Ready: 'ContainersNotReady' });
    expect(status.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 7, containerID: 'crun://id1' } },
    });
  });

  it('keeps the time of a condition that has not changed', () => {
    const before = { type: 'Ready', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' };
    const status = statusOf({ ...pod(), status: { conditions: [before] } }, { c: view(record(0)) });
    expect(status.conditions?.find((one) => one.type === 'Ready')?.lastTransitionTime).toBe(
      '2020-01-01T00:00:00Z',
    );
    expect(status.conditions?.find((one) => one.type === 'ContainersReady')?.lastTransitionTime).toBe(
      '1970-01-01T00:16:40Z',
    );
  });

  it('ends a deleted pod by its exit codes, whatever the policy', () => {
    expect(statusOf(pod(), { c: view(record(0, 0)) }, { terminated: true }).phase).toBe('Succeeded');
    expect(statusOf(pod(), { c: view(record(0, 143)) }, { terminated: true }).phase).toBe('Failed');
  });

  it('tells the quality of service', () => {
    const resources = (requests?: object, limits?: object) =>
      qosClassOf(
        pod({
          containers: [
            container('c', {
              resources: { ...(requests && { requests }), ...(limits && { limits }) },
            } as Partial<Container>),
          ],
        }),
      );
    expect(resources()).toBe('BestEffort');
    expect(resources({ cpu: '1' })).toBe('Burstable');
    expect(resources(undefined, { cpu: '1', memory: '1Gi' })).toBe('Guaranteed');
    expect(resources({ cpu: '1', memory: '1Gi' }, { cpu: '2', memory: '1Gi' })).toBe('Burstable');
  });
});
