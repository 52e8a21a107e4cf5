import type { Answer } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../kube/objects.ts';
import { answer, type Reply } from './answer.ts';
import { Zone } from './zone.ts';

const service = (name: string, spec: Service['spec']): Service => ({
  metadata: { name, namespace: 'default' },
  ...(spec && { spec }),
});

function slice(name: string, of: string, addressType: string, rest: Partial<EndpointSlice>): EndpointSlice {
  const metadata = { name, namespace: 'default', labels: { 'kubernetes.io/service-name': of } };
  return { metadata, addressType, endpoints: [], ...rest };
}

/** A ClusterIP Service of two families, a StatefulSet's headless one, ExternalNames, and what surrounds them. */
function exampleZone(): Zone {
  const zone = new Zone('Cluster.Local.');
  for (const namespace of ['default', 'kube-system', 'empty']) zone.setNamespace(namespace);
  zone.setService({
    metadata: { name: 'kube-dns', namespace: 'kube-system' },
    spec: { clusterIP: '10.247.3.10', clusterIPs: ['10.247.3.10'] },
  });
  zone.setService(
    service('web', {
      clusterIP: '10.247.0.9',
      clusterIPs: ['10.247.0.9', 'fd00:0::9'],
      ports: [
        { name: 'http', port: 8080 },
        { name: 'dns', protocol: 'UDP', port: 53 },
      ],
    }),
  );
  zone.setSlice(
    slice('web-1', 'web', 'IPv4', {
      endpoints: [{ addresses: ['172.16.0.5'] }],
      ports: [{ name: 'http', port: 80 }],
    }),
  );
  zone.setService(service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }, { port: 1 }] }));
  zone.setSlice(
    slice('db-1', 'db', 'IPv4', {
      ports: [{ name: 'sql', port: 5432 }],
      endpoints: [
        { addresses: ['172.16.0.7'], hostname: 'db-0', conditions: { ready: true } },
        { addresses: ['172.16.1.7'], hostname: 'db-1' },
        { addresses: ['172.16.1.8'], hostname: 'db-2', conditions: { ready: false } },
      ],
    }),
  );
  zone.setSlice(
    slice('db-2', 'db', 'IPv6', {
      ports: [{ name: 'sql', port: 5432 }],
      endpoints: [{ addresses: ['2001:db8::7'], hostname: 'db-0' }, { addresses: ['2001:db8::1'] }],
    }),
  );
  zone.setService(service('idle', { clusterIP: 'None', ports: [{ name: 'x', port: 1 }] }));
  zone.setService(service('out', { type: 'ExternalName', externalName: 'www.example.com.' }));
  zone.setService(service('in', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' }));
  zone.setService(service('a', { type: 'ExternalName', externalName: 'b.default.svc.cluster.local' }));
  zone.setService(service('b', { type: 'ExternalName', externalName: 'a.default.svc.cluster.local' }));
  zone.isSynced = true;
  return zone;
}

const zone = exampleZone();
const SOA = 'cluster.local SOA ns.dns.cluster.local';

function textOf(record: Answer): string {
  if (record.type === 'SRV') {
    const { priority, weight, port, target } = record.data;
    return `${record.name} SRV ${priority} ${weight} ${port} ${target}`;
  }
  if (record.type === 'SOA') return `${record.name} SOA ${record.data.mname}`;
  return `${record.name} ${record.type} ${'data' in record ? String(record.data) : ''}`;
}

const ask = (name: string, type: string, of = zone): Reply => answer(of, { name, type });

/** `name type` to the answers; owner names are left out where they are the question's. */
const ANSWERS: [string, string, string[]][] = [
  ['web.default.svc.cluster.local', 'A', ['A 10.247.0.9']],
  ['web.default.svc.cluster.local', 'AAAA', ['AAAA fd00::9']],
  ['WEB.default.SVC.cluster.LOCAL', 'A', ['A 10.247.0.9']],
  ['_http._tcp.web.default.svc.cluster.local', 'SRV', ['SRV 0 100 8080 web.default.svc.cluster.local']],
  ['_dns._udp.web.default.svc.cluster.local', 'SRV', ['SRV 0 100 53 web.default.svc.cluster.local']],
  [
    'web.default.svc.cluster.local',
    'SRV',
    ['SRV 0 50 8080 web.default.svc.cluster.local', 'SRV 0 50 53 web.default.svc.cluster.local'],
  ],
  ['172-16-0-5.web.default.svc.cluster.local', 'A', ['A 172.16.0.5']],
  ['db.default.svc.cluster.local', 'A', ['A 172.16.0.7', 'A 172.16.1.7']],
  ['db.default.svc.cluster.local', 'AAAA', ['AAAA 2001:db8::7', 'AAAA 2001:db8::1']],
  ['db-0.db.default.svc.cluster.local', 'A', ['A 172.16.0.7']],
  ['db-0.db.default.svc.cluster.local', 'AAAA', ['AAAA 2001:db8::7']],
  ['2001-db8--1.db.default.svc.cluster.local', 'AAAA', ['AAAA 2001:db8::1']],
  [
    '_sql._tcp.db.default.svc.cluster.local',
    'SRV',
    [
      'SRV 0 33 5432 db-0.db.default.svc.cluster.local',
      'SRV 0 33 5432 db-1.db.default.svc.cluster.local',
      'SRV 0 33 5432 2001-db8--1.db.default.svc.cluster.local',
    ],
  ],
  ['out.default.svc.cluster.local', 'A', ['CNAME www.example.com']],
  ['out.default.svc.cluster.local', 'CNAME', ['CNAME www.example.com']],
  ['in.default.svc.cluster.local', 'CNAME', ['CNAME web.default.svc.cluster.local']],
  ['9.0.247.10.in-addr.arpa', 'PTR', ['PTR web.default.svc.cluster.local']],
  ['7.0.16.172.in-addr.arpa', 'PTR', ['PTR db-0.db.default.svc.cluster.local']],
  ['5.0.16.172.in-addr.arpa', 'PTR', ['PTR 172-16-0-5.web.default.svc.cluster.local']],
  [
    '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa',
    'PTR',
    ['PTR web.default.svc.cluster.local'],
  ],
  ['1-2-3-4.default.pod.cluster.local', 'A', ['A 1.2.3.4']],
  ['2001-db8--1.default.pod.cluster.local', 'AAAA', ['AAAA 2001:db8::1']],
  ['dns-version.cluster.local', 'TXT', ['TXT 1.1.0']],
  ['cluster.local', 'SOA', ['SOA ns.dns.cluster.local']],
  ['cluster.local', 'NS', ['NS ns.dns.cluster.local']],
  ['ns.dns.cluster.local', 'A', ['A 10.247.3.10']],
];

const NO_DATA: [string, string][] = [
  ['cluster.local', 'A'],
  ['svc.cluster.local', 'A'],
  ['pod.cluster.local', 'A'],
  ['dns.cluster.local', 'A'],
  ['default.svc.cluster.local', 'A'],
  ['empty.svc.cluster.local', 'A'],
  ['default.pod.cluster.local', 'A'],
  ['web.default.svc.cluster.local', 'MX'],
  ['web.default.svc.cluster.local', 'TXT'],
  ['db-1.db.default.svc.cluster.local', 'AAAA'],
  ['_tcp.web.default.svc.cluster.local', 'SRV'],
  ['_http._tcp.web.default.svc.cluster.local', 'A'],
  ['1-2-3-4.default.pod.cluster.local', 'AAAA'],
  ['dns-version.cluster.local', 'A'],
  ['9.0.247.10.in-addr.arpa', 'A'],
];

const NO_NAME: string[] = [
  'nothing.cluster.local',
  'nothing.svc.cluster.local',
  'web.empty.svc.cluster.local',
  'web.nothing.svc.cluster.local',
  'none.default.svc.cluster.local',
  'idle.default.svc.cluster.local',
  'db-2.db.default.svc.cluster.local',
  'x.db-0.db.default.svc.cluster.local',
  '_http._udp.web.default.svc.cluster.local',
  '_sctp.web.default.svc.cluster.local',
  '_x._sql._tcp.db.default.svc.cluster.local',
  'not-an-address.default.pod.cluster.local',
  '1-2-3-4.nothing.pod.cluster.local',
  'x.dns-version.cluster.local',
  '99.0.247.10.in-addr.arpa',
  '0.247.10.in-addr.arpa',
  'x.ip6.arpa',
];

describe('answer', () => {
  it.each(ANSWERS)('%s %s', (name, type, expected) => {
    const reply = ask(name, type);
    expect(reply).toMatchObject({ rcode: 'NOERROR', authoritative: true, authorities: [] });
    expect(reply.answers.map(textOf)).toEqual(expected.map((text) => `${name} ${text}`));
    for (const record of reply.answers) expect(record).toMatchObject({ ttl: 5 });
  });

  it.each(NO_DATA)('%s has no %s', (name, type) => {
    const reply = ask(name, type);
    expect(reply).toMatchObject({ rcode: 'NOERROR', authoritative: true, answers: [] });
    expect(reply.authorities.map(textOf)).toEqual([SOA]);
  });

  it.each(NO_NAME)('%s does not exist', (name) => {
    const reply = ask(name, 'A');
    expect(reply).toMatchObject({ rcode: 'NXDOMAIN', authoritative: true, answers: [] });
    expect(reply.authorities.map(textOf)).toEqual([SOA]);
  });

  it.each(['example.com', 'cluster.localx', 'xcluster.local', 'local', ''])("'%s' is not ours", (name) => {
    expect(ask(name, 'A')).toMatchObject({ rcode: 'REFUSED', authoritative: false, elsewhere: name });
  });

  it('follows an ExternalName into the zone, and leaves others to the client', () => {
    const inside = ask('In.default.svc.cluster.local', 'A');
    expect(inside.answers.map(textOf)).toEqual([
      'In.default.svc.cluster.local CNAME web.default.svc.cluster.local',
      'web.default.svc.cluster.local A 10.247.0.9',
    ]);
    expect(inside.elsewhere).toBeUndefined();
    expect(ask('out.default.svc.cluster.local', 'A')).toMatchObject({
      rcode: 'NOERROR',
      elsewhere: 'www.example.com',
    });
  });

  it('gives up on ExternalNames that run in a circle', () => {
    expect(ask('a.default.svc.cluster.local', 'A').rcode).toBe('SERVFAIL');
  });

  it('sends the addresses of SRV targets along', () => {
    const reply = ask('_sql._tcp.db.default.svc.cluster.local', 'SRV');
    expect(reply.additionals.map(textOf)).toEqual([
      'db-0.db.default.svc.cluster.local A 172.16.0.7',
      'db-1.db.default.svc.cluster.local A 172.16.1.7',
      'db-0.db.default.svc.cluster.local AAAA 2001:db8::7',
      '2001-db8--1.db.default.svc.cluster.local AAAA 2001:db8::1',
    ]);
  });

  it('says nothing before the first lists are in', () => {
    const early = new Zone('cluster.local');
    expect(ask('web.default.svc.cluster.local', 'A', early).rcode).toBe('SERVFAIL');
    expect(ask('9.0.247.10.in-addr.arpa', 'PTR', early).rcode).toBe('SERVFAIL');
    expect(ask('example.com', 'A', early).rcode).toBe('REFUSED');
  });

  it('answers ANY with one record (RFC 8482)', () => {
    expect(ask('web.default.svc.cluster.local', 'ANY').answers).toMatchObject([{ type: 'HINFO' }]);
  });
});

describe('a zone that changes', () => {
  it('forgets what is gone, and keeps what another object still holds', () => {
    const changing = exampleZone();
    const names = (address: string) => ask(`${address}.in-addr.arpa`, 'PTR', changing).answers.map(textOf);
    changing.removeService(service('web', {}));
    expect(ask('web.default.svc.cluster.local', 'A', changing).rcode).toBe('NXDOMAIN');
    expect(names('9.0.247.10')).toEqual([]);
    changing.setService(service('new', { clusterIP: '10.247.0.9' }));
    expect(names('9.0.247.10')).toEqual(['9.0.247.10.in-addr.arpa PTR new.default.svc.cluster.local']);
    changing.removeSlice(slice('db-1', 'db', 'IPv4', {}));
    expect(ask('db.default.svc.cluster.local', 'A', changing)).toMatchObject({
      rcode: 'NOERROR',
      answers: [],
    });
    changing.removeSlice(slice('db-2', 'db', 'IPv6', {}));
    expect(ask('db.default.svc.cluster.local', 'A', changing).rcode).toBe('NXDOMAIN');
    expect(names('7.0.16.172')).toEqual([]);
    changing.removeNamespace('default');
    expect(ask('default.svc.cluster.local', 'A', changing).rcode).toBe('NXDOMAIN');
  });

  it('names an endpoint once while it moves between slices', () => {
    const changing = exampleZone();
    const moved = [{ addresses: ['172.16.0.7'], hostname: 'db-0' }];
    changing.setSlice(
      slice('db-3', 'db', 'IPv4', { endpoints: moved, ports: [{ name: 'sql', port: 5432 }] }),
    );
    expect(ask('db-0.db.default.svc.cluster.local', 'A', changing).answers).toHaveLength(1);
    expect(ask('_sql._tcp.db.default.svc.cluster.local', 'SRV', changing).answers).toHaveLength(3);
  });
});
