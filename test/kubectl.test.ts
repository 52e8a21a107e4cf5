/**
 * One cluster, and every kubectl from 1.28 to 1.33 at it, each in a namespace of its own: the commands the project
 * promises, as a person or a script would give them. Versions take turns two at a time; the tests of one run in order.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataFolder } from '../src/cluster/data-folder.ts';
import { Exec, type Running } from '../src/exec/exec.ts';
import type { Deployment, Pod, ReplicaSet, Service } from '../src/kube/objects.ts';
import { Kubectl, VERSIONS } from './kubectl.ts';
import { deployment, service, shellPod } from './manifests.ts';
import { until, up } from './supervisor.ts';

let folder: string;
let kubeconfig: string;
let supervisor: Running;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-kubectl-'));
  const data = new DataFolder(join(folder, 'data'));
  supervisor = await up(data.path);
  kubeconfig = data.kubeconfig;
});

afterAll(async () => {
  supervisor.kill('SIGTERM');
  await supervisor.ended;
  rmSync(folder, { recursive: true });
});

/** Counts and waits for one line a second; SIGTERM ends it at once. */
const TICKER = 'trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done';

describe.concurrent.each(VERSIONS)('kubectl %s', { timeout: 60_000 }, (version) => {
  const namespace = `v${version.replace('.', '-')}`;
  const inTurn = { sequential: true } as const;
  let k: Kubectl;

  /** Files of this version. */
  const file = (name: string) => join(folder, `${namespace}-${name}`);
  const manifest = (name: string, ...objects: object[]) => {
    writeFileSync(file(name), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    return file(name);
  };

  it('creates what a file holds, and refuses to create it twice', inTurn, async () => {
    k = new Kubectl({ version, kubeconfig, namespace, cache: file('cache') });
    expect(await k.ok('create', 'namespace', namespace)).toBe(`namespace/${namespace} created\n`);
    const web = manifest('web.json', deployment('web', 2), service('web'));
    expect(await k.ok('create', '-f', web)).toBe('deployment.apps/web created\nservice/web created\n');
    const again = await k.run(['create', '-f', web]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('(AlreadyExists)');
    expect(await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s')).toContain(
      'deployment "web" successfully rolled out',
    );
    await k.send(['create', '-f', '-'], [shellPod('ticker', TICKER)]);
  });

  it('applies: created, unchanged, configured', inTurn, async () => {
    const objects = (data: object) => [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data },
      service('applied', { selector: { app: 'nothing' } }),
    ];
    const apply = (data: object) => k.send(['apply', '-f', '-'], objects(data));
    expect(await apply({ a: '1', b: '2' })).toBe('configmap/settings created\nservice/applied created\n');
    expect(await apply({ a: '1', b: '2' })).toBe('configmap/settings unchanged\nservice/applied unchanged\n');
    expect(await apply({ a: '2' })).toBe('configmap/settings configured\nservice/applied unchanged\n');
    expect(await k.ok('get', 'cm', 'settings', '-o', 'jsonpath={.data}')).toBe('{"a":"2"}');
    const preview = await k.run(['diff', '-f', '-'], { stdin: JSON.stringify(objects({ a: '3' })[0]) });
    expect(preview.code).toBe(1);
    expect(preview.stdout).toMatch(/^-\s+a: "2"\n\+\s+a: "3"$/m);
  });

  it('gets: tables, wide, yaml, json, name, jsonpath, labels, fields, all namespaces', inTurn, async () => {
    expect(await k.ok('get', 'deployments')).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 +\d+s\n$/,
    );
    expect(await k.ok('get', 'svc', 'web', '-o', 'wide')).toMatch(
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\nweb +ClusterIP +10\.247\.\d+\.\d+ +<none> +8080\/TCP +\d+s +app=web\n$/,
    );
    const wide = await k.ok('get', 'po', '-l', 'app=web', '-o', 'wide');
    expect(wide).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n(web-\S+ +1\/1 +Running +0 +\d+s +172\.16\.\d+\.\d+ +n\d +<none> +<none>\n){2}$/,
    );
    expect(await k.ok('get', 'endpoints', 'web')).toMatch(
      /^web +172\.16\.\d+\.\d+:80,172\.16\.\d+\.\d+:80 +\d+s$/m,
    );
    expect(await k.ok('get', 'all')).toMatch(
      /^pod\/web-.*^service\/web.*^deployment\.apps\/web.*^replicaset\.apps\/web-/ms,
    );
    expect(await k.ok('get', 'svc', 'web', '-o', 'yaml')).toMatch(/^kind: Service$/m);
    expect((await k.json<Service>('svc', 'web')).spec?.ports?.[0]?.port).toBe(8080);
    expect(await k.ok('get', 'svc/web', 'deploy/web', '-o', 'name')).toBe(
      'service/web\ndeployment.apps/web\n',
    );
    expect(await k.ok('get', 'po', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.phase}')).toBe(
      'Running Running',
    );
    expect(await k.ok('get', 'po', '-l', 'app notin (web,ticker)')).toBe('');
    const byField = [
      'get',
      'po',
      '-A',
      '--field-selector',
      `metadata.namespace=${namespace},status.phase=Running`,
    ];
    expect((await k.ok(...byField, '--no-headers')).split('\n').filter(Boolean)).toHaveLength(3);
    expect(await k.ok('get', 'po', '-A')).toMatch(/^kube-system +fairlead-dns-/m);
    const missing = await k.run(['get', 'svc', 'nothing']);
    expect(missing.stderr).toContain('Error from server (NotFound): services "nothing" not found');
  });

  it('watches', inTurn, async () => {
    await using watch = await k.follow('get', 'configmaps', '-w', '-o', 'name');
    await watch.line(/^configmap\/settings$/);
    await k.ok('create', 'configmap', 'watched', '--from-literal=a=1');
    await watch.line(/^configmap\/watched$/);
    await using table = await k.follow('get', 'cm', 'watched', '--watch');
    await table.line(/^watched +1 /);
    await k.ok('patch', 'cm', 'watched', '-p', '{"data":{"b":"2"}}');
    await table.line(/^watched +2 /);
  });

  it('describes a pod, a Service, a Deployment and a node', inTurn, async () => {
    const [pod] = (await k.json<{ items: Pod[] }>('po', '-l', 'app=web')).items;
    const node = pod?.spec?.nodeName ?? '';
    const aboutPod = await k.ok('describe', 'pod', pod?.metadata?.name ?? '');
    expect(aboutPod).toMatch(new RegExp(`^Node: +${node}/192\\.168\\.0\\.`, 'm'));
    expect(aboutPod).toMatch(/Normal +Scheduled .* Successfully assigned/);
    expect(aboutPod).toContain('a responder stands for it');
    const aboutService = await k.ok('describe', 'svc', 'web');
    expect(aboutService).toMatch(/^Endpoints: +172\.16\.\d+\.\d+:80,172\.16\.\d+\.\d+:80$/m);
    const aboutDeployment = await k.ok('describe', 'deployment', 'web');
    expect(aboutDeployment).toMatch(
      /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavail/m,
    );
    expect(aboutDeployment).toMatch(/Normal +ScalingReplicaSet .* Scaled up replica set web-\w+/);
    const aboutNode = await k.ok('describe', 'node', node);
    expect(aboutNode).toMatch(/^ +Ready +True .* KubeletReady/m);
    expect(aboutNode).toContain(pod?.metadata?.name);
  });

  it('labels, annotates, edits', inTurn, async () => {
    expect(await k.ok('label', 'svc', 'web', 'tier=front')).toBe('service/web labeled\n');
    expect(await k.ok('get', 'svc', '-l', 'tier=front', '-o', 'name')).toBe('service/web\n');
    const clash = await k.run(['label', 'svc', 'web', 'tier=back']);
    expect(clash.stderr).toContain('already has a value (front), and --overwrite is false');
    await k.ok('label', 'svc', 'web', 'tier-');
    expect(await k.ok('annotate', 'svc', 'web', 'note=a b')).toBe('service/web annotated\n');
    const edited = await k.run(['edit', 'svc', 'web'], {
      env: { KUBE_EDITOR: 'sed -i s/note:.*/note:\\ edited/' },
    });
    expect(edited.stdout).toBe('service/web edited\n');
    expect(await k.ok('get', 'svc', 'web', '-o', 'jsonpath={.metadata.annotations.note}')).toBe('edited');
    const bad = await k.run(['edit', 'svc', 'web'], {
      env: { KUBE_EDITOR: 'sed -i s/port:.8080/port:\\ 0/' },
    });
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain('services "web" is invalid');
  });

  it('scales and rolls: status, restart, history, undo', inTurn, async () => {
    await k.ok('scale', 'deployment/web', '--replicas=3');
    await k.ok('wait', 'deployment/web', '--for=jsonpath={.status.readyReplicas}=3', '--timeout=30s');
    await k.ok('scale', 'deployment/web', '--replicas=1');
    await k.ok('set', 'image', 'deployment/web', 'c=fairlead/responder:2');
    await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
    await k.ok('rollout', 'restart', 'deployment/web');
    await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
    expect(await k.ok('rollout', 'history', 'deployment/web')).toMatch(/^3 +<none>$/m);
    await k.ok('rollout', 'undo', 'deployment/web', '--to-revision=1');
    await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
    const { spec } = await k.json<Deployment>('deployment', 'web');
    expect(spec?.template.spec?.containers[0]?.image).toBe('fairlead/responder');
    const sets = (await k.json<{ items: ReplicaSet[] }>('rs')).items;
    expect(sets.map(({ status }) => status?.replicas).sort()).toEqual([0, 0, 1]);
  });

  it('shows logs: all, the tail, since, with timestamps, followed', inTurn, async () => {
    await k.ok('wait', 'pod/ticker', '--for=condition=Ready', '--timeout=30s');
    await using followed = await k.follow('logs', '-f', 'ticker', '--tail=1');
    const [, first] = await followed.line(/^line (\d+)$/);
    await followed.line(new RegExp(`^line ${Number(first) + 5}$`));
    expect(await k.ok('logs', 'ticker')).toMatch(/^line 1\nline 2\n/);
    expect(await k.ok('logs', 'ticker', '--tail=2')).toMatch(/^line \d+\nline \d+\n$/);
    expect(await k.ok('logs', 'ticker', '--tail=1', '--timestamps')).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d+\n$/,
    );
    const since = Date.now();
    await followed.line(new RegExp(`^line ${Number(first) + 25}$`));
    const recent = await k.ok('logs', 'ticker', '--since=1s');
    expect(recent).not.toMatch(/^line 1$/m);
    expect(recent.split('\n').length).toBeLessThan(30 + (Date.now() - since) / 100);
    expect((await k.run(['logs', 'nothing'])).stderr).toContain('pods "nothing" not found');
  });

  it('shows the logs of the run before a restart', inTurn, async () => {
    const script =
      'if [ -e /state/ran ]; then echo second; sleep infinity; fi; touch /state/ran; echo first; exit 3';
    const volumes = { volumes: [{ name: 'state', emptyDir: {} }] };
    const container = {
      name: 'c',
      image: 'busybox',
      command: ['sh', '-c', script],
      volumeMounts: [{ name: 'state', mountPath: '/state' }],
    };
    await k.send(['create', '-f', '-'], [shellPod('again', '', { ...volumes, containers: [container] })]);
    await k.ok(
      'wait',
      'pod/again',
      '--for=jsonpath={.status.containerStatuses[0].restartCount}=1',
      '--timeout=30s',
    );
    await until('the second run to speak', async () => (await k.ok('logs', 'again')) === 'second\n', 30_000);
    expect(await k.ok('logs', '-p', 'again')).toBe('first\n');
    const last = '{.status.containerStatuses[0].lastState.terminated.exitCode}';
    expect(await k.ok('get', 'po', 'again', '-o', `jsonpath=${last}`)).toBe('3');
  });

  it('executes: output, input, exit codes, a terminal', inTurn, async () => {
    const both = await k.run(['exec', 'ticker', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(both).toMatchObject({ code: 7, stdout: 'out\n' });
    expect(both.stderr).toContain('err\n');
    expect(both.stderr).toContain('command terminated with exit code 7');
    const lines = Array.from({ length: 20_000 }, (_, at) => `line ${at}\n`).join('');
    const echoed = await k.run(['exec', '-i', 'ticker', '--', 'cat'], { stdin: lines });
    expect(echoed.stdout === lines).toBe(true);
    const absent = await k.run(['exec', 'ticker', '--', 'no-such-program']);
    expect(absent.code).toBeGreaterThan(0);
    expect(absent.stderr).toContain('no-such-program');
    expect((await k.run(['exec', 'nothing', '--', 'true'])).stderr).toContain('pods "nothing" not found');
    const terminal = k.terminal('exec', '-it', 'ticker', '--', 'sh');
    try {
      await terminal.prompt();
      expect(await terminal.type('tty; hostname')).toMatch(/^\/dev\/pts\/\d+\nticker\n$/);
      expect(await terminal.type('stty size')).toBe('50 300\n');
      await terminal.type('(exit 4)');
      expect(await terminal.leave()).toBe(4);
    } finally {
      terminal.close();
    }
  });

  it('runs a pod at a terminal and removes it', inTurn, async () => {
    const terminal = k.terminal('run', '-i', '--tty', '--image', 'nginx:alpine', 'client', '--rm', '/bin/sh');
    try {
      await terminal.prompt();
      expect(await terminal.type('curl -s -o /dev/null -w "%{http_code}\\n" web:8080')).toBe('200\n');
      expect(await terminal.leave()).toBe(0);
    } finally {
      terminal.close();
    }
    // --rm does not wait, and the shell that the restart policy brings back pays no heed to SIGTERM.
    const left = await k.ok(
      'get',
      'po',
      'client',
      '--ignore-not-found',
      '-o',
      'jsonpath={.metadata.deletionTimestamp}|',
    );
    expect(left).not.toBe('|');
    await k.ok('delete', 'pod', 'client', '--ignore-not-found', '--now');
    const run = [
      'run',
      'piped',
      '-i',
      '--rm',
      '--restart=Never',
      '--image=busybox',
      '--',
      'sh',
      '-c',
      'cat; exit 3',
    ];
    const piped = await k.run(run, { stdin: 'through\n' });
    expect(piped.stdout).toContain('through\n');
    expect(piped.code).toBe(3);
  });

  it('forwards a port to a pod and to a Service', inTurn, async () => {
    const curl = async (port: string | undefined) => {
      const args = ['-sS', '--noproxy', '*', '--max-time', '10', `http://127.0.0.1:${port}/`];
      return (await new Exec().run({ file: 'curl', args })).stdout;
    };
    const behind = '{.subsets[0].addresses[0].targetRef.name}';
    const pod = await k.ok('get', 'endpoints', 'web', '-o', `jsonpath=${behind}`);
    for (const [target, ports] of [
      ['svc/web', ':8080'],
      [`pod/${pod}`, ':80'],
    ] as const) {
      await using forward = await k.follow('port-forward', target, ports, '--address=127.0.0.1');
      const [, port] = await forward.line(/^Forwarding from 127\.0\.0\.1:(\d+) -> 80$/);
      const pages = await Promise.all(Array.from({ length: 5 }, () => curl(port)));
      for (const page of pages) expect(page).toMatch(new RegExp(`^pod ${namespace}/web-`));
    }
  });

  it('copies a file in and out', inTurn, async () => {
    writeFileSync(file('in'), 'x'.repeat(300_000));
    await k.ok('cp', file('in'), 'ticker:/tmp/copied');
    await k.ok('cp', 'ticker:/tmp/copied', file('out'));
    expect(readFileSync(file('out'), 'utf8') === 'x'.repeat(300_000)).toBe(true);
  });

  it('exposes, waits, tells events', inTurn, async () => {
    expect(await k.ok('expose', 'deployment', 'web', '--name=exposed', '--port=81', '--target-port=80')).toBe(
      'service/exposed exposed\n',
    );
    expect(await k.ok('get', 'svc', 'exposed', '-o', 'jsonpath={.spec.selector}')).toBe('{"app":"web"}');
    expect(await k.ok('wait', 'deployment/web', '--for=condition=Available', '--timeout=10s')).toBe(
      'deployment.apps/web condition met\n',
    );
    const never = await k.run(['wait', 'deployment/web', '--for=condition=Nothing', '--timeout=1s']);
    expect(never.stderr).toContain('timed out waiting for the condition');
    const events = await k.ok('get', 'events', '--field-selector', 'involvedObject.name=ticker');
    expect(events).toMatch(/^\S+ +Normal +Started +pod\/ticker +Started container c$/m);
    expect(await k.ok('events', '--for', 'pod/ticker')).toContain('Started container c');
  });

  it('explains and says what there is', inTurn, async () => {
    expect(await k.ok('explain', 'service.spec.externalTrafficPolicy')).toContain('externalTrafficPolicy');
    expect(await k.ok('api-resources')).toMatch(
      /^endpointslices +discovery\.k8s\.io\/v1 +true +EndpointSlice$/m,
    );
    expect(await k.ok('cluster-info')).toMatch(/control plane.* is running at .*https:\/\/127\.0\.0\.1:\d+/);
    expect(await k.ok('version')).toMatch(/^Server Version: v1\.33\./m);
    expect(await k.ok('auth', 'can-i', 'create', 'pods')).toBe('yes\n');
    expect((await k.ok('create', 'token', 'default')).split('.')).toHaveLength(3);
    const top = await k.run(['top', 'pod']);
    expect(top).toMatchObject({ code: 1, stderr: 'error: Metrics API not available\n' });
  });

  it('says what is wrong with an object', inTurn, async () => {
    const refused = async (yaml: string) => {
      const { code, stderr } = await k.run(['create', '-f', '-'], { stdin: yaml });
      expect(code).toBe(1);
      return stderr;
    };
    const head = 'apiVersion: v1\nkind: Service\nmetadata: {name: wrong}\n';
    expect(await refused(`${head}spec: {ports: [{port: 0}]}`)).toContain(
      'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    );
    expect(await refused(`${head}spec: {selector: app=web, ports: [{port: 1}]}`)).toContain('(BadRequest)');
    expect(await refused(`${head}spec: {prots: [{port: 1}]}`)).toContain('unknown field "spec.prots"');
    expect(await refused('apiVersion: v1\nkind: Servce\nmetadata: {name: wrong}')).toContain(
      'no matches for kind "Servce" in version "v1"',
    );
    expect(await refused('apiVersion: v1\nkind: Service\n  metadata: {}')).toContain('error parsing STDIN');
  });

  it('deletes, and with the namespace everything in it', inTurn, async () => {
    expect(await k.ok('delete', 'svc', 'applied', 'exposed')).toMatch(/^service "applied" deleted/);
    expect(await k.ok('delete', 'pod', '-l', 'app=ticker')).toMatch(/^pod "ticker" deleted/);
    expect((await k.run(['delete', 'svc', 'applied'])).stderr).toContain('NotFound');
    expect(await k.ok('delete', 'svc', 'applied', '--ignore-not-found')).toBe('');
    await k.ok('delete', 'deployment', 'web', '--cascade=foreground');
    expect(await k.ok('get', 'rs,po', '-l', 'app=web', '-o', 'name')).toBe('');
    await k.ok('delete', 'namespace', namespace, '--timeout=30s');
    expect((await k.run(['get', 'namespace', namespace])).stderr).toContain('NotFound');
  });
});
