import { describe, expect, it } from 'vitest';
import { Addr, Prefix } from '../ip/ip.ts';
import type { EndpointSlice, Service } from '../kube/objects.ts';
import type { NodeFacts } from './config.ts';
import { planService } from './plan-service.ts';

const NODE: NodeFacts = {
  name: 'n1',
  ips: [Addr.parse('192.168.0.11')],
  podCIDRs: [Prefix.parse('172.16.0.0/24')],
};

const service = (spec: Service['spec'], rest: Partial<Service> = {}): Service => ({
  metadata: { name: 'web', namespace: 'shop' },
  spec: { clusterIP: '10.247.0.5', ports: [{ name: 'http', port: 80 }], ...spec },
  ...rest,
});

const slice = (addresses: readonly string[], rest: Partial<EndpointSlice> = {}): EndpointSlice => ({
  metadata: { namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080 }],
  endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'n1' })),
  ...rest,
});

/** The plan's ports with addresses as text, which is what one wants to read in a failure. */
const plan = (object: Service, slices: readonly EndpointSlice[] = []) => {
  const { plan: made, problems } = planService(NODE, object, slices);
  return { ports: JSON.parse(JSON.stringify(made?.ports ?? null)), health: made?.healthCheck, problems };
};

describe('planService', () => {
  it.each([
    ['headless', service({ clusterIP: 'None' })],
    ['ExternalName', service({ type: 'ExternalName' })],
    ['without an address yet', service({ clusterIP: '' })],
    [
      "another proxy's",
      service({}, { metadata: { name: 'web', labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } }),
    ],
  ])('leaves out a Service that is %s', (_, object) => {
    expect(plan(object)).toMatchObject({ ports: null, problems: [] });
  });

  it('names a port as kube-proxy does and joins slices by port name', () => {
    const { ports } = plan(service({}), [slice(['172.16.0.9', '172.16.0.2']), slice(['172.16.0.2'])]);
    expect(ports).toMatchObject([{ name: 'shop/web:http', protocol: 'TCP', clusterIP: '10.247.0.5:80' }]);
    expect(ports[0].cluster).toEqual([
      { endpoint: '172.16.0.2:8080', local: true },
      { endpoint: '172.16.0.9:8080', local: true },
    ]);
  });

  it('gives each family its own addresses and slices', () => {
    const dual = service({ clusterIPs: ['10.247.0.5', 'fd00::5'], externalIPs: ['5.5.5.5', 'fd05::5'] });
    const six = slice(['fd16::2'], { addressType: 'IPv6' });
    const { ports } = plan(dual, [slice(['172.16.0.2']), six]);
    expect(ports).toMatchObject([
      { family: 4, externalIPs: ['5.5.5.5'], cluster: [{ endpoint: '172.16.0.2:8080' }] },
      { family: 6, externalIPs: ['fd05::5'], cluster: [{ endpoint: '[fd16::2]:8080' }] },
    ]);
  });

  it("ignores a balancer's address in ipMode Proxy", () => {
    const ingress = [{ ip: '100.64.1.1' }, { ip: '100.64.1.2', ipMode: 'Proxy' }, { hostname: 'x' }];
    const { ports } = plan(service({ type: 'LoadBalancer' }, { status: { loadBalancer: { ingress } } }));
    expect(ports[0].loadBalancerIPs).toEqual(['100.64.1.1']);
  });

  it.each<[string, readonly string[], readonly string[] | undefined]>([
    ['none', [], undefined],
    ['everybody', ['0.0.0.0/0', '10.0.0.0/8'], undefined],
    [
      'without those another covers',
      ['10.1.0.0/16', '10.0.0.0/8', '172.0.0.0/8'],
      ['10.0.0.0/8', '172.0.0.0/8'],
    ],
    ['of the other family only', ['fd00::/8'], undefined],
    [
      "with the node's own, then the balancer's address too",
      ['192.168.0.0/24'],
      ['192.168.0.0/24', '100.64.1.1/32'],
    ],
  ])('source ranges: %s', (_, loadBalancerSourceRanges, expected) => {
    const status = { loadBalancer: { ingress: [{ ip: '100.64.1.1' }] } };
    const { ports } = plan(
      service({ type: 'LoadBalancer', loadBalancerSourceRanges: [...loadBalancerSourceRanges] }, { status }),
    );
    expect(ports[0].sourceRanges).toEqual(expected);
  });

  it('keeps in mind whose UDP flows go on although it is given no new ones', () => {
    const ports = [{ port: 53, protocol: 'UDP' as const, name: 'dns' }];
    const endpoints = [
      { addresses: ['172.16.0.2'], nodeName: 'n1' },
      {
        addresses: ['172.16.0.3'],
        nodeName: 'n1',
        conditions: { ready: false, serving: true, terminating: true },
      },
      { addresses: ['172.16.0.4'], nodeName: 'n1', conditions: { ready: false, serving: false } },
    ];
    const some = slice([], { endpoints, ports: [{ name: 'dns', port: 53 }] });
    expect(plan(service({ ports }), [some]).ports[0].spared).toEqual(['172.16.0.3:53']);
    const tcp = slice([], { endpoints });
    expect(plan(service({}), [tcp]).ports[0].spared).toBeUndefined();
  });

  it('counts the ready endpoints of this node for the balancer', () => {
    const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30999 };
    const far = { addresses: ['172.16.1.2'], nodeName: 'n2' };
    const unready = { addresses: ['172.16.0.3'], nodeName: 'n1', conditions: { ready: false } };
    const mixed = slice([], { endpoints: [{ addresses: ['172.16.0.2'], nodeName: 'n1' }, far, unready] });
    expect(plan(service(spec), [mixed]).health).toEqual({ port: 30999, localEndpoints: { 4: 1, 6: 0 } });
  });

  it('keeps the rest of a Service when a part of it makes no sense', () => {
    const { ports, problems } = plan(
      service({
        ports: [
          { name: 'http', port: 80 },
          { name: 'bad', port: 0 },
        ],
      }),
    );
    expect(ports).toHaveLength(1);
    expect(problems).toEqual([{ service: 'shop/web', message: 'port bad: 0 is not a port' }]);
  });

  it('keeps the port when its endpoints make no sense', () => {
    const { ports, problems } = plan(service({}), [slice(['nonsense'])]);
    expect(ports).toMatchObject([{ anyEndpoints: false }]);
    expect(problems[0]?.message).toContain("'nonsense' is not an IP address");
  });

  it('reports a Service whose address is none', () => {
    expect(plan(service({ clusterIP: '10.0.0' })).problems[0]?.message).toContain(
      "'10.0.0' is not an IP address",
    );
  });
});
