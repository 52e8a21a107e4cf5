import { Addr, type Protocol, portOf } from '../../ip/ip.ts';
import type { Container, EndpointSlice, Pod, Probe } from '../../kube/objects.ts';
import type { Listener } from '../world.ts';
import { podIPsOf } from './pod-addresses.ts';

/** The ports by which Services expect each address to listen, by the address in its canonical form (RFC 5952). */
export type ExpectedPorts = ReadonlyMap<string, readonly Listener[]>;

export function expectedPorts(slices: Iterable<EndpointSlice>): ExpectedPorts {
  const expected = new Map<string, Listener[]>();
  for (const { endpoints, ports } of slices) {
    const listeners = (ports ?? []).flatMap(({ port, protocol }) => listenerAt(port, protocol));
    for (const address of (endpoints ?? []).flatMap(({ addresses }) => addresses)) {
      const key = keyOfAddress(address);
      expected.set(key, [...(expected.get(key) ?? []), ...listeners]);
    }
  }
  return expected;
}

const keyOfAddress = (text: string): string => (Addr.isAddr(text) ? Addr.parse(text).text : text);

/**
 * Where a pod's processes listen: at the ports its containers declare and its probes ask. Declaring is optional in
 * Kubernetes, so a pod that declares none is taken to listen where Services send ({@link Listener.isGuess}).
 */
export function listenersOf(pod: Pod, expected: ExpectedPorts): Listener[] {
  const declared = declaredPorts(pod);
  const known =
    declared.length > 0
      ? declared
      : podIPsOf(pod)
          .flatMap((ip) => expected.get(keyOfAddress(ip)) ?? [])
          .map((one) => ({ ...one, isGuess: true as const }));
  return [...new Map(known.map((one) => [`${one.protocol} ${one.port}`, one])).values()];
}

/** Whether its containers say anything of where they listen. */
export const declaresPorts = (pod: Pod): boolean => declaredPorts(pod).length > 0;

function declaredPorts({ spec }: Pod): Listener[] {
  const { containers = [], initContainers = [] } = spec ?? {};
  const serving = [
    ...containers,
    ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always'),
  ];
  return serving.flatMap((container) => [...declaredBy(container), ...probedOf(container)]);
}

const declaredBy = ({ ports = [] }: Container): Listener[] =>
  ports.flatMap(({ containerPort, protocol }) => listenerAt(containerPort, protocol));

function probedOf(container: Container): Listener[] {
  const probes: (Probe | undefined)[] = [
    container.readinessProbe,
    container.livenessProbe,
    container.startupProbe,
  ];
  return probes.flatMap((probe) => {
    const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
    return typeof port === 'number' ? listenerAt(port, 'TCP') : [];
  });
}

function listenerAt(port: number | undefined, protocol: string = 'TCP'): Listener[] {
  if (port === undefined || port < 1 || port > 65535) return [];
  return [{ port: portOf(port), protocol: protocolOf(protocol) }];
}

const protocolOf = (text: string): Protocol => (text === 'UDP' || text === 'SCTP' ? text : 'TCP');
