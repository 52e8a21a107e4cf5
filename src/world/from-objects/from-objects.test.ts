import { describe, expect, it } from 'vitest';
import { hostOf, hostsOf } from '../world.ts';
import {
  type Cluster,
  chooseProfile,
  clusterFrom,
  inventoryOf,
  type ProfileChoice,
  parseManifests,
} from './from-objects.ts';

const NODES = `
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDR: 172.16.1.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
spec: {podCIDR: 172.16.2.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.12}]}
`;

const pod = (name: string, rest = 'status: {podIP: 172.16.1.10}', spec = 'nodeName: n1') => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: web}}
spec: {${spec}}
${rest}
`;

const service = (spec: string, annotations = '{}', status = '{}') => `
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${annotations}}
spec: {selector: {app: web}, ${spec}}
status: ${status}
`;

function clusterOf(text: string, choice: ProfileChoice = {}): Cluster {
  const inventory = inventoryOf(parseManifests('x.yaml', text), 'default');
  return clusterFrom(inventory, chooseProfile(inventory, choice));
}

describe('what is wrong with files', () => {
  it.each<[string, string, RegExp]>([
    ['YAML that is none', `${NODES}---\na: [`, /^x\.yaml:14: /],
    [
      'an object without a kind',
      `${NODES}---\nfoo: bar`,
      /^x\.yaml:14: an object without apiVersion or kind/,
    ],
    [
      'a field of another type',
      `${NODES}${pod('a', 'status: {podIP: 5}')}`,
      /^x\.yaml:19: .*podIP of type string/,
    ],
    [
      'an address that is none',
      `${NODES}${pod('a', 'status: {podIP: 172.16.1}')}`,
      /^x\.yaml:19: '172\.16\.1' is not an IP address/,
    ],
    [
      'two objects of one name',
      `${NODES}${pod('a')}${pod('a')}`,
      /^x\.yaml:24: there are two objects Pod default\/a; the other is at x\.yaml:15/,
    ],
    [
      'an unknown kind of ours',
      `apiVersion: fairlead.dev/v1alpha1\nkind: Balancer`,
      /^x\.yaml:2: .*no kind 'Balancer'/,
    ],
    [
      'an address of a balancer',
      'apiVersion: fairlead.dev/v1alpha1\nkind: LoadBalancer\nmetadata: {name: a}\nspec:\n  addresses:\n    - type: private\n      address: x',
      /^x\.yaml:7: spec\.addresses\[0\]\.address of the LoadBalancer: 'x' is not an IP address/,
    ],
    [
      'a version that is no text',
      'apiVersion: fairlead.dev/v1alpha1\nkind: ClusterProfile\nspec:\n  kubernetesVersion: 1.30',
      /^x\.yaml:4: /,
    ],
    [
      'a pod outside of the range of its node',
      `${NODES}${pod('a', 'status: {podIP: 172.16.2.9}')}${pod('b')}`,
      /^x\.yaml:15: pod 'default\/a' has the address 172\.16\.2\.9, which is not in 172\.16\.1\.0\/24 of node 'n1'/,
    ],
    [
      'two pods of one address',
      `${NODES}${pod('a')}${pod('b')}`,
      /^x\.yaml:22: the address 172\.16\.1\.10 of pod 'default\/b' is taken/,
    ],
    [
      'two nodes of one address',
      NODES.replace('192.168.0.12', '192.168.0.11'),
      /^x\.yaml:2, x\.yaml:8: '(n2|n1)' and '(n1|n2)' both have the address 192\.168\.0\.11/,
    ],
  ])('%s', (_, text, message) => {
    expect(() => clusterOf(text)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, string, string]>([
    [
      'a pod without an address',
      `${NODES}${pod('a', '')}`,
      "x.yaml:15: pod 'default/a' has no address: left out",
    ],
    ['a pod on no node', `${NODES}${pod('a', '', '')}`, "x.yaml:18: pod 'default/a' is on no node: left out"],
    [
      'a pod on an unknown node',
      `${NODES}${pod('a', '', 'nodeName: n9')}`,
      "x.yaml:18: pod 'default/a' is on the unknown node 'n9': left out",
    ],
    [
      'a node without an address',
      `${NODES}---\napiVersion: v1\nkind: Node\nmetadata: {name: n3}`,
      "x.yaml:14: node 'n3' has no InternalIP: left out",
    ],
    [
      'a node without a range',
      NODES.replace('spec: {podCIDR: 172.16.2.0/24}', ''),
      "x.yaml:8: node 'n2' has no podCIDR: what it carries is taken from the addresses of pods",
    ],
    [
      'a misspelt field',
      `${NODES}${pod('a', 'status: {podIp: 172.16.1.10}')}`,
      'x.yaml:19: Pod has no field status.podIp: passed over',
    ],
    [
      'a Service without addresses',
      `${NODES}${service('ports: [{port: 80}]')}`,
      "x.yaml:15: service 'default/web' has no clusterIP: 10.247.255.254 is assumed",
    ],
  ])('%s is left out or assumed, and said', (_, text, problem) => {
    const { problems } = clusterOf(text);
    expect(problems.map(({ place, message }) => `${place}: ${message}`)).toContain(problem);
  });

  it('lists the profiles there are for a name that is none', () => {
    expect(() => clusterOf(NODES, { profile: 'gke' })).toThrow(
      expect.objectContaining({ cure: expect.stringContaining('cce, ack, tke, generic') }),
    );
  });
});

describe('what objects leave open', () => {
  it('takes ranges that hold the addresses where the profile gives none', () => {
    const kind = NODES.replaceAll('172.16.', '10.244.').replaceAll('192.168.0', '172.18.0');
    const { profile } = clusterOf(`${kind}${service('clusterIP: 10.96.0.7, ports: [{port: 80}]')}`);
    expect([profile.podCIDR, profile.vpcCIDR, profile.serviceCIDR].map(String)).toEqual([
      '10.244.0.0/16',
      '172.18.0.0/16',
      '10.96.0.0/16',
    ]);
  });

  it('has a pod listen where it says, else where Services send', () => {
    const ports = (text: string) =>
      hostOf(
        clusterOf(`${NODES}${text}${service('clusterIP: 10.247.0.7, ports: [{port: 80, targetPort: 8080}]')}`)
          .world,
        'default/a',
      ).listeners;
    expect(ports(pod('a'))).toMatchObject([{ protocol: 'TCP', port: 8080 }]);
    const declaring = 'nodeName: n1, containers: [{name: c, ports: [{containerPort: 53, protocol: UDP}]}]';
    expect(ports(pod('a', 'status: {podIP: 172.16.1.10}', declaring))).toMatchObject([
      { protocol: 'UDP', port: 53 },
    ]);
  });

  it('takes a pod of the host network for a process of its node', () => {
    const spec = 'nodeName: n1, hostNetwork: true, containers: [{name: c, ports: [{containerPort: 443}]}]';
    const { world, pods } = clusterOf(`${NODES}${pod('a', 'status: {podIP: 192.168.0.11}', spec)}`);
    expect(hostOf(world, 'n1').listeners).toMatchObject([{ port: 443 }]);
    expect(pods.get('default/a')?.host).toBe('n1');
    expect(hostsOf(world, 'pod')).toEqual([]);
  });
});

describe('balancers', () => {
  const web = (policy: string, annotations: string, ingress = '{ip: 192.168.0.100}') =>
    `${NODES}${pod('a')}${service(
      `type: LoadBalancer, clusterIP: 10.247.0.7, externalTrafficPolicy: ${policy}, ports: [{port: 80, nodePort: 30080}]`,
      annotations,
      `{loadBalancer: {ingress: [${ingress}]}}`,
    )}`;
  const members = (cluster: Cluster) =>
    cluster.balancers.flatMap(({ listeners }) => listeners.flatMap((one) => one.members.map(String)));
  const captured = (cluster: Cluster) =>
    cluster.services
      .get('default/web')
      ?.status?.loadBalancer?.ingress?.map((one) => (one as { ipMode?: string }).ipMode ?? 'VIP');

  it('send to every node, or to those with an endpoint', () => {
    const annotations = '{kubernetes.io/elb.class: performance}';
    expect(members(clusterOf(web('Cluster', annotations), { profile: 'cce' }))).toEqual([
      '192.168.0.11:30080',
      '192.168.0.12:30080',
    ]);
    expect(members(clusterOf(web('Local', annotations), { profile: 'cce' }))).toEqual(['192.168.0.11:30080']);
  });

  it.each<[string, string, string, string, readonly string[]]>([
    ['cce', 'Local', '{kubernetes.io/elb.class: performance}', 'dedicated, Local: by itself', ['Proxy']],
    ['cce', 'Cluster', '{kubernetes.io/elb.class: performance}', 'dedicated, Cluster', ['VIP']],
    ['cce', 'Local', '{kubernetes.io/elb.class: union}', 'shared, Local', ['VIP']],
    [
      'cce',
      'Cluster',
      '{kubernetes.io/elb.class: union, kubernetes.io/elb.pass-through: "true"}',
      'asked for',
      ['Proxy'],
    ],
    [
      'cce',
      'Local',
      '{kubernetes.io/elb.class: performance, kubernetes.io/elb.pass-through: "false"}',
      'refused',
      ['VIP'],
    ],
    ['tke-vpc-iptables', 'Cluster', '{}', 'TKE iptables', ['VIP']],
    ['generic', 'Local', '{}', 'upstream', ['VIP']],
  ])('%s %s %s (%s) is captured as %j', (profile, policy, annotations, _, expected) => {
    expect(captured(clusterOf(web(policy, annotations), { profile }))).toEqual(expected);
  });

  it('ipMode means nothing before 1.30', () => {
    const text = web('Local', '{}', '{ip: 192.168.0.100, ipMode: Proxy}');
    expect(captured(clusterOf(text, { set: { kubernetesVersion: '1.29' } }))).toEqual(['VIP']);
    expect(captured(clusterOf(text, { set: { kubernetesVersion: '1.30' } }))).toEqual(['Proxy']);
  });

  it('are known by name where the status has no address yet', () => {
    const balancer = `
---
apiVersion: fairlead.dev/v1alpha1
kind: LoadBalancer
metadata: {name: lb-7}
spec: {addresses: [{type: private, address: 192.168.0.107}, {type: public, address: 100.64.1.107}]}
`;
    const cluster = clusterOf(`${web('Local', '{kubernetes.io/elb.id: lb-7}', '')}${balancer}`, {
      profile: 'cce',
    });
    expect(cluster.cloudAddresses.get('default/web')?.map(String)).toEqual(['192.168.0.107', '100.64.1.107']);
    expect(cluster.balancers).toMatchObject([{ name: 'lb-7', listeners: [{ port: 80 }] }]);
  });

  it('a NAT gateway forwards to the node of the first endpoint', () => {
    const { forwards, balancers } = clusterOf(
      web('Local', '{kubernetes.io/elb.class: dnat}', '{ip: 100.64.2.1}'),
      { profile: 'cce' },
    );
    expect(balancers).toEqual([]);
    expect(forwards.map(({ elastic, port, to }) => `${elastic}:${port} ${to}`)).toEqual([
      '100.64.2.1:80 192.168.0.11:30080',
    ]);
  });
});
