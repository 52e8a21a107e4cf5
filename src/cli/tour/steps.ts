import type { Exec } from '../../exec/exec.ts';
import { Addr, type Prefix } from '../../ip/ip.ts';
import type { Endpoints, Pod, Service } from '../../kube/objects.ts';
import type { Stage } from './stage.ts';

/** What the tour knows of the cluster it plays on. */
export interface Scene {
  readonly stage: Stage;
  readonly serviceRange: Prefix;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** Addresses of the nodes: in the VPC, and from outside. */
  readonly nodes: readonly { readonly name: string; readonly ip: string; readonly publicIP: string }[];
  /** A place outside the cluster and its VPC. */
  readonly outside: Exec;
}

const WELCOME = '<title>Welcome to nginx!</title>';
const SHELL_RUN = ['run', '-i', '--tty', '--image', 'nginx:alpine', 'test', '--rm', '/bin/sh'];
const DNS_RUN = [
  'run',
  '-i',
  '--tty',
  '--image',
  'tutum/dnsutils',
  'dnsutils',
  '--restart=Never',
  '--rm',
  '/bin/sh',
];

/** The steps, in the order a reader meets Services. Each creates, looks, and checks what it saw. */
export const STEPS: readonly (readonly [title: string, play: (scene: Scene) => Promise<void>])[] = [
  ['Three pods that come and go', backendPods],
  ['A Service: one address in front of them', createService],
  ['A pod uses the address', useAddress],
  ['A pod uses the name', useName],
  ['A pod goes, the Service stays', replacePod],
  ['A port of every node', nodePort],
  ['A headless Service: every pod by one name', headless],
];

/** Removes what an earlier tour left behind in the same data folder. */
export async function cleanStage(stage: Stage): Promise<void> {
  const ours = ['deployment/nginx', 'service/nginx', 'service/nodeport-service', 'service/nginx-headless'];
  await stage.quiet(
    'delete',
    '--ignore-not-found',
    '--wait=true',
    ...ours,
    'pod/test',
    'pod/dnsutils',
    'pod/client',
  );
  await stage.until(
    () => stage.objects<Pod>('pods', '-l', 'app=nginx'),
    (pods) => pods.length === 0,
  );
}

async function backendPods({ stage }: Scene): Promise<void> {
  await stage.kubectl('create', '-f', 'nginx-deployment.yaml');
  await stage.kubectl('rollout', 'status', 'deployment/nginx', '--timeout=30s');
  await stage.kubectl('get', 'po', '-o', 'wide');
  const pods = await stage.objects<Pod>('pods', '-l', 'app=nginx');
  const nodes = new Set(pods.map((pod) => pod.spec?.nodeName));
  stage.check('three pods run', pods.length === 3 && pods.every((pod) => pod.status?.phase === 'Running'));
  stage.check('on more than one node', nodes.size > 1, [...nodes].join(' '));
}

async function createService({ stage, serviceRange }: Scene): Promise<void> {
  await stage.kubectl('create', '-f', 'nginx-svc.yaml');
  const table = await stage.kubectl('get', 'svc');
  const address = await clusterIP(stage, 'nginx');
  stage.check('it has an address of the Service range', inside(serviceRange, address), address);
  stage.check('the table shows 8080/TCP', /^nginx +ClusterIP +[\d.]+ +<none> +8080\/TCP/m.test(table), table);
  const pods = await stage.until(
    () => podEndpoints(stage),
    (endpoints) => endpoints.length === 3,
  );
  const described = await stage.kubectl('describe', 'svc', 'nginx');
  const listed = /^Endpoints: +(.*)$/m.exec(described)?.[1]?.split(',').sort() ?? [];
  stage.check('describe lists the three pods', same(listed, pods), listed.join(' '));
  const endpoints = await stage.kubectl('get', 'endpoints');
  const row = /^nginx +(\S+)/m.exec(endpoints)?.[1]?.split(',').sort() ?? [];
  stage.check('and so does Endpoints', same(row, pods), endpoints);
}

async function useAddress({ stage }: Scene): Promise<void> {
  const address = await clusterIP(stage, 'nginx');
  const [page = ''] = await stage.shell(SHELL_RUN, [`curl -s ${address}:8080`]);
  stage.check('nginx answers at the address', page.includes(WELCOME), page);
}

async function useName({ stage, clusterDns, clusterDomain }: Scene): Promise<void> {
  const address = await clusterIP(stage, 'nginx');
  const names = ['nginx', 'nginx.default', 'nginx.default.svc', `nginx.default.svc.${clusterDomain}`];
  const [looked = '', ...pages] = await stage.shell(DNS_RUN, [
    'nslookup nginx',
    ...names.map((name) => `curl -s ${name}:8080 | grep title`),
  ]);
  stage.check('the cluster DNS answers', looked.includes(`${clusterDns}#53`), looked);
  const named = looked.includes(`nginx.default.svc.${clusterDomain}`) && looked.includes(address);
  stage.check('with the address of the Service', named, looked);
  for (const [at, name] of names.entries()) {
    stage.check(`nginx answers at ${name}:8080`, pages[at]?.includes(WELCOME) ?? false, pages[at]);
  }
}

/** Counts the HTTP statuses of its requests until it is told to stop. */
const KEEP_CURLING =
  'until [ -e /tmp/stop ]; do curl -s -o /dev/null -m 2 -w "%{http_code}\\n" http://nginx:8080/; done | sort | uniq -c';

async function replacePod({ stage }: Scene): Promise<void> {
  await stage.kubectl('run', 'client', '--image', 'nginx:alpine', '--command', '--', 'sleep', 'infinity');
  await stage.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=20s');
  const before = await podEndpoints(stage);
  const [victim] = await stage.objects<Pod>('pods', '-l', 'app=nginx');
  const name = victim?.metadata?.name ?? '';
  const curling = stage.kubectl('exec', 'client', '--', 'sh', '-c', KEEP_CURLING);
  await stage.until(
    () => stage.quiet('exec', 'client', '--', 'pgrep', '-f', 'http_code'),
    ({ code }) => code === 0,
  );
  await stage.kubectl('delete', 'po', name);
  await stage.kubectl('rollout', 'status', 'deployment/nginx', '--timeout=30s');
  const after = await stage.until(
    () => podEndpoints(stage),
    (endpoints) => endpoints.length === 3 && !same(endpoints, before),
  );
  await stage.kubectl('get', 'endpoints', 'nginx');
  stage.check(
    'the endpoints changed with the pod',
    after.length === 3 && !same(after, before),
    after.join(' '),
  );
  await stage.quiet('exec', 'client', '--', 'touch', '/tmp/stop');
  const counts = [...(await curling).matchAll(/^ *(\d+) (\d{3})$/gm)].map(
    (match) => [Number(match[1]), match[2]] as const,
  );
  const all = counts.reduce((sum, [count]) => sum + count, 0);
  const served = counts.find(([, code]) => code === '200')?.[0] ?? 0;
  stage.check(
    `not one of ${all} requests failed meanwhile`,
    served > 10 && served === all,
    `${all - served} failed`,
  );
}

async function nodePort({ stage, nodes, outside }: Scene): Promise<void> {
  await stage.kubectl('create', '-f', 'nodeport.yaml');
  const table = await stage.kubectl('get', 'svc', '-o', 'wide');
  stage.check(
    'port 8080 is mapped to 30120',
    /^nodeport-service +NodePort .* 8080:30120\/TCP .*app=nginx/m.test(table),
    table,
  );
  await stage.until(
    () => podEndpoints(stage, 'nodeport-service'),
    (endpoints) => endpoints.length === 3,
  );
  // The shell of the last pod of this name ignores SIGTERM, so its grace period may still run.
  await stage.kubectl('delete', 'po', 'test', '--now', '--ignore-not-found');
  const [first] = nodes;
  const [page = ''] = await stage.shell(SHELL_RUN, [`curl -s ${first?.ip}:30120`]);
  stage.check('a pod reaches it at a node', page.includes(WELCOME), page);
  for (const { name, publicIP } of nodes) {
    const url = `http://${publicIP}:30120`;
    const answer = await stage.at(
      outside,
      `fairlead enter external curl -s ${url}`,
      'curl',
      '-s',
      '-m',
      '5',
      url,
    );
    stage.check(`so does a client outside, at the elastic IP of ${name}`, answer.includes(WELCOME), answer);
  }
}

async function headless({ stage }: Scene): Promise<void> {
  await stage.kubectl('create', '-f', 'headless.yaml');
  const table = await stage.kubectl('get', 'svc', 'nginx-headless');
  stage.check(
    'it has no address of its own',
    /^nginx-headless +ClusterIP +None +<none> +80\/TCP/m.test(table),
    table,
  );
  const pods = await stage.until(
    () => podEndpoints(stage, 'nginx-headless'),
    (endpoints) => endpoints.length === 3,
  );
  const [looked = ''] = await stage.shell(DNS_RUN, ['nslookup nginx-headless']);
  const found = [...looked.matchAll(/^Address: (\S+)$/gm)].map((match) => `${match[1]}:80`).sort();
  stage.check('its name answers with every pod', same(found, pods), looked);
}

async function clusterIP(stage: Stage, name: string): Promise<string> {
  const [service] = await stage.objects<Service>('svc', name);
  return service?.spec?.clusterIP ?? '';
}

/** The `address:port` pairs behind a Service, sorted. */
async function podEndpoints(stage: Stage, name = 'nginx'): Promise<string[]> {
  const [endpoints] = await stage.objects<Endpoints>('endpoints', name);
  return (endpoints?.subsets ?? [])
    .flatMap((subset) =>
      (subset.addresses ?? []).flatMap(({ ip }) => (subset.ports ?? []).map(({ port }) => `${ip}:${port}`)),
    )
    .sort();
}

const same = (some: readonly string[], other: readonly string[]): boolean =>
  some.length > 0 && some.length === other.length && some.every((one, at) => one === other[at]);

const inside = (range: Prefix, address: string): boolean =>
  Addr.isAddr(address) && range.contains(Addr.parse(address));
