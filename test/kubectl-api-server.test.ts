/**
 * The API server against every real kubectl from 1.28 to 1.33: what people type, and what they see. No controllers and no
 * nodes run: what an object becomes is theirs. A kubectl that is missing fails its tests by name (Fault FE001).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from '../src/apiserver/test-server.ts';
import { Exec } from '../src/exec/exec.ts';
import { kubectlOf } from './kubectl.ts';

/** The ends of the range; test/kubectl.test.ts plays every version on a whole cluster. */
const VERSIONS = ['1.28', '1.33'];

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web, tier: front}}
spec: {containers: [{name: c, image: nginx}]}
`;

let served: Served;
beforeAll(async () => {
  served = await startServed();
  await writeFile(join(served.folder, 'kubeconfig'), served.kubeconfig, { mode: 0o600 });
  await served.create('/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.0.11' }] },
  });
});
afterAll(() => served.stop());

describe.each(VERSIONS)('kubectl %s', (version) => {
  const namespace = `v${version.replace('.', '-')}`;
  const folder = () => join(served.folder, namespace);

  /** Standard output, or what it printed on standard error if it failed. */
  async function run(
    args: string,
    options: { stdin?: string; env?: Record<string, string> } = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await new Exec().run({
      file: kubectlOf(version),
      args: [
        `--kubeconfig=${join(served.folder, 'kubeconfig')}`,
        `--cache-dir=${join(folder(), 'cache')}`,
        `--namespace=${namespace}`,
        ...(args.match(/'[^']*'|\S+/g) ?? []).map((arg) => arg.replaceAll("'", '')),
      ],
      accept: [0, 1],
      timeoutMs: 25_000,
      ...options,
    });
    return code === 0 ? stdout : stderr;
  }
  const kubectl = (args: string) => run(args);
  const given = (args: string, stdin: string) => run(args, { stdin });

  beforeAll(async () => {
    await mkdir(folder());
    expect(await kubectl(`create namespace ${namespace}`)).toBe(`namespace/${namespace} created\n`);
    expect(await given('apply -f -', MANIFEST)).toBe(
      'deployment.apps/web created\nservice/web created\npod/p1 created\n',
    );
  });

  it('gets: tables, wide, yaml, json, names, jsonpath', async () => {
    expect(await kubectl('get svc')).toMatch(
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nweb +ClusterIP +10\.247\.\d+\.\d+ +<none> +8080\/TCP +\d+s\n$/,
    );
    expect(await kubectl('get svc web -o wide')).toMatch(/SELECTOR\nweb .* app=web\n$/);
    expect(await kubectl('get deploy')).toMatch(
      /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2 +0 +0 +\d+s/,
    );
    expect(await kubectl('get pod p1 -o yaml')).toMatch(/^apiVersion: v1\nkind: Pod\n/);
    expect(JSON.parse(await kubectl('get pods -o json'))).toMatchObject({
      kind: 'List',
      items: [{ kind: 'Pod' }],
    });
    expect(await kubectl('get pods,svc -o name')).toBe('pod/p1\nservice/web\n');
    expect(await kubectl("get deploy web -o jsonpath='{.spec.replicas}'")).toBe('2');
    expect(await kubectl('get all')).toMatch(/pod\/p1 [\s\S]*service\/web [\s\S]*deployment\.apps\/web /);
  });

  it('selects: all namespaces, labels, fields', async () => {
    expect(await kubectl('get svc -A')).toMatch(/default +kubernetes +ClusterIP +10\.247\.0\.1 /);
    expect(await kubectl('get pods -l tier=front -o name')).toBe('pod/p1\n');
    expect(await kubectl('get pods -l tier!=front -o name')).toBe('');
    expect(await kubectl('get pods --field-selector status.phase=Pending -o name')).toBe('pod/p1\n');
    expect(await kubectl('get pods --field-selector spec.nodeName=n1 -o name')).toBe('');
  });

  it('watches', async () => {
    const watch = await new Exec().start(
      kubectlOf(version),
      [
        `--kubeconfig=${join(served.folder, 'kubeconfig')}`,
        `--cache-dir=${join(folder(), 'cache')}`,
        ...['-n', namespace, 'get', 'configmaps', '-w', '-o', 'name'],
      ],
      { stdout: 'pipe' },
    );
    const seen = new Promise<void>((resolve) => {
      let text = '';
      watch.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('configmap/watched')) resolve();
      });
    });
    await kubectl('create configmap watched --from-literal a=b');
    // Bounded by the test's own time-out.
    await seen;
    watch.kill('SIGTERM');
    await watch.ended;
  });

  it('describes', async () => {
    expect(await kubectl('describe svc web')).toMatch(
      /Selector: +app=web\n[\s\S]*IP: +10\.247\.[\s\S]*TargetPort: +80\/TCP\n/,
    );
    expect(await kubectl('describe deployment web')).toMatch(
      /Replicas: +2 desired \| 0 updated[\s\S]*Image: +nginx:1\n/,
    );
    expect(await kubectl('describe pod p1')).toMatch(/Status: +Pending\n[\s\S]*QoS Class: +BestEffort\n/);
    expect(await kubectl('describe node n1')).toMatch(/Name: +n1\n[\s\S]*InternalIP: +192\.168\.0\.11\n/);
  });

  it('applies changes and shows them beforehand', async () => {
    const changed = MANIFEST.replace('nginx:1', 'nginx:2').replace('port: 8080', 'port: 8081');
    expect(await given('apply -f -', changed)).toBe(
      'deployment.apps/web configured\nservice/web configured\npod/p1 unchanged\n',
    );
    expect(await kubectl("get svc web -o jsonpath='{.spec.ports[*].port}'")).toBe('8081');
    expect(await given('apply -f - --dry-run=server', MANIFEST)).toMatch(
      /deployment\.apps\/web configured \(server dry run\)/,
    );
    expect(await kubectl("get svc web -o jsonpath='{.spec.ports[*].port}'")).toBe('8081');
  });

  it('scales, labels, annotates, patches, edits', async () => {
    expect(await kubectl('scale deployment web --replicas 5')).toBe('deployment.apps/web scaled\n');
    expect(await kubectl("get deploy web -o jsonpath='{.spec.replicas}'")).toBe('5');
    expect(await kubectl('label svc web color=blue')).toBe('service/web labeled\n');
    expect(await kubectl('annotate svc web note=x')).toBe('service/web annotated\n');
    const patch = `patch svc web --type json -p '[{"op":"replace","path":"/metadata/labels/color","value":"red"}]'`;
    expect(await kubectl(patch)).toBe('service/web patched\n');
    const edited = await run('edit svc web', { env: { KUBE_EDITOR: "sed -i 's/color: red/color: green/'" } });
    expect(edited).toBe('service/web edited\n');
    expect(await kubectl('get svc -l color=green -o name')).toBe('service/web\n');
  });

  it('creates by generators', async () => {
    expect(await kubectl('create deployment d2 --image=nginx --replicas=2')).toBe(
      'deployment.apps/d2 created\n',
    );
    expect(await kubectl('expose deployment d2 --port 80 --type NodePort')).toBe('service/d2 exposed\n');
    expect(await kubectl("get svc d2 -o jsonpath='{.spec.ports[0].nodePort}'")).toMatch(/^3[0-2]\d{3}$/);
    expect(await kubectl('create service clusterip cip --tcp=5678:8080')).toBe('service/cip created\n');
    expect(await kubectl('create secret generic s --from-literal a=b')).toBe('secret/s created\n');
    expect(await kubectl('run r1 --image nginx')).toBe('pod/r1 created\n');
  });

  it('explains, asks who it is and what it may, makes tokens', async () => {
    expect(await kubectl('explain service.spec.clusterIP')).toMatch(
      /KIND: +Service\n[\s\S]*clusterIP[\s\S]*IP address/,
    );
    expect(await kubectl('auth can-i create pods')).toBe('yes\n');
    expect(await kubectl('auth whoami')).toMatch(/kubernetes-admin/);
    expect(await kubectl('create serviceaccount robot')).toBe('serviceaccount/robot created\n');
    expect(await kubectl('create token robot')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n?$/);
    expect(await kubectl('version')).toMatch(/Server Version: v1\.33\.0\+fairlead/);
    expect(await kubectl('api-resources --verbs=list -o name')).toContain(
      'endpointslices.discovery.k8s.io\n',
    );
  });

  it('says what is wrong as it does elsewhere', async () => {
    expect(await kubectl('get pod none')).toBe('Error from server (NotFound): pods "none" not found\n');
    expect(await kubectl('get nothings')).toBe(
      'error: the server doesn\'t have a resource type "nothings"\n',
    );
    expect(await given('create -f -', MANIFEST)).toMatch(
      /Error from server \(AlreadyExists\): .*services "web" already exists/,
    );
    const odd = MANIFEST.replace('replicas: 2', 'replica: 2');
    expect(await given('apply -f -', odd)).toMatch(/strict decoding error: unknown field "spec\.replica"/);
    const invalid = `apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 0}]}\n`;
    expect(await given('apply -f -', invalid)).toMatch(
      /The Service "bad" is invalid: \n\* spec\.ports\[0\]\.port: Invalid value: 0: must be between 1 and 65535, inclusive/,
    );
  });

  it('deletes, one and all', async () => {
    expect(await kubectl('delete pod p1')).toMatch(/^pod "p1" deleted/);
    expect(await kubectl('delete svc,deployment --all')).toMatch(
      /service "web" deleted[\s\S]*deployment\.apps "web" deleted/,
    );
    expect(await kubectl('get svc,deployment -o name')).toBe('');
    expect(await kubectl(`delete namespace ${namespace} --wait=false`)).toMatch(
      /^namespace "v1-\d+" deleted/,
    );
    expect(await kubectl('create configmap late')).toMatch(
      /configmaps "late" is forbidden: .* because it is being terminated/,
    );
  });
});
