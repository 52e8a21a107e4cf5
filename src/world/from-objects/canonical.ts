/*
 * An address of IPv6 can be written in many ways, and manifests do. From here on each has one (RFC 5952), so that texts can be
 * compared.
 */
import { Addr } from '../../ip/ip.ts';
import type { EndpointSlice, Service } from '../../kube/objects.ts';

const canonical = (text: string): string => {
  const isSix = text.includes(':') && Addr.isAddr(text);
  return isSix ? Addr.parse(text).text : text;
};

export function canonicalService(service: Service): Service {
  const { spec = {}, status } = service;
  const { clusterIP, clusterIPs, externalIPs } = spec;
  const ingress = status?.loadBalancer?.ingress;
  const texts = [
    clusterIP ?? [],
    clusterIPs ?? [],
    externalIPs ?? [],
    (ingress ?? []).map(({ ip }) => ip ?? ''),
  ];
  if (texts.flat().every((text) => canonical(text) === text)) return service;
  return {
    ...service,
    spec: {
      ...spec,
      ...(clusterIP === undefined ? {} : { clusterIP: canonical(clusterIP) }),
      ...(clusterIPs === undefined ? {} : { clusterIPs: clusterIPs.map(canonical) }),
      ...(externalIPs === undefined ? {} : { externalIPs: externalIPs.map(canonical) }),
    },
    ...(ingress === undefined
      ? {}
      : {
          status: {
            ...status,
            loadBalancer: {
              ...status?.loadBalancer,
              ingress: ingress.map((one) => (one.ip === undefined ? one : { ...one, ip: canonical(one.ip) })),
            },
          },
        }),
  };
}

export function canonicalSlice(slice: EndpointSlice): EndpointSlice {
  if (slice.addressType !== 'IPv6') return slice;
  const endpoints = slice.endpoints.map((one) => ({ ...one, addresses: one.addresses.map(canonical) }));
  return { ...slice, endpoints };
}
