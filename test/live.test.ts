/**
 * `fairlead why` on a cluster of somebody else's: what nodes, network plugins, kube-proxy and Ingresses tell of it. The server
 * here only lists what a file holds, as any API server would.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../src/kube/objects.ts';
import { fairlead } from './supervisor.ts';

const example = (code: string): KubeObject[] =>
  parseAllDocuments(
    readFileSync(new URL(`../src/diagnose/testdata/${code}.yaml`, import.meta.url), 'utf8'),
  ).map((document) => document.toJS() as KubeObject);

const kubeProxy = (config: string): KubeObject & { data: Record<string, string> } => ({
  kind: 'ConfigMap',
  metadata: { name: 'kube-proxy', namespace: 'kube-system' },
  data: { 'config.conf': config },
});

const daemonSet = (name: string): KubeObject => ({
  kind: 'DaemonSet',
  metadata: { name, namespace: 'kube-system' },
});

/** The kind of a collection's path: `/apis/networking.k8s.io/v1/ingresses`. */
const KINDS: Readonly<Record<string, string>> = {
  nodes: 'Node',
  pods: 'Pod',
  services: 'Service',
  configmaps: 'ConfigMap',
  daemonsets: 'DaemonSet',
  ingresses: 'Ingress',
};

function respond(objects: readonly KubeObject[], url: string): { code: number; body: unknown } {
  const { pathname } = new URL(url, 'http://localhost');
  if (pathname === '/version') return { code: 200, body: { gitVersion: 'v1.28.3' } };
  const [, namespace, collection = ''] = /^.*\/v1(?:\/namespaces\/([^/]+))?\/(\w+)$/.exec(pathname) ?? [];
  if (collection === 'endpointslices') return { code: 200, body: { metadata: {}, items: [] } };
  const kind = KINDS[collection];
  if (kind === undefined) return { code: 404, body: { kind: 'Status', reason: 'NotFound', code: 404 } };
  const items = objects.filter(
    (one) => one.kind === kind && (namespace === undefined || one.metadata?.namespace === namespace),
  );
  return { code: 200, body: { metadata: { resourceVersion: '1' }, items } };
}

describe('a cluster that runs', () => {
  let folder: string;
  let server: Server;
  let objects: readonly KubeObject[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-live-'));
    server = createServer((request, response) => {
      const { code, body } = respond(objects, request.url ?? '/');
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const config = {
      'current-context': 'theirs',
      contexts: [{ name: 'theirs', context: { cluster: 'theirs' } }],
      clusters: [{ name: 'theirs', cluster: { server: `http://127.0.0.1:${port}` } }],
    };
    writeFileSync(join(folder, 'config'), JSON.stringify(config));
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });

  const ask = (...args: string[]) => fairlead([...args, '--kubeconfig', join(folder, 'config')]);

  it('shows what was detected in which object and what was assumed, and finds the Ingress on the balancer', async () => {
    const nodes = example('FL014')
      .filter(({ kind }) => kind === 'Node')
      .map((node) => ({
        ...node,
        spec: { ...(node as { spec?: object }).spec, providerID: `huaweicloud://${node.metadata?.name}` },
      }));
    objects = [
      ...nodes,
      ...example('FL014').filter(({ kind }) => ['Pod', 'Service', 'Ingress'].includes(kind ?? '')),
      kubeProxy('mode: ipvs\niptables: {masqueradeAll: true}\nclusterCIDR: 10.0.0.0/16'),
    ];
    const { code, stdout, stderr } = await ask('why', 'pod/far', '192.168.0.100:443', '--set', 'network=vpc');
    expect(code).toBe(2);
    expect(stderr).toContain('detected cloud cce: Node n1, spec.providerID huaweicloud://n1\n');
    expect(stderr).toContain('detected proxyMode ipvs: ConfigMap kube-system/kube-proxy, mode ipvs\n');
    expect(stderr).toContain('given network vpc: --set\n');
    expect(stderr).toContain('detected kubernetesVersion 1.28: /version of the API server\n');
    expect(stderr).toContain(
      'assumed serviceCIDR 10.247.0.0/16: a range that holds the addresses there are\n',
    );
    expect(stdout).toMatch(
      /^FL014: .*\n {2}ingress\/default\/shop of class cce is on the balancer of svc\/default\/web/m,
    );
  });

  it('says unknown where something else forwards Services, and tells the same in JSON', async () => {
    objects = [
      ...example('FL024').filter(({ kind }) => ['Node', 'Pod', 'Service'].includes(kind ?? '')),
      daemonSet('cilium'),
      {
        kind: 'ConfigMap',
        metadata: { name: 'cilium-config', namespace: 'kube-system' },
        data: { 'kube-proxy-replacement': 'true', 'routing-mode': 'tunnel' },
      } as KubeObject,
    ];
    const { code, stdout } = await ask('why', 'pod/far', 'svc/web', '-o', 'json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'unknown',
      outcomes: [{ cause: { code: 'FL040', because: expect.stringContaining("'Cilium' is not modelled") } }],
      profile: expect.arrayContaining([
        {
          field: 'serviceProxy',
          value: 'Cilium',
          how: 'detected',
          from: 'ConfigMap kube-system/cilium-config, kube-proxy-replacement true',
        },
      ]),
    });
  });
});
