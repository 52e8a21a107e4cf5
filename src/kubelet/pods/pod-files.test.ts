import { describe, expect, it } from 'vitest';
import { Prefix } from '../../ip/ip.ts';
import type { Pod, Service } from '../../kube/objects.ts';
import { AddressPool } from '../ipam.ts';
import { linkVariables } from './environment.ts';
import { expand } from './expansion.ts';
import { podFiles } from './pod-files.ts';

const names = {
  clusterDns: '10.247.3.10',
  clusterDomain: 'cluster.local',
  nodeName: 'n1',
  machineResolvConf: '# c\nsearch corp.example\nnameserver 192.0.2.53\noptions edns0\n',
};
const files = (spec: Partial<Pod['spec']>) => {
  const pod = { metadata: { name: 'web-0', namespace: 'shop' }, spec: { containers: [], ...spec } };
  return podFiles(pod, '172.16.0.5', names);
};

describe('podFiles', () => {
  it('names the pod and its subdomain in /etc/hosts', () => {
    expect(files({ hostname: 'web-0', subdomain: 'web' }).hosts).toContain(
      '172.16.0.5\tweb-0.web.shop.svc.cluster.local\tweb-0\n',
    );
    expect(files({ hostAliases: [{ ip: '192.0.2.1', hostnames: ['a', 'b'] }] }).hosts).toMatch(
      /172\.16\.0\.5\tweb-0\n\n# Entries added by HostAliases\.\n192\.0\.2\.1\ta\tb\n$/,
    );
  });

  it.each<[string, Partial<Pod['spec']>, string]>([
    [
      'ClusterFirst',
      {},
      'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.247.3.10\noptions ndots:5\n',
    ],
    [
      'ClusterFirst of hostNetwork',
      { hostNetwork: true },
      'search corp.example\nnameserver 192.0.2.53\noptions edns0\n',
    ],
    ['Default', { dnsPolicy: 'Default' }, 'search corp.example\nnameserver 192.0.2.53\noptions edns0\n'],
    [
      'None with a dnsConfig',
      {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['192.0.2.1'], options: [{ name: 'ndots', value: '2' }] },
      },
      'nameserver 192.0.2.1\noptions ndots:2\n',
    ],
    [
      'a dnsConfig that adds',
      { dnsConfig: { searches: ['x.example'], options: [{ name: 'ndots', value: '1' }] } },
      'search shop.svc.cluster.local svc.cluster.local cluster.local x.example\nnameserver 10.247.3.10\noptions ndots:1\n',
    ],
  ])('writes resolv.conf for %s', (_name, spec, text) => expect(files(spec)['resolv.conf']).toBe(text));
});

describe('expand', () => {
  it.each([
    ['$(A)-x', '1-x'],
    ['$$(A)', '$(A)'],
    ['$(B)', '$(B)'],
    ['$$$(A)', '$1'],
    ['$A', '$A'],
  ])('%s is %s', (text, expected) => expect(expand(text, new Map([['A', '1']]))).toBe(expected));
});

describe('linkVariables', () => {
  it("gives a Service's variables as Docker links had them", () => {
    const ports = [{ name: 'http-alt', port: 8080 }];
    const service: Service = { metadata: { name: 'my-web' }, spec: { clusterIP: '10.247.0.7', ports } };
    expect(linkVariables(service).map(([name, value]) => `${name}=${value}`)).toEqual([
      'MY_WEB_SERVICE_HOST=10.247.0.7',
      'MY_WEB_SERVICE_PORT=8080',
      'MY_WEB_PORT=tcp://10.247.0.7:8080',
      'MY_WEB_SERVICE_PORT_HTTP_ALT=8080',
      'MY_WEB_PORT_8080_TCP=tcp://10.247.0.7:8080',
      'MY_WEB_PORT_8080_TCP_PROTO=tcp',
      'MY_WEB_PORT_8080_TCP_PORT=8080',
      'MY_WEB_PORT_8080_TCP_ADDR=10.247.0.7',
    ]);
    expect(linkVariables({ ...service, spec: { clusterIP: 'None', ports } })).toEqual([]);
  });
});

describe('AddressPool', () => {
  it('hands out each address once, in turn, and says when none is left', () => {
    const pool = new AddressPool(Prefix.parse('10.0.0.0/29'));
    const taken = ['a', 'b', 'c', 'd', 'e'].map((uid) => pool.take(uid).text);
    expect(taken).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
    expect(pool.take('a').text).toBe('10.0.0.2');
    expect(() => pool.take('f')).toThrow('no address is left in 10.0.0.0/29');
    pool.release('c');
    expect(pool.take('f').text).toBe('10.0.0.4');
  });

  it('does not give the address just freed to the next pod', () => {
    const pool = new AddressPool(Prefix.parse('10.0.0.0/24'));
    const first = pool.take('a');
    pool.release('a');
    expect(pool.take('b').text).not.toBe(first.text);
  });
});
