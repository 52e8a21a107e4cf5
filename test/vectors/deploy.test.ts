/** deploy/: what kubectl makes of it fits together, and fits the command; the image has what the command runs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startServed } from '../../src/apiserver/test-server.ts';
import { readKubeProxyConfiguration } from '../../src/cli/commands/kube-proxy-configuration.ts';
import { program } from '../../src/cli/program.ts';
import { Exec } from '../../src/exec/exec.ts';
import { packageOf } from '../../src/exec/tools.ts';
import { RESOURCES } from '../../src/kube/resources.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const FOLDER = new URL('../../deploy/proxy', import.meta.url).pathname;
const { stdout } = await new Exec().run({ file: 'kubectl', args: ['kustomize', FOLDER] });
const objects = parseAllDocuments(stdout).map((document) => document.toJS());
const only = (kind: string) => {
  const [found, ...more] = objects.filter((one) => one.kind === kind);
  if (found === undefined || more.length > 0) throw new Error(`${more.length + 1} objects of kind ${kind}`);
  return found;
};

it('runs the proxy in the network of each node, as root over it', () => {
  const { template, selector } = only('DaemonSet').spec;
  const { spec, metadata } = template;
  expect(metadata.labels).toMatchObject(selector.matchLabels);
  expect(spec).toMatchObject({ hostNetwork: true, serviceAccountName: only('ServiceAccount').metadata.name });
  expect(spec.tolerations).toContainEqual({ operator: 'Exists' });
  const [container] = spec.containers;
  expect(container.securityContext.privileged).toBe(true);
  expect(container.image).toMatch(/^fairlead:/);
  const volumes = new Set(spec.volumes.map((one: { name: string }) => one.name));
  for (const { name } of container.volumeMounts) expect(volumes).toContain(name);
});

it('gives the command options that it knows, and its probe the port that it answers on', () => {
  const [container] = only('DaemonSet').spec.template.spec.containers;
  const [command, ...args] = container.args;
  const proxy = program().commands.find((one) => one.name() === command);
  expect(proxy?.parseOptions(args)).toEqual({ operands: [], unknown: [] });
  const file = proxy?.opts().config as string;
  const mount = container.volumeMounts.find((one: { name: string }) => one.name === 'kube-proxy');
  expect(file.startsWith(`${mount.mountPath}/`)).toBe(true);
  const bare = { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration' };
  const { health } = readKubeProxyConfiguration(file, bare).listen;
  expect(container.livenessProbe.httpGet).toMatchObject({ path: '/livez', port: health?.port });
});

it('lets the account do what the proxy does, and no more', () => {
  const rules: Rule[] = only('ClusterRole').rules;
  const granted = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((one) => verbs.map((verb) => `${verb} ${group}/${one}`))),
  );
  const watched = [RESOURCES.services, RESOURCES.endpointslices, RESOURCES.nodes];
  const watching = watched.flatMap(({ group, plural }) =>
    ['get', 'list', 'watch'].map((verb) => `${verb} ${group}/${plural}`),
  );
  const telling = ['', 'events.k8s.io'].flatMap((group) =>
    ['create', 'patch', 'update'].map((verb) => `${verb} ${group}/events`),
  );
  expect(granted.toSorted()).toEqual([...watching, ...telling].toSorted());
  const { subjects, roleRef } = only('ClusterRoleBinding');
  expect(roleRef.name).toBe(only('ClusterRole').metadata.name);
  const { name, namespace } = only('ServiceAccount').metadata;
  expect(subjects).toEqual([{ kind: 'ServiceAccount', name, namespace }]);
});

it('has an account and a pod that the API server takes, field by field', async () => {
  const served = await startServed();
  try {
    const strict = (path: string) => `/api/v1/namespaces/kube-system/${path}?fieldValidation=Strict`;
    await served.create(strict('serviceaccounts'), only('ServiceAccount'));
    const { metadata, spec } = only('DaemonSet').spec.template;
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'proxy' }, spec };
    const { spec: taken } = await served.create(strict('pods'), pod);
    expect(taken).toMatchObject({ hostNetwork: true, priorityClassName: 'system-node-critical' });
  } finally {
    await served.stop();
  }
});

describe('the image', () => {
  const root = join(FOLDER, '..', '..');
  const lines = readFileSync(join(root, 'deploy', 'Dockerfile'), 'utf8')
    .replace(/\\\n/g, ' ')
    .split('\n');
  const last = lines.findLastIndex((line) => line.startsWith('FROM '));

  it('has the package of every tool that the proxy runs', () => {
    const sources = readdirSync(join(root, 'src', 'sync'))
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(root, 'src', 'sync', file), 'utf8'))
      .join();
    const tools = [...sources.matchAll(/(?:file: |\.start\(|restore: |save: |one: )'([a-z0-9-]+)'/g)];
    const names = new Set(tools.map(([, tool = '']) => tool.replace(/^ip6?tables/, 'iptables')));
    expect([...names]).toContain('iptables-save');
    const installed = lines
      .slice(last)
      .find((line) => line.includes('apt-get install'))
      ?.split(/\s+/);
    for (const tool of names) expect(installed, tool).toContain(packageOf(tool));
  });

  it('is made of files that are there', () => {
    const copied = lines.flatMap((line) => /^COPY (?!--from)(.*) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
    expect(copied.length).toBeGreaterThan(5);
    for (const file of copied) expect(existsSync(join(root, file)), file).toBe(true);
  });
});
