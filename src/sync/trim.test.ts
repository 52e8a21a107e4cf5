import { describe, expect, it } from 'vitest';
import { Addr } from '../ip/ip.ts';
import type { EndpointSlice, Service } from '../kube/objects.ts';
import { planService, serviceOfSlice } from '../proxy/proxy.ts';
import { ProxyMetrics } from './metrics.ts';
import { Planner } from './planner.ts';
import { sliceTrimmer, trimService } from './trim.ts';

const NODE = { name: 'n1', ips: [Addr.parse('192.168.0.11')], podCIDRs: [], zone: 'a' };

/** As a server sends it, with everything a plan depends on. */
const service = (rest: Service['spec'] = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'web',
    namespace: 'default',
    uid: 'u1',
    resourceVersion: '7',
    labels: { app: 'web' },
    annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8', note: 'x' },
    managedFields: [{ manager: 'kubectl', operation: 'Apply' }],
  },
  spec: {
    type: 'LoadBalancer',
    clusterIP: '10.247.0.9',
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, nodePort: 30080 }],
    externalIPs: ['203.0.113.1'],
    sessionAffinity: 'ClientIP',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 30999,
    ...rest,
  },
  status: { loadBalancer: { ingress: [{ ip: '100.64.1.1' }] } },
});

const slice: EndpointSlice = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    name: 'web-1',
    namespace: 'default',
    uid: 'u2',
    resourceVersion: '8',
    labels: { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'x' },
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' },
  },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [
    {
      addresses: ['172.16.0.2'],
      nodeName: 'n1',
      hints: { forZones: [{ name: 'a' }] },
      targetRef: { kind: 'Pod' },
    },
    { addresses: ['172.16.1.2'], nodeName: 'n2', hints: { forZones: [{ name: 'b' }] } },
    {
      addresses: ['172.16.2.2'],
      nodeName: 'n3',
      conditions: { ready: false, serving: true, terminating: true },
    },
  ],
};

describe('trimming', () => {
  it.each([
    ['with everything', service()],
    ['by topology', service({ externalTrafficPolicy: 'Cluster', sessionAffinity: 'None' })],
    ['headless', service({ clusterIP: 'None' })],
    ['without a spec', { metadata: { name: 'web', namespace: 'default' } }],
  ])('leaves the plan of a Service %s as it is', (_, whole) => {
    const trimmed = planService(NODE, trimService(whole), [sliceTrimmer()(slice)]);
    expect(trimmed).toEqual(planService(NODE, whole, [slice]));
  });

  it('leaves a Service of another proxy to it', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
    const whole = service();
    const others = { ...whole, metadata: { ...whole.metadata, labels } };
    expect(planService(NODE, trimService(others), []).plan).toBeUndefined();
  });

  it('keeps what tells an object from its next state, and when its change began', () => {
    const trimmed = sliceTrimmer()(slice);
    expect(trimmed.metadata).toMatchObject({ name: 'web-1', uid: 'u2', resourceVersion: '8' });
    expect(serviceOfSlice(trimmed)).toBe('default/web');
    const planner = new Planner(new ProxyMetrics('nftables'), () => undefined);
    planner.sliceIs(trimmed);
    expect(planner.takeTriggers()).toMatchObject([{ at: Date.parse('2026-01-01T00:00:00Z') }]);
  });

  it('drops the rest, and holds what many endpoints share once', () => {
    expect(JSON.stringify(trimService(service()))).not.toMatch(/managedFields|selector|note/);
    const trim = sliceTrimmer();
    const [one, other] = [trim(slice), trim(slice)];
    expect(one.endpoints[0]?.conditions).toBe(other.endpoints[1]?.conditions);
    expect(one.endpoints[0]).not.toHaveProperty('targetRef');
  });
});
