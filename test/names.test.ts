/** The cluster DNS as a pod sees it, and the StatefulSet whose pods have names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod, Service } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { labels, responder, service, shellPod } from './manifests.ts';
import { Stand } from './stand.ts';
import { until } from './supervisor.ts';

const ZONE = 'svc.cluster.local';
let stand: Stand;
let k: Kubectl;

beforeAll(async () => {
  stand = await Stand.up('--nodes', '2');
  k = await stand.kubectl('names');
  const headless = service('db', { clusterIP: 'None' });
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db' },
    spec: {
      serviceName: 'db',
      replicas: 3,
      selector: { matchLabels: labels('db') },
      template: {
        metadata: { labels: labels('db') },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            responder({ readinessProbe: { httpGet: { path: '/healthz', port: 80 }, periodSeconds: 1 } }),
          ],
        },
      },
    },
  };
  const away = {
    type: 'ExternalName',
    externalName: 'db.example.com',
    selector: undefined,
    ports: undefined,
  };
  await k.send(
    ['create', '-f', '-'],
    [
      headless,
      set,
      service('web', { selector: labels('db') }),
      service('none'),
      service('away', away),
      shellPod('client'),
    ],
  );
  await k.ok('wait', '--for=condition=Ready', '--timeout=30s', 'pod/client');
  await k.ok('rollout', 'status', 'statefulset/db', '--timeout=60s');
});
afterAll(() => stand.down());

const pods = async () => (await k.json<{ items: Pod[] }>('pods', '-l', 'app=db')).items;
const addressOf = async (pod: string) => (await k.json<Pod>('pod', pod)).status?.podIP ?? '';
const clusterIP = async (name: string) => (await k.json<Service>('svc', name)).spec?.clusterIP ?? '';

/** `dig` in the client pod: the status, and the records of the answer as `TYPE DATA`. */
async function dig(...question: string[]): Promise<{ status: string; answer: string[] }> {
  const text = await k.ok(
    'exec',
    'client',
    '--',
    'dig',
    '+noall',
    '+comments',
    '+answer',
    '+tries=2',
    ...question,
  );
  const answer = [...text.matchAll(/^\S+\s+\d+\s+IN\s+(\S+)\s+(.*)$/gm)].map(
    ([, type, data]) => `${type} ${data}`,
  );
  return { status: /status: (\w+)/.exec(text)?.[1] ?? text, answer: answer.sort() };
}

describe('the cluster DNS', () => {
  it('resolves a Service by every form of its name', async () => {
    const address = await clusterIP('web');
    const found = { status: 'NOERROR', answer: [`A ${address}`] };
    expect(await dig(`web.names.${ZONE}`)).toEqual(found);
    for (const name of ['web', 'web.names', 'web.names.svc'])
      expect(await dig('+search', name)).toEqual(found);
    expect(await k.ok('exec', 'client', '--', 'getent', 'ahostsv4', 'web')).toContain(`${address} `);
    expect(await k.ok('exec', 'client', '--', 'nslookup', 'web')).toMatch(
      new RegExp(
        `^Server:\\s+10\\.247\\.3\\.10\\nAddress:\\s+10\\.247\\.3\\.10#53\\n\\nName:\\s+web\\.names\\.${ZONE}\\nAddress: ${address}$`,
        'm',
      ),
    );
    expect(await dig('kube-dns.kube-system.svc.cluster.local')).toEqual({
      status: 'NOERROR',
      answer: ['A 10.247.3.10'],
    });
    expect(await dig('+tcp', `WEB.names.${ZONE}`)).toEqual(found);
  });

  it('resolves a headless Service to every pod, and each pod of a StatefulSet by its name', async () => {
    const addresses = await Promise.all(['db-0', 'db-1', 'db-2'].map(addressOf));
    await until('all three pods in the DNS', async () => (await dig(`db.names.${ZONE}`)).answer.length === 3);
    expect((await dig(`db.names.${ZONE}`)).answer).toEqual(addresses.map((one) => `A ${one}`).sort());
    for (const [at, address] of addresses.entries()) {
      expect(await dig('+search', `db-${at}.db`)).toEqual({ status: 'NOERROR', answer: [`A ${address}`] });
      // As CoreDNS: the Service `web` names the same pods, by their addresses.
      expect((await dig('-x', address)).answer).toContain(`PTR db-${at}.db.names.${ZONE}.`);
    }
    const page = await k.ok('exec', 'client', '--', 'curl', '-sS', '--max-time', '5', 'http://db-1.db/');
    expect(page).toMatch(/^pod names\/db-1 /);
    expect(await k.ok('exec', 'db-2', '--', 'hostname', '-f')).toBe(`db-2.db.names.${ZONE}\n`);
  });

  it('has SRV records of named ports and PTR records', async () => {
    expect(await dig('SRV', `_http._tcp.web.names.${ZONE}`)).toEqual({
      status: 'NOERROR',
      answer: [`SRV 0 100 8080 web.names.${ZONE}.`],
    });
    const { answer } = await dig('SRV', `_http._tcp.db.names.${ZONE}`);
    expect(answer.map((line) => line.replace(/^SRV 0 \d+ /, ''))).toEqual(
      [0, 1, 2].map((at) => `80 db-${at}.db.names.${ZONE}.`),
    );
    expect(await dig('-x', await clusterIP('web'))).toEqual({
      status: 'NOERROR',
      answer: [`PTR web.names.${ZONE}.`],
    });
  });

  it('gives the other name of an ExternalName', async () => {
    const { answer } = await dig('CNAME', `away.names.${ZONE}`);
    expect(answer).toEqual(['CNAME db.example.com.']);
  });

  it('tells a name that is not there from one of another type, and refuses what is not its own', async () => {
    expect(await dig(`nothing.names.${ZONE}`)).toEqual({ status: 'NXDOMAIN', answer: [] });
    expect(await dig(`web.nowhere.${ZONE}`)).toEqual({ status: 'NXDOMAIN', answer: [] });
    expect(await dig('AAAA', `web.names.${ZONE}`)).toEqual({ status: 'NOERROR', answer: [] });
    expect(await dig(`names.${ZONE}`)).toEqual({ status: 'NOERROR', answer: [] });
    expect(await dig('example.com')).toEqual({ status: 'REFUSED', answer: [] });
  });
});

describe('a StatefulSet', () => {
  it('makes its pods one after the other, and unmakes them the other way round', async () => {
    const time = (text: string | undefined) => Date.parse(text ?? '');
    const [first, second, third] = (await pods()).sort((a, b) =>
      (a.metadata?.name ?? '').localeCompare(b.metadata?.name ?? ''),
    );
    const readyAt = (pod: Pod | undefined) =>
      time(pod?.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime);
    const madeAt = (pod: Pod | undefined) => time(pod?.metadata?.creationTimestamp);
    expect(madeAt(second)).toBeGreaterThanOrEqual(readyAt(first));
    expect(madeAt(third)).toBeGreaterThanOrEqual(readyAt(second));

    await using watch = await k.follow(
      'get',
      'pods',
      '-l',
      'app=db',
      '-w',
      '--output-watch-events',
      '--no-headers',
    );
    await watch.line(/db-2/);
    await k.ok('scale', 'statefulset/db', '--replicas=1');
    await watch.line(/^DELETED +db-1/);
    const ended = watch.lines
      .filter((line) => line.startsWith('DELETED'))
      .map((line) => /db-\d/.exec(line)?.[0]);
    expect(ended).toEqual(['db-2', 'db-1']);
    await k.ok('scale', 'statefulset/db', '--replicas=2');
    await k.ok('rollout', 'status', 'statefulset/db', '--timeout=30s');
    expect((await pods()).map(({ metadata }) => metadata?.name).sort()).toEqual(['db-0', 'db-1']);
  });

  it('gives a pod that goes its name back, and the name its new address', async () => {
    const before = await k.json<Pod>('pod', 'db-0');
    await k.ok('delete', 'pod', 'db-0');
    await until('another db-0', async () => {
      const [pod] = (await pods()).filter(({ metadata }) => metadata?.name === 'db-0');
      return pod !== undefined && pod.metadata?.uid !== before.metadata?.uid;
    });
    await k.ok('wait', '--for=condition=Ready', '--timeout=30s', 'pod/db-0');
    const address = await addressOf('db-0');
    await until(
      'the name to follow',
      async () => (await dig(`db-0.db.names.${ZONE}`)).answer[0] === `A ${address}`,
    );
  });
});
