/**
 * What becomes of flows and connections that last when their endpoint, or their Service, goes: one suite for the daemon in
 * every mode. A socket that keeps asking is the client that suffers from a stale conntrack entry: each question renews it.
 */
import { expect, it } from 'vitest';
import type { HttpKubeClient } from '../../src/client/http-client.ts';
import type { Service } from '../../src/kube/objects.ts';
import { RESOURCES } from '../../src/kube/resources.ts';
import type { ProxyMode } from '../../src/proxy/proxy.ts';
import { type Answer, type Bed, type HeldConnection, pods } from './bed.ts';
import { eventually } from './eventually.ts';
import { type PodName, type ServiceParts, type SliceParts, service, slice } from './scenario.ts';

/** The bed whose n1 a daemon of the mode works on, by the API it watches. */
interface Ground {
  readonly bed: Bed;
  readonly client: HttpKubeClient;
}

/** A guest programs slowly; here each takes milliseconds. */
const PATIENCE = 15_000;
/** KEP-1669: it answers to the end, and gets nothing new while others are ready. */
const ENDING = { ready: false, serving: true, terminating: true };
const STOPPED = { ready: false, serving: false, terminating: true };

export function describeLastingFlows(mode: ProxyMode, ground: () => Ground): void {
  const create = async (parts: ServiceParts, to: readonly PodName[]) => {
    const { client } = ground();
    const object = service(parts);
    const created = await client.create(RESOURCES.services, object, 'default');
    // Nobody but a balancer's controller writes the status: what a Service is created with is dropped.
    if (parts.ingress)
      await client.update(RESOURCES.services, { ...created, status: object.status }, 'status');
    for (const family of familiesOf(created)) {
      await client.create(RESOURCES.endpointslices, slice(parts.name, to, { family }), 'default');
    }
  };
  const repoint = async (name: string, to: readonly PodName[], rest: SliceParts = {}) => {
    const { client } = ground();
    const service = await client.get<Service>(RESOURCES.services, name, 'default');
    for (const family of familiesOf(service)) {
      const key = { name: `${name}-${family}`, namespace: 'default' };
      const { endpoints } = slice(name, to, { ...rest, family });
      await client.patch(RESOURCES.endpointslices, key, 'merge', { endpoints });
    }
  };
  const flow = (from: 'pod2' | 'client', to: string) => ground().bed.hold(from, to, 'udp');
  const udp = { ports: [{ port: 53, protocol: 'UDP' as const }] };

  it('moves UDP flows at once when their endpoint goes, at every address of the Service', async () => {
    const spec = {
      type: 'LoadBalancer',
      ipFamilyPolicy: 'RequireDualStack' as const,
      clusterIPs: ['10.247.2.41', 'fd00:247::241'],
      externalIPs: ['203.0.113.41'],
      ports: [{ port: 53, protocol: 'UDP' as const, nodePort: 30041 }],
    };
    await create({ name: 'moved', clusterIP: '10.247.2.41', ingress: ['100.64.1.41'], spec }, ['pod1']);
    const flows = await Promise.all([
      flow('pod2', '10.247.2.41:53'),
      flow('pod2', '[fd00:247::241]:53'),
      flow('client', '192.168.0.11:30041'),
      flow('client', '100.64.1.41:53'),
      flow('client', '203.0.113.41:53'),
    ]);
    expect(await comeTo(flows, 'pod1')).toEqual(flows.map(() => 'pod1'));
    await repoint('moved', ['pod3']);
    expect(await comeTo(flows, 'pod3')).toEqual(flows.map(() => 'pod3'));
    await repoint('moved', []);
    expect(await comeTo(flows, 'refused')).toEqual(flows.map(() => 'refused'));
    await repoint('moved', ['pod1']);
    expect(await comeTo(flows, 'pod1')).toEqual(flows.map(() => 'pod1'));
  });

  it('ends a UDP flow with its Service, and takes it up again with another of the address', async () => {
    await create({ name: 'deleted', clusterIP: '10.247.2.42', spec: udp }, ['pod1']);
    const flows = [await flow('pod2', '10.247.2.42:53')];
    expect(await comeTo(flows, 'pod1')).toEqual(['pod1']);
    const { client } = ground();
    await client.delete(RESOURCES.services, { name: 'deleted', namespace: 'default' });
    expect(await comeTo(flows, 'timeout')).toEqual(['timeout']);
    await create({ name: 'heir', clusterIP: '10.247.2.42', spec: udp }, ['pod3']);
    expect(await comeTo(flows, 'pod3')).toEqual(['pod3']);
  });

  it('keeps flows and connections with an endpoint that is ending, and begins none there', async () => {
    const { bed } = ground();
    await create({ name: 'calls', clusterIP: '10.247.2.43' }, ['pod1']);
    await create({ name: 'names', clusterIP: '10.247.2.44', spec: udp }, ['pod1']);
    await create({ name: 'witness', clusterIP: '10.247.2.45', spec: udp }, ['pod1']);
    /** Where three new ones come to, once all come to the pod. */
    const begun = (to: string, protocol: 'tcp' | 'udp', pod: string) =>
      eventually(
        async () => pods(await bed.dial('pod2', to, { protocol, times: 3 })),
        (got) => got.join() === pod,
        PATIENCE,
      );
    expect(await begun('10.247.2.43:80', 'tcp', 'pod1')).toEqual(['pod1']);
    const connection = await bed.hold('pod2', '10.247.2.43:80');
    const [names, witness] = [await flow('pod2', '10.247.2.44:53'), await flow('pod2', '10.247.2.45:53')];
    expect(await comeTo([connection, names, witness], 'pod1')).toEqual(['pod1', 'pod1', 'pod1']);

    for (const name of ['calls', 'names']) {
      await repoint(name, ['pod1', 'pod3'], { conditions: { pod1: ENDING } });
    }
    expect(await begun('10.247.2.43:80', 'tcp', 'pod3')).toEqual(['pod3']);
    expect(await begun('10.247.2.44:53', 'udp', 'pod3')).toEqual(['pod3']);
    // Sweeps follow one another: once this one's flow has moved, what was to go before it has gone.
    await repoint('witness', ['pod3']);
    expect(await comeTo([witness], 'pod3')).toEqual(['pod3']);
    expect(place(await connection.ask())).toBe('pod1');
    // kube-proxy takes a destination by UDP out of IPVS at once, and IPVS forgets its flows (expire_nodest_conn).
    expect(place(await names.ask())).toBe(mode === 'ipvs' ? 'pod3' : 'pod1');

    for (const name of ['calls', 'names']) {
      await repoint(name, ['pod1', 'pod3'], { conditions: { pod1: STOPPED } });
    }
    expect(await comeTo([names], 'pod3')).toEqual(['pod3']);
    expect(place(await connection.ask())).toBe('pod1');
  });
}

const familiesOf = ({ spec }: Service): readonly (4 | 6)[] => (spec?.clusterIPs?.length === 2 ? [4, 6] : [4]);

/** Asks through each until all have come to a pod or a refusal; where they are then. */
function comeTo(held: readonly HeldConnection[], goal: string): Promise<string[]> {
  const ask = () => Promise.all(held.map(async (one) => place(await one.ask())));
  return eventually(ask, (places) => places.every((one) => one === goal), PATIENCE);
}

const place = (answer: Answer | undefined): string =>
  typeof answer === 'object' ? answer.pod : (answer ?? 'ended');
