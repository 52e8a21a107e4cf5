import { describe, expect, it } from 'vitest';
import { type QuestionText, readQuestion } from './question.ts';
import { clusterOf, exampleText } from './test-examples.ts';

const MORE = `
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: data}
spec:
  clusterIP: None
  selector: {app: nginx}
  ports: [{name: a, port: 1}, {name: b, port: 2}]
---
apiVersion: v1
kind: Service
metadata: {name: pair}
spec: {clusterIP: 10.247.0.11, externalIPs: [192.0.2.7], ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: all}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{port: 8080, targetPort: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: lost}
spec: {nodeName: n1, containers: [{name: c}]}
status: {phase: Running}
`;

const cluster = clusterOf(`${exampleText('three-nodes')}${MORE}`);

const ask = (from: string, to: string, rest: Partial<QuestionText> = {}) =>
  readQuestion(cluster, { from, to, namespace: 'default', ...rest });

const dialled = (from: string, to: string, rest: Partial<QuestionText> = {}) => {
  const { target } = ask(from, to, rest);
  return `${target.addresses.join(' ')} ${target.port}/${target.protocol}`;
};

describe('a target', () => {
  it.each<[string, Partial<QuestionText>, string]>([
    ['svc/nginx', {}, '10.247.0.10 80/TCP'],
    ['svc/default/nginx:http', {}, '10.247.0.10 80/TCP'],
    ['svc/nginx:80', { at: 'loadBalancer' }, '192.168.0.100 80/TCP'],
    ['svc/nginx', { at: 'nodePort', node: 'n2' }, '192.168.0.12 30080/TCP'],
    ['svc/nginx', { at: 'nodePort', node: 'n2', address: 'public' }, '100.64.1.2 30080/TCP'],
    ['svc/pair:dns', {}, '10.247.0.11 53/UDP'],
    ['svc/pair:80', { at: 'externalIP' }, '192.0.2.7 80/TCP'],
    ['svc/all', {}, '10.0.1.10 80/TCP'],
    ['192.168.0.11:30080', {}, '192.168.0.11 30080/TCP'],
    ['10.247.3.10:53/udp', {}, '10.247.3.10 53/UDP'],
    ['nginx:80', {}, '10.247.0.10 80/TCP'],
    ['nginx.default.svc.cluster.local:81', {}, '10.247.0.10 81/TCP'],
    ['all.default:80', {}, '10.0.1.10 80/TCP'],
  ])('%s %j is %s', (to, rest, expected) => {
    expect(dialled('pod/far', to, rest)).toBe(expected);
  });

  it('is a node by the address that the client can dial, unless another is asked for', () => {
    const nodePort = { at: 'nodePort', node: 'n2' } as const;
    expect(dialled('external', 'svc/nginx', nodePort)).toBe('100.64.1.2 30080/TCP');
    expect(dialled('vpc-host', 'svc/nginx', nodePort)).toBe('192.168.0.12 30080/TCP');
    expect(dialled('external', 'svc/nginx', { ...nodePort, address: 'private' })).toBe(
      '192.168.0.12 30080/TCP',
    );
  });
});

describe('a client', () => {
  it.each<[string, string]>([
    ['pod/far', 'default/far'],
    ['pod/default/near', 'default/near'],
    ['node/n3', 'n3'],
    ['external', 'external'],
    ['vpc-host', 'vpc-host'],
    ['host/lb-1', 'lb-1'],
  ])('%s is the host %s', (from, host) => {
    expect(ask(from, 'nginx:80').client.host).toBe(host);
  });
});

describe('what matches nothing lists what there is', () => {
  it.each<[string, string, Partial<QuestionText>, RegExp, RegExp]>([
    ['pod/gone', 'nginx:80', {}, /no pod 'default\/gone'/, /default\/far, default\/near, default\/nginx-0$/],
    ['pod/lost', 'nginx:80', {}, /pod 'default\/lost' has no address/, /complete it/],
    ['node/n9', 'nginx:80', {}, /no node 'n9'/, /n1, n2, n3/],
    ['moon', 'nginx:80', {}, /'moon' is no client/, /pod\/\[namespace\/]name/],
    ['pod/far', 'svc/web', {}, /no service 'default\/web'/, /default\/nginx/],
    ['pod/far', 'svc/pair', {}, /has 2 ports/, /svc\/default\/pair:http/],
    ['pod/far', 'svc/pair:9', {}, /no port of service 'default\/pair' '9'/, /dns \(53\), http \(80\)/],
    ['pod/far', 'svc/nginx', { at: 'nodePort' }, /needs its node/, /--node n1 \| n2 \| n3/],
    ['pod/far', 'svc/pair:http', { at: 'nodePort', node: 'n1' }, /has no node port/, /another/],
    ['pod/far', 'svc/pair:http', { at: 'loadBalancer' }, /has no address/, /LoadBalancer/],
    ['pod/far', 'svc/nginx', { at: 'externalIP' }, /has no external IP/, /--at/],
    ['pod/far', 'web:80', {}, /no name 'web'/, /nginx\.default/],
    ['pod/far', 'nginx', {}, /'nginx' is no target/, /svc\//],
    ['pod/far', '10.0.0.1:99999', {}, /99999'? is not a port/, /65535/],
  ])('%s to %s %j', (from, to, rest, message, cure) => {
    expect(() => ask(from, to, rest)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), cure: expect.stringMatching(cure) }),
    );
  });
});
