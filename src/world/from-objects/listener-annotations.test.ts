import { describe, expect, it } from 'vitest';
import type { Cloud } from '../profile.ts';
import { chooseProfile, clusterFrom, inventoryOf, parseManifests } from './from-objects.ts';

const node = (at: number, labels = '{}') => `
apiVersion: v1
kind: Node
metadata: {name: n${at}, labels: ${labels}}
spec: {podCIDR: 172.16.${at}.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.1${at}}]}
---`;

const pod = (name: string, at: number, address: number) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: web}}
spec: {nodeName: n${at}, containers: [{name: main, ports: [{containerPort: 80}]}]}
status: {podIP: 172.16.${at}.${address}}
---`;

const NODES = `${node(1, '{edge: "true"}')}${node(2)}${node(3)}`;
const PODS = `${pod('a', 1, 10)}${pod('b', 1, 11)}${pod('c', 2, 10)}`;

const service = (annotations: object, policy = 'Cluster') => `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${JSON.stringify(annotations)}}
spec:
  type: LoadBalancer
  clusterIP: 10.247.0.7
  externalTrafficPolicy: ${policy}
  selector: {app: web}
  ports: [{name: http, port: 80, nodePort: 30080}, {name: https, port: 443, targetPort: 80, nodePort: 30443}]
status: {loadBalancer: {ingress: [{ip: 192.168.0.100}]}}
`;

function balancerOf(cloud: Cloud, text: string) {
  const inventory = inventoryOf(parseManifests('x.yaml', `${NODES}${PODS}${text}`), 'default');
  const cluster = clusterFrom(inventory, chooseProfile(inventory, { set: { cloud, network: 'vpc' } }));
  const [balancer] = cluster.balancers;
  const listeners = (balancer?.listeners ?? []).map(({ members, protocol: _, ...one }) => ({
    ...one,
    members: members.map(({ addr }) => addr.text),
  }));
  return {
    ...balancer,
    listeners,
    problems: cluster.problems.map(({ message }) => message).filter((one) => !one.includes('being ready')),
  };
}

const CLB = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer';

describe('what annotations make of a listener', () => {
  it.each<[Cloud, object, object]>([
    [
      'cce',
      { 'kubernetes.io/elb.class': 'performance', 'kubernetes.io/elb.protocol-port': 'https:443,http:80' },
      [
        { port: 80, ends: 'HTTP' },
        { port: 443, ends: 'HTTPS' },
      ],
    ],
    [
      'ack',
      { [`${CLB}-protocol-port`]: 'https:443' },
      [{ port: 80 }, { port: 443, ends: 'HTTPS', keepClientAddress: false }],
    ],
    [
      'ack',
      { [`${CLB}-proxy-protocol`]: 'on' },
      [
        { port: 80, proxyProtocol: true },
        { port: 443, proxyProtocol: true },
      ],
    ],
    [
      'tke',
      { 'service.cloud.tencent.com/specify-protocol': '{"443": {"protocol": ["TCP_SSL"], "tls": "s"}}' },
      [{ port: 80 }, { port: 443, ends: 'TLS', keepClientAddress: false }],
    ],
    ['tke', { 'service.cloud.tencent.com/specify-protocol': 'no JSON' }, [{ port: 80 }, { port: 443 }]],
  ])('%s %j', (cloud, annotations, expected) => {
    expect(balancerOf(cloud, service(annotations)).listeners).toMatchObject(expected);
  });

  it('a range is cut at the ports that the Service lists', () => {
    const annotations = {
      'kubernetes.io/elb.class': 'performance',
      'kubernetes.io/elb.port-ranges': '{"http": ["79,82", "9000,9005"]}',
    };
    const { listeners } = balancerOf('cce', service(annotations));
    expect(listeners.map(({ port, lastPort }) => [port, lastPort])).toEqual([
      [80, undefined],
      [79, 79],
      [81, 82],
      [9000, 9005],
      [443, undefined],
    ]);
  });

  it('members are the nodes with the labels asked for', () => {
    const annotations = { 'service.kubernetes.io/qcloud-loadbalancer-backends-label': 'edge=true' };
    expect(balancerOf('tke', service(annotations)).listeners[0]?.members).toEqual(['192.168.0.11']);
    const nobody = { [`${CLB}-backend-label`]: 'edge=no' };
    expect(balancerOf('ack', service(nobody)).listeners[0]?.members).toEqual([]);
  });

  it('nodes weigh as much as their pods where the cloud does so, in the smallest numbers', () => {
    expect(balancerOf('ack', service({}, 'Local')).listeners[0]?.members).toEqual([
      '192.168.0.11',
      '192.168.0.11',
      '192.168.0.12',
    ]);
    expect(balancerOf('tke', service({}, 'Local')).listeners[0]?.members).toEqual([
      '192.168.0.11',
      '192.168.0.12',
    ]);
    expect(balancerOf('ack', service({})).listeners[0]?.members).toHaveLength(3);
  });

  it('Services of one balancer may differ in what they keep', () => {
    const keeping = service({ 'kubernetes.io/elb.class': 'performance', 'kubernetes.io/elb.id': 'lb-1' });
    const hiding = service({ 'kubernetes.io/elb.class': 'union', 'kubernetes.io/elb.id': 'lb-1' })
      .replace('name: web,', 'name: alt,')
      .replace('10.247.0.7', '10.247.0.8')
      .replaceAll(/port: (80|443)/g, 'port: 9$1')
      .replaceAll(/nodePort: 30/g, 'nodePort: 31');
    const { keepClientAddress, listeners } = balancerOf('cce', `${keeping}---${hiding}`);
    expect(keepClientAddress).toBe(true);
    expect(listeners.map(({ port, keepClientAddress: own }) => [port, own])).toEqual([
      [80, undefined],
      [443, undefined],
      [980, false],
      [9443, false],
    ]);
  });
});

it('a balancer has every private address that its Services say, unless somebody describes it', () => {
  const two = service({}).replace('{ip: 192.168.0.100}', '{ip: 192.168.0.100}, {ip: 192.168.0.101}');
  const { address, others, problems } = balancerOf('tke', two);
  expect([address, ...(others ?? [])].map(String)).toEqual(['192.168.0.100', '192.168.0.101']);
  expect(problems).toEqual([]);
  const described = `---
apiVersion: fairlead.dev/v1alpha1
kind: LoadBalancer
metadata: {name: lb-1}
spec: {addresses: [{type: private, address: 192.168.0.100}, {type: private, address: 192.168.0.102}]}
`;
  const known = balancerOf('tke', `${two}${described}`);
  expect((known.others ?? []).map(String)).toEqual(['192.168.0.102']);
  expect(known.problems).toEqual([
    "service 'default/web' says 192.168.0.101, but its balancer 'lb-1' has 192.168.0.100",
  ]);
});

describe('an Ingress on a balancer', () => {
  const ingress = (backend: string) => `
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {kubernetes.io/elb.id: lb-1, kubernetes.io/elb.port: "8443"}}
spec: {tls: [{}], rules: [{http: {paths: [{backend: {service: {name: ${backend}, port: {number: 80}}}}]}}]}
`;
  const text = service({ 'kubernetes.io/elb.class': 'performance', 'kubernetes.io/elb.id': 'lb-1' });

  it('has a listener that ends HTTP and leads to its backends', () => {
    expect(balancerOf('cce', `${text}${ingress('web')}`).listeners.at(-1)).toEqual({
      port: 8443,
      ends: 'HTTPS',
      keepClientAddress: false,
      members: ['192.168.0.11', '192.168.0.12', '192.168.0.13'],
    });
  });

  it('has none where nobody knows whom it leads to, and that is said', () => {
    const { listeners, problems } = balancerOf('cce', `${text}${ingress('elsewhere')}`);
    expect(listeners).toHaveLength(2);
    expect(problems).toContain("ingress 'default/shop': where port 8443 of 'lb-1' leads is not known");
  });
});
