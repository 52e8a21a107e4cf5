import { Addr, Endpoint, Prefix, portOf } from '../../ip/ip.ts';
import type { Pod } from '../../kube/objects.ts';
import { type Addressed, addressesOf, inFamily, type NodeAddresses, type NodeFacts } from '../facts.ts';
import type { HostPort } from '../policy.ts';
import type { ClusterProfile } from '../profile.ts';

/** `0.0.0.0`, `::` and an empty text are every address. */
const EVERY = /^(0\.0\.0\.0|::|)$/;

/** What the pod's containers ask to be led to by ports of the node. */
export function hostPortsOf(
  { pod, ...known }: Addressed<{ readonly address: Addr }> & { readonly pod: Pod },
  node: NodeFacts,
  { network }: ClusterProfile,
): HostPort[] {
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.flatMap(({ hostPort, hostIP = '', containerPort, protocol }) =>
    addressesOf(known).flatMap((address): HostPort[] => {
      const addr = EVERY.test(hostIP) || !Addr.isAddr(hostIP) ? undefined : Addr.parse(hostIP);
      if (!hostPort || (addr !== undefined && addr.family !== address.family)) return [];
      const { podCIDR } = inFamily<NodeAddresses>(node, address.family) ?? {};
      return [
        {
          protocol: protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP',
          port: portOf(hostPort),
          ...(addr === undefined ? {} : { addr }),
          to: new Endpoint(address, portOf(containerPort)),
          near: network === 'vpc' && podCIDR !== undefined ? podCIDR : Prefix.host(address),
        },
      ];
    }),
  );
}
