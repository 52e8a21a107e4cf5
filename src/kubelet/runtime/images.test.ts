import { describe, expect, it } from 'vitest';
import { argvOf, repositoryOf, workloadOf } from './images.ts';

const isProgram = (word: string) => ['sh', '/bin/sh', 'curl', 'nginx'].includes(word);
const kindAndArgv = (image: string, command?: string[], args?: string[]) => {
  const container = { name: 'c', image, ...(command && { command }), ...(args && { args }) };
  const workload = workloadOf(container, isProgram);
  return [workload.kind, argvOf(container, workload).join(' ').replaceAll('/usr/lib/fairlead/', '')];
};

describe('workloadOf', () => {
  it.each([
    ['nginx', undefined, undefined, 'nginx', 'nginx -g daemon off;'],
    ['nginx:alpine', undefined, ['/bin/sh'], 'nginx', '/bin/sh'],
    ['docker.io/library/nginx:1.27@sha256:00', undefined, undefined, 'nginx', 'nginx -g daemon off;'],
    ['busybox', undefined, undefined, 'shell', 'sh'],
    ['alpine:3', ['sleep'], ['5'], 'shell', 'sleep 5'],
    ['tutum/dnsutils', undefined, ['/bin/sh'], 'shell', '/bin/sh'],
    ['nicolaka/netshoot', undefined, undefined, 'shell', 'sh'],
    ['curlimages/curl', undefined, ['-s', 'web'], 'shell', 'curl -s web'],
    ['fairlead/dns:dev', undefined, ['--zone', 'x'], 'fairlead', 'node src/cli/main.ts dns --zone x'],
    ['fairlead/responder', undefined, undefined, 'responder', 'perl responder.pl'],
    [
      'registry.k8s.io/e2e-test-images/agnhost:2.40',
      undefined,
      ['netexec'],
      'responder',
      'perl responder.pl',
    ],
    ['localhost:5000/team/shop', undefined, undefined, 'responder', 'perl responder.pl'],
    ['nope:1', undefined, ['sh', '-c', 'date'], 'shell', 'sh -c date'],
    ['nope:1', undefined, ['--port=80'], 'responder', 'perl responder.pl'],
    ['nope:1', ['curl'], ['web'], 'shell', 'curl web'],
  ])('%s with command %s and args %s is %s: %s', (image, command, args, kind, argv) => {
    expect(kindAndArgv(image, command, args)).toEqual([kind, argv]);
  });

  it('takes nginx for any other server where the machine has none', () => {
    expect(workloadOf({ name: 'c', image: 'nginx' }, () => false).kind).toBe('responder');
    expect(workloadOf({ name: 'c', image: 'nginx', args: ['sh'] }, (word) => word === 'sh').kind).toBe(
      'shell',
    );
  });
});

describe('repositoryOf', () => {
  it.each([
    ['nginx', 'nginx'],
    ['nginx:1.27', 'nginx'],
    ['localhost/a/b', 'a/b'],
    ['reg.example:5000/a:tag', 'a'],
    ['Team/App@sha256:12', 'team/app'],
  ])('%s is %s', (image, repository) => expect(repositoryOf(image)).toBe(repository));
});
