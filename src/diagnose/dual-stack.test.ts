/** What nodes, pods, balancers and machines of two families become. */
import { expect, it } from 'vitest';
import { Addr, portOf } from '../ip/ip.ts';
import { walk } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { rangesOf } from '../world/profile.ts';
import { clusterOf } from './test-examples.ts';

const node = (at: number, more = '') => `
apiVersion: v1
kind: Node
metadata: {name: n${at}}
spec: {podCIDR: 172.16.${at}.0/24, podCIDRs: [172.16.${at}.0/24, "fd00:172:16:${at}::/64"]}
status:
  addresses:
  - {type: InternalIP, address: 192.168.0.1${at}}
  - {type: InternalIP, address: "2001:db8:1::1${at}"}
${more}---`;

const YAML = `${node(1, '  - {type: ExternalIP, address: "2001:db8:1::11"}\n')}${node(2)}
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: main}]}
status: {phase: Running, podIP: 172.16.1.10, podIPs: [{ip: 172.16.1.10}, {ip: "fd00:172:16:1:0::a"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  ipFamilyPolicy: PreferDualStack
  clusterIP: 10.247.0.10
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 192.168.5.5, ipMode: Proxy}, {ip: "2001:db8:1:0::55", ipMode: Proxy}]}}
---
apiVersion: fairlead.dev/v1alpha1
kind: Host
metadata: {name: ecs}
spec: {addresses: [{type: private, address: 192.168.3.3}, {type: private, address: "2001:db8:1::33"}]}
`;

const dual = (set: Record<string, string> = {}) => clusterOf(YAML, set);
const ask = ({ world }: Cluster, from: string, to: string, port: number) =>
  walk(world, { from, to: Addr.parse(to), port: portOf(port), protocol: 'TCP' }).map(
    ({ verdict, sourceSeen }) => `${verdict} ${sourceSeen ?? ''}`.trim(),
  );

it('the ranges hold what is there, of the families that nodes and pods have', () => {
  const { profile } = dual();
  expect(rangesOf(profile).map(({ vpcCIDR, podCIDR }) => `${vpcCIDR} ${podCIDR}`)).toEqual([
    '192.168.0.0/16 172.16.0.0/16',
    '2001:db8:1::/48 fd00:172:16::/48',
  ]);
  expect(rangesOf(dual({ ipFamilies: 'IPv6' }).profile)).toHaveLength(1);
});

it('a pod listens where Services send, in either family and however its address is written', () => {
  const cluster = dual();
  expect(ask(cluster, 'n2', 'fd00:172:16:1::a', 8080)).toEqual(['reached fd00:172:16:2::1']);
  expect(ask(cluster, 'n2', '172.16.1.10', 8080)).toEqual(['reached 172.16.2.1']);
});

it('a balancer sends to the nodes by the family it was dialled in', () => {
  const cluster = dual();
  const [balancer] = cluster.balancers;
  expect([balancer?.address.text, balancer?.dual?.address.text]).toEqual(['192.168.5.5', '2001:db8:1::55']);
  const members = balancer?.listeners.flatMap((listener) => listener.members.map(({ text }) => text));
  expect(members).toEqual([
    '192.168.0.11:30080',
    '[2001:db8:1::11]:30080',
    '192.168.0.12:30080',
    '[2001:db8:1::12]:30080',
  ]);
  expect(new Set(ask(cluster, 'ecs', '2001:db8:1::55', 80).map((one) => one.split(' ')[0]))).toEqual(
    new Set(['reached']),
  );
});

it('the second clusterIP is assumed where the policy wants one', () => {
  const { services, problems } = dual();
  const spec = services.get('default/web')?.spec;
  expect(spec?.ipFamilies).toEqual(['IPv4', 'IPv6']);
  expect(problems.map(({ message }) => message)).toContainEqual(
    expect.stringContaining("service 'default/web' has no clusterIP of IPv6"),
  );
  expect(ask(dual(), 'n2', spec?.clusterIPs?.[1] ?? '', 80)).toHaveLength(1);
});

it('an address that is external as it is, is reached from outside; one that is not, is not', () => {
  const cluster = dual();
  expect(ask(cluster, 'external', '2001:db8:1::11', 30080)[0]).toMatch(/^reached/);
  expect(ask(cluster, 'external', '2001:db8:1::12', 30080)).toEqual(['timeout']);
});
