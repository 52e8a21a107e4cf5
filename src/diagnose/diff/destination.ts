import { Fault } from '../../fault/fault.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import { type EndpointSlice, nameOf, type Pod } from '../../kube/objects.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import { serviceOfSlice } from '../../proxy/proxy.ts';
import type { Inventory } from '../../world/from-objects/from-objects.ts';
import { type ClusterProfile, type ProfileSpec, profileOf, specOf } from '../../world/profile.ts';

/** What the cluster is to become, as objects and a profile. */
export interface Destination {
  readonly inventory: Inventory;
  readonly profile: ClusterProfile;
  /** Pods have other addresses there than here. */
  readonly isRenumbered: boolean;
}

/**
 * The cluster with these fields of the profile changed. Where the new network wants pods at other addresses they get some,
 * and settings that had the default of the old cloud and network get that of the new ones. Throws {@link Fault} FE006 or
 * FE011 for what cannot be.
 */
export function destinationOf(
  { inventory, profile }: { readonly inventory: Inventory; readonly profile: ClusterProfile },
  to: Readonly<Record<string, string>>,
): Destination {
  if (Object.keys(to).length === 0) throw new Fault('FE006', 'nothing is to change', 'add --to key=value');
  const { network: wanted = profile.network } = to;
  const moves = (wanted === 'eni') !== (profile.network === 'eni') && to.podCIDR === undefined;
  const ranges = moves ? { podCIDR: rangeFor(inventory, profile, wanted).text } : {};
  const target = profileOf({ ...keptOf(profile), ...ranges, ...to }, profile.name);
  const isRenumbered = !target.podCIDR.covers(profile.podCIDR);
  return {
    inventory: isRenumbered ? renumbered(inventory, target) : inventory,
    profile: target,
    isRenumbered,
  };
}

/** The fields somebody chose, as far as that can be told: those that are not what the cloud and network would bring. */
function keptOf(profile: ClusterProfile): ProfileSpec {
  const spec = specOf(profile);
  const { masqueradeAll, detectLocal, ...rest } = spec;
  const usual = profileOf(rest);
  return {
    ...rest,
    ...(masqueradeAll === usual.masqueradeAll ? {} : { masqueradeAll }),
    ...(detectLocal === usual.detectLocal ? {} : { detectLocal }),
  };
}

/** Where pods could have their addresses: with eni a quarter of the VPC without a node, else a private range apart from it. */
function rangeFor({ nodes }: Inventory, { vpcCIDR, serviceCIDR }: ClusterProfile, network: string): Prefix {
  const addresses = nodes.flatMap(({ status }) =>
    (status?.addresses ?? []).flatMap(({ address }) => (Addr.isAddr(address) ? [Addr.parse(address)] : [])),
  );
  const quarters = [1, 2, 3, 0].map((at) => vpcCIDR.subnet(vpcCIDR.length + 2, at));
  const free =
    network === 'eni'
      ? quarters.find((one) => !addresses.some((addr) => one.contains(addr)))
      : PRIVATE.find((one) => !one.overlaps(vpcCIDR) && !one.overlaps(serviceCIDR));
  if (free !== undefined) return free;
  throw new Fault('FE011', 'there is no range left for pods', 'add --to podCIDR=…');
}

const PRIVATE = ['172.16.0.0/16', '172.20.0.0/16', '10.0.0.0/16', '10.128.0.0/16'].map((text) =>
  Prefix.parse(text),
);

/** Below it, bridges and tunnels have their addresses. */
const FIRST = 10;

function renumbered(inventory: Inventory, { network, podCIDR }: ClusterProfile): Inventory {
  const addresses = new Map<string, string>();
  const placed = new Map<string, number>();
  const nodes = inventory.nodes.map((node, at) => {
    const { podCIDRs: _, podCIDR: __, ...spec } = node.spec ?? {};
    return network === 'eni'
      ? { ...node, spec }
      : { ...node, spec: { ...spec, podCIDR: podCIDR.subnet(24, at + 1).text } };
  });
  const move = (pod: Pod): Pod => {
    const { nodeName = '', hostNetwork } = pod.spec ?? {};
    const old = pod.status?.podIP;
    const at = inventory.nodes.findIndex((node) => nameOf(node) === nodeName);
    if (hostNetwork || old === undefined || at < 0) return pod;
    const group = network === 'eni' ? '' : nodeName;
    const ordinal = placed.get(group) ?? 0;
    placed.set(group, ordinal + 1);
    const range = network === 'eni' ? podCIDR : podCIDR.subnet(24, at + 1);
    const address = range.at(FIRST + ordinal).text;
    addresses.set(old, address);
    const { podIPs: _, ...status } = pod.status ?? {};
    return { ...pod, status: { ...status, podIP: address } };
  };
  const pods = inventory.pods.map(move);
  return { ...inventory, nodes, pods, slices: slicesAfter(inventory, addresses) };
}

/** Slices of pods are derived anew; those somebody wrote for a Service without a selector follow their pods. */
function slicesAfter(
  { services, slices }: Inventory,
  addresses: ReadonlyMap<string, string>,
): EndpointSlice[] {
  const derived = new Set(
    services.filter(hasSelector).map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`),
  );
  return slices
    .filter((slice) => !derived.has(serviceOfSlice(slice)))
    .map((slice) => ({
      ...slice,
      endpoints: slice.endpoints.map((one) => ({
        ...one,
        addresses: one.addresses.map((address) => addresses.get(address) ?? address),
      })),
    }));
}
