import { Fault } from '../../fault/fault.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import { type EndpointSlice, nameOf, type Pod } from '../../kube/objects.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import { serviceOfSlice } from '../../proxy/proxy.ts';
import type { Inventory } from '../../world/from-objects/from-objects.ts';
import { podIPsOf } from '../../world/from-objects/pod-addresses.ts';
import {
  type ClusterProfile,
  type ProfileSpec,
  profileOf,
  type Ranges,
  rangesOf,
  specOf,
} from '../../world/profile.ts';

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
  const moved = rangesOf(profile).map((one) => rangeFor(inventory, one, wanted).text);
  const ranges = moves ? { podCIDR: moved.join(',') } : {};
  const target = profileOf({ ...keptOf(profile), ...ranges, ...to }, profile.name);
  const after = rangesOf(target).map(({ podCIDR }) => podCIDR);
  const isRenumbered = rangesOf(profile).some(
    ({ podCIDR: before }) => !after.some((range) => range.covers(before)),
  );
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
function rangeFor({ nodes }: Inventory, { vpcCIDR, serviceCIDR }: Ranges, network: string): Prefix {
  const addresses = nodes.flatMap(({ status }) =>
    (status?.addresses ?? []).flatMap(({ address }) => (Addr.isAddr(address) ? [Addr.parse(address)] : [])),
  );
  const quarters = [1, 2, 3, 0].map((at) => vpcCIDR.subnet(vpcCIDR.length + 2, at));
  const free =
    network === 'eni'
      ? quarters.find((one) => !addresses.some((addr) => one.contains(addr)))
      : PRIVATE.filter(({ family }) => family === vpcCIDR.family).find(
          (one) => !one.overlaps(vpcCIDR) && !one.overlaps(serviceCIDR),
        );
  if (free !== undefined) return free;
  throw new Fault('FE011', 'there is no range left for pods', 'add --to podCIDR=…');
}

const PRIVATE = [
  ...['172.16.0.0/16', '172.20.0.0/16', '10.0.0.0/16', '10.128.0.0/16'],
  ...['fd00:172:16::/48', 'fd00:172:20::/48', 'fd00:10::/48', 'fd00:10:128::/48'],
].map((text) => Prefix.parse(text));

/** The part of a range that one node has. */
const partOf = (range: Prefix, at: number): Prefix => range.subnet(range.family === 4 ? 24 : 64, at);

/** Below it, bridges and tunnels have their addresses. */
const FIRST = 10;

function renumbered(inventory: Inventory, profile: ClusterProfile): Inventory {
  const { network } = profile;
  const all = rangesOf(profile).map(({ podCIDR }) => podCIDR);
  const addresses = new Map<string, string>();
  const placed = new Map<string, number>();
  const nodes = inventory.nodes.map((node, at) => {
    const { podCIDRs: _, podCIDR: __, ...spec } = node.spec ?? {};
    const podCIDRs = all.map((range) => partOf(range, at + 1).text);
    const [podCIDR = ''] = podCIDRs;
    return network === 'eni' ? { ...node, spec } : { ...node, spec: { ...spec, podCIDR, podCIDRs } };
  });
  const move = (pod: Pod): Pod => {
    const { nodeName = '', hostNetwork } = pod.spec ?? {};
    const old = podIPsOf(pod);
    const at = inventory.nodes.findIndex((node) => nameOf(node) === nodeName);
    if (hostNetwork || old.length === 0 || at < 0) return pod;
    const group = network === 'eni' ? '' : nodeName;
    const ordinal = placed.get(group) ?? 0;
    placed.set(group, ordinal + 1);
    const podIPs = old.flatMap((text) => {
      const range = all.find(({ family }) => (family === 6) === text.includes(':'));
      if (range === undefined) return [];
      const address = (network === 'eni' ? range : partOf(range, at + 1)).at(FIRST + ordinal).text;
      addresses.set(Addr.isAddr(text) ? Addr.parse(text).text : text, address);
      return [{ ip: address }];
    });
    const [podIP] = podIPs;
    return podIP === undefined ? pod : { ...pod, status: { ...pod.status, podIP: podIP.ip, podIPs } };
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
