import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lineLog } from '../../fault/log.ts';
import { Prefix } from '../../ip/prefix.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { openSqliteStore } from '../../store/sqlite-store.ts';
import { bootstrap } from '../bootstrap.ts';
import { Registry } from '../registry/registry.ts';
import { type AnyObject, decode, encode, prefixOf, storeKeyOf } from '../registry/stored.ts';
import { type Served, startServed } from '../test-server.ts';
import { AddressPool, PortPool } from './pools.ts';
import { ServiceAllocator } from './service-allocator.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'x' }, ports: [{ port: 80 }], ...spec },
});
type Ports = { nodePort: number }[];

let served: Served;
beforeAll(async () => {
  served = await startServed();
});
afterAll(() => served.stop());

describe('cluster IPs', () => {
  it('come from the range, and the first is the API server’s', async () => {
    const { spec } = await served.create(SERVICES, service('plain'));
    expect(spec.clusterIP).toMatch(/^10\.247\./);
    expect(spec).toMatchObject({
      clusterIPs: [spec.clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    expect((await served.send('GET', `${SERVICES}/kubernetes`)).body.spec.clusterIP).toBe('10.247.0.1');
  });

  it('may be chosen, once, inside the range', async () => {
    await served.create(SERVICES, service('chosen', { clusterIP: '10.247.3.10' }));
    const taken = await served.send('POST', SERVICES, service('late', { clusterIP: '10.247.3.10' }));
    expect(taken.body).toMatchObject({
      code: 422,
      reason: 'Invalid',
      details: { causes: [{ field: 'spec.clusterIPs' }] },
    });
    expect(taken.body.message).toMatch(
      /failed to allocate IP 10\.247\.3\.10: provided IP is already allocated/,
    );
    const outside = await served.send('POST', SERVICES, service('late', { clusterIP: '10.1.2.3' }));
    expect(outside.body.message).toMatch(
      /failed to allocate IP 10\.1\.2\.3: the provided IP \(10\.1\.2\.3\) is not in the valid range\. The range of valid IPs is 10\.247\.0\.0\/16/,
    );
    await served.send('DELETE', `${SERVICES}/chosen`);
    expect((await served.send('POST', SERVICES, service('late', { clusterIP: '10.247.3.10' }))).code).toBe(
      201,
    );
  });

  it('are not for headless and external names', async () => {
    const headless = await served.create(SERVICES, service('headless', { clusterIP: 'None' }));
    expect(headless.spec).toMatchObject({ clusterIP: 'None', clusterIPs: ['None'] });
    const external = await served.create(
      SERVICES,
      service('external', { type: 'ExternalName', externalName: 'a.example' }),
    );
    expect(external.spec.clusterIP).toBeUndefined();
  });

  it('stay when an update leaves them out, and cannot be changed', async () => {
    const made = await served.create(SERVICES, service('stays', { type: 'NodePort' }));
    const { body } = await served.send(
      'PUT',
      `${SERVICES}/stays`,
      service('stays', { type: 'NodePort', ports: [{ port: 80, name: 'a' }] }),
    );
    expect(body.spec.clusterIP).toBe(made.spec.clusterIP);
    expect((body.spec.ports as Ports)[0]?.nodePort).toBe((made.spec.ports as Ports)[0]?.nodePort);
    const changed = await served.send(
      'PUT',
      `${SERVICES}/stays`,
      service('stays', { type: 'NodePort', clusterIP: '10.247.9.9' }),
    );
    expect(changed.code).toBe(422);
    expect(changed.body.message).toMatch(/may not change once set/);
  });

  it('are free again after a refused and a dry run', async () => {
    const spec = { clusterIP: '10.247.4.4', type: 'NodePort', ports: [{ port: 80, nodePort: 30444 }] };
    expect((await served.send('POST', `${SERVICES}?dryRun=All`, service('dry', spec))).code).toBe(201);
    expect((await served.send('POST', SERVICES, service('kubernetes', spec))).code).toBe(409);
    expect((await served.send('POST', SERVICES, service('dry', spec))).code).toBe(201);
  });

  it('never go to two of many at once', async () => {
    const names = Array.from({ length: 60 }, (_, n) => `many-${n}`);
    const made = await Promise.all(
      names.map((name) => served.create(SERVICES, service(name, { type: 'NodePort' }))),
    );
    expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(60);
    expect(new Set(made.map(({ spec }) => (spec.ports as Ports)[0]?.nodePort)).size).toBe(60);
    const same = await Promise.all(
      ['x', 'y'].map((name) => served.send('POST', SERVICES, service(name, { clusterIP: '10.247.5.5' }))),
    );
    expect(same.map(({ code }) => code).sort()).toEqual([201, 422]);
  });
});

// Those that are chosen are of the band that is given out last (KEP-3668), so that none above can have drawn them.
describe('node ports', () => {
  const nodePort = (port: number, nodePort: number, more: object = {}) => ({ port, nodePort, ...more });

  it('may be chosen, once, inside the range', async () => {
    await served.create(SERVICES, service('np', { type: 'NodePort', ports: [nodePort(80, 30020)] }));
    const taken = await served.send(
      'POST',
      SERVICES,
      service('np2', { type: 'NodePort', ports: [nodePort(80, 30020)] }),
    );
    expect(taken.body.message).toBe(
      'Service "np2" is invalid: spec.ports[0].nodePort: Invalid value: 30020: provided port is already allocated',
    );
    const outside = await served.send(
      'POST',
      SERVICES,
      service('np2', { type: 'NodePort', ports: [nodePort(80, 80)] }),
    );
    expect(outside.body.message).toMatch(
      /provided port is not in the valid range\. The range of valid ports is 30000-32767/,
    );
  });

  it('are one for both protocols of a port', async () => {
    const ports = [
      { name: 'udp', port: 53, protocol: 'UDP' },
      { name: 'tcp', port: 53, protocol: 'TCP' },
    ];
    const { spec } = await served.create(SERVICES, service('dns', { type: 'NodePort', ports }));
    const [udp, tcp] = spec.ports as Ports;
    expect(udp?.nodePort).toBe(tcp?.nodePort);
  });

  it('go when the type does not need them', async () => {
    const made = await served.create(
      SERVICES,
      service('shrinks', { type: 'NodePort', ports: [nodePort(80, 30050)] }),
    );
    const { body } = await served.send('PUT', `${SERVICES}/shrinks`, {
      ...made,
      spec: { ...made.spec, type: 'ClusterIP' },
    });
    expect((body.spec.ports as Ports)[0]?.nodePort).toBeUndefined();
    await served.create(SERVICES, service('grows', { type: 'NodePort', ports: [nodePort(80, 30050)] }));
  });

  it('include one for health checks of local load balancers', async () => {
    const { spec } = await served.create(
      SERVICES,
      service('lb', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }),
    );
    expect(spec.healthCheckNodePort).toBeGreaterThanOrEqual(30000);
  });
});

describe('IP families', () => {
  const MERGE = { 'content-type': 'application/merge-patch+json' };
  let dual: Served;
  beforeAll(async () => {
    dual = await startServed({ serviceCIDRs: ['10.247.0.0/16', 'fd00:10:247::/112'].map(Prefix.parse) });
  });
  afterAll(() => dual.stop());
  const both = (name: string) => service(name, { ipFamilyPolicy: 'PreferDualStack' });

  it('are one unless two are asked for, and then each has an address', async () => {
    const one = await dual.create(SERVICES, service('one'));
    expect(one.spec).toMatchObject({ ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
    const { spec } = await dual.create(SERVICES, both('two'));
    expect(spec.ipFamilies).toEqual(['IPv4', 'IPv6']);
    expect(spec.clusterIPs).toEqual([spec.clusterIP, expect.stringMatching(/^fd00:10:247::/)]);
  });

  it('are the first alone once the policy is SingleStack, and the second address is free again', async () => {
    const made = await dual.create(SERVICES, both('trimmed'));
    const [first, second] = made.spec.clusterIPs as string[];
    // What `kubectl patch` and `kubectl edit` send; the second writes back all that it has read.
    const patched = await dual.send(
      'PATCH',
      `${SERVICES}/trimmed`,
      { spec: { ipFamilyPolicy: 'SingleStack' } },
      MERGE,
    );
    expect(patched.code).toBe(200);
    expect(patched.body.spec).toMatchObject({
      clusterIP: first,
      clusterIPs: [first],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    const heir = service('heir', {
      ipFamilyPolicy: 'SingleStack',
      ipFamilies: ['IPv6'],
      clusterIP: second,
    });
    expect((await dual.create(SERVICES, heir)).spec.clusterIPs).toEqual([second]);
    const edited = await dual.send('PUT', `${SERVICES}/two`, {
      ...(await dual.send('GET', `${SERVICES}/two`)).body,
      spec: { ...(await dual.send('GET', `${SERVICES}/two`)).body.spec, ipFamilyPolicy: 'SingleStack' },
    });
    expect(edited.body.spec).toMatchObject({ ipFamilies: ['IPv4'], clusterIPs: [expect.any(String)] });
  });

  it('cannot be taken away without saying so, nor said to be one while others are named', async () => {
    await dual.create(SERVICES, both('kept'));
    const reduced = await dual.send(
      'PATCH',
      `${SERVICES}/kept`,
      { spec: { ipFamilies: ['IPv4'], clusterIPs: null } },
      MERGE,
    );
    expect(reduced.code).toBe(422);
    expect(reduced.body.message).toContain("must be set to 'SingleStack' when releasing the secondary");
  });

  it.each([undefined, 'RequireDualStack', 'PreferDualStack'])(
    'of a headless Service without selector are both, whatever the cluster has (policy %s)',
    async (ipFamilyPolicy) => {
      const name = `free-${ipFamilyPolicy ?? 'unsaid'}`.toLowerCase();
      const spec = { clusterIP: 'None', selector: undefined, ports: [{ port: 80 }], ipFamilyPolicy };
      const made = await served.create(SERVICES, service(name, spec));
      expect(made.spec).toMatchObject({
        clusterIPs: ['None'],
        ipFamilies: ['IPv4', 'IPv6'],
        ipFamilyPolicy: ipFamilyPolicy ?? 'RequireDualStack',
      });
      const labelled = await served.send(
        'PATCH',
        `${SERVICES}/${name}`,
        { metadata: { labels: { a: 'b' } } },
        MERGE,
      );
      expect(labelled.code).toBe(200);
    },
  );

  it('of one with a selector have to be those of the cluster', async () => {
    const asked = service('bound', { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' });
    expect((await served.send('POST', SERVICES, asked)).body.message).toContain(
      'not configured for dual-stack',
    );
  });
});

describe('the books', () => {
  const stored = (name: string, clusterIP: string): AnyObject => ({
    kind: 'Service',
    metadata: { name, namespace: 'default', uid: name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [] },
  });
  const open = () =>
    new ServiceAllocator({ ranges: [Prefix.parse('10.0.0.0/29')], nodePorts: { from: 30000, to: 30003 } });

  it('are made from what is stored, and say who claims the same', () => {
    const allocator = open();
    expect(allocator.adopt([stored('a', '10.0.0.1'), stored('b', '10.0.0.1')])).toEqual([
      'default/b: cluster IP 10.0.0.1 belongs to another Service',
    ]);
    // Giving back what it never had does not take it from its owner.
    allocator.release(RESOURCES.services, stored('b', '10.0.0.1'));
    expect(() => allocator.reserve(RESOURCES.services, stored('c', '10.0.0.1'), undefined)).toThrow(
      /already allocated/,
    );
  });

  it('are put right at start: what is stored stays taken, and a Service without its address gets one', async () => {
    const store = openSqliteStore(':memory:');
    const services = open();
    const registry = new Registry({ store, services, now: Date.now });
    const taken = stored('taken', '10.0.0.2');
    const { clusterIP: _ip, clusterIPs: _ips, ...spec } = taken.spec ?? {};
    const lacking = { ...stored('lacking', ''), spec };
    for (const one of [taken, lacking]) {
      const key = storeKeyOf({
        resource: RESOURCES.services,
        namespace: 'default',
        name: one.metadata.name ?? '',
      });
      await store.commit([{ key, value: encode(one) }]);
    }
    const lines: string[] = [];
    const log = lineLog(
      (line) => lines.push(line),
      () => new Date(),
    );
    await bootstrap(registry, [Prefix.parse('10.0.0.0/29')], { address: '192.0.2.1', port: 5444 }, log);
    expect(lines.join('')).toMatch(/lacked what it is entitled to.*lacking/);
    const { entries } = await store.list(prefixOf(RESOURCES.services));
    const addresses = entries.map((entry) => decode(entry).spec?.clusterIP);
    expect(new Set(addresses).size).toBe(3);
    expect(addresses).toContain('10.0.0.2');
    const late = stored('late', '10.0.0.2');
    expect(() => services.reserve(RESOURCES.services, late, undefined)).toThrow(/already allocated/);
    await store.close();
  });

  it('hand out every address and port, and then say that none is left', () => {
    const pool = new AddressPool(Prefix.parse('10.0.0.0/29'), Math.random);
    const addresses = Array.from({ length: 7 }, () => pool.allocate('x'));
    expect(new Set(addresses).size).toBe(7);
    expect(addresses.at(-1)).toBeUndefined();
    const ports = new PortPool({ from: 1, to: 40 }, Math.random);
    expect(new Set(Array.from({ length: 41 }, () => ports.allocate('x'))).size).toBe(41);
  });
});
