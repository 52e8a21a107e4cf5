import { describe, expect, it } from 'vitest';
import type { Pod } from '../../kube/objects.ts';
import { StatusError } from '../status.ts';
import { logPath } from './logs.ts';
import { containerOf, execTarget, streamsOf } from './target.ts';

const pod = (...containers: string[]): Pod => ({
  metadata: { name: 'p', namespace: 'default' },
  spec: {
    nodeName: 'n1',
    containers: containers.map((name) => ({ name })),
    initContainers: [{ name: 'setup' }],
  },
});
const query = (text: string) => new URLSearchParams(text);
const NOW = new Date('2026-01-01T00:01:00Z');

const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
  }
  return 'nothing was thrown';
};

describe('the container', () => {
  it('is the one asked for, init containers too, or the only one', () => {
    expect(containerOf(pod('a', 'b'), 'b')).toBe('b');
    expect(containerOf(pod('a'), 'setup')).toBe('setup');
    expect(containerOf(pod('a'), null)).toBe('a');
    expect(containerOf(pod('a'), '')).toBe('a');
  });

  it.each([
    [pod('a'), 'x', '400 container x is not valid for pod p'],
    [
      pod('a', 'b'),
      null,
      '400 a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [setup]',
    ],
    [pod(), null, '400 a container name must be specified for pod p'],
  ])('is refused in upstream’s words: %#', (one, asked, message) => {
    expect(messageOf(() => containerOf(one, asked))).toBe(message);
  });
});

describe('an exec', () => {
  it('names the words of the command and the streams', () => {
    expect(
      execTarget(pod('a'), 'exec', query('command=echo&command=a%20b&stdout=true&stderr=false')),
    ).toEqual({
      node: 'n1',
      path: '/exec/default/p/a?command=echo&command=a+b&stdout=true',
    });
  });

  it('has no stderr of its own on a terminal', () => {
    expect(streamsOf(query('tty=1&stdout&stderr=true'))).toEqual({
      tty: true,
      stdin: false,
      stdout: true,
      stderr: false,
    });
  });

  it('needs a stream and a command', () => {
    expect(messageOf(() => streamsOf(query('tty=true&stderr=true')))).toMatch(/at least 1 of stdin/);
    expect(messageOf(() => execTarget(pod('a'), 'exec', query('stdout=1')))).toMatch(/at least 1 command/);
  });
});

describe('the options of a log', () => {
  it.each([
    ['', ''],
    ['follow=true&timestamps=true&previous=false', 'follow=true&timestamps=true'],
    ['tailLines=0&limitBytes=9&sinceSeconds=5', 'tailLines=0&limitBytes=9&sinceSeconds=5'],
    ['sinceTime=2026-01-01T00:00:30.5Z', 'sinceSeconds=30'],
    ['sinceTime=2027-01-01T00:00:00Z', 'sinceSeconds=1'],
  ])('%s becomes %s', (asked, passed) => {
    expect(logPath(pod('a'), query(asked), NOW)).toBe(`/containerLogs/default/p/a?${passed}`);
  });

  it.each([
    ['tailLines=-1', 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['limitBytes=0', 'limitBytes: Invalid value: 0: must be greater than 0'],
    ['sinceTime=yesterday', 'sinceTime: Invalid value: "yesterday": must be an RFC 3339 time'],
    ['sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z', 'at most one of `sinceTime` or `sinceSeconds`'],
  ])('%s is refused', (asked, message) => {
    const told = messageOf(() => logPath(pod('a'), query(asked), NOW));
    expect(told).toContain('422 PodLogOptions "p" is invalid: ');
    expect(told).toContain(message);
  });
});
