import { Fault } from '../fault/fault.ts';
import { type Addr, type Family, Prefix } from '../ip/ip.ts';

export const CLOUDS = ['cce', 'ack', 'tke', 'generic'] as const;
export const NETWORKS = ['tunnel', 'vpc', 'eni'] as const;
export const PROXY_MODES = ['iptables', 'ipvs', 'nftables'] as const;
export const POD_LINKS = ['bridged', 'routed'] as const;
export const LOCAL_DETECTORS = [
  'ClusterCIDR',
  'NodeCIDR',
  'BridgeInterface',
  'InterfaceNamePrefix',
  'None',
] as const;
/** What forwards Services unless something replaces it. */
export const KUBE_PROXY = 'kube-proxy';

export type Cloud = (typeof CLOUDS)[number];
/**
 * How pods reach each other. `tunnel`: routed veths, VXLAN between nodes. `vpc`: one bridge a node, pod ranges routed by
 * the VPC. `eni`: pods have addresses of the VPC behind a second interface of their node.
 */
export type Network = (typeof NETWORKS)[number];
/** With the network `vpc`: whether the pods of a node share a bridge, or have a routed link each. */
export type PodLinks = (typeof POD_LINKS)[number];
export type ProxyMode = (typeof PROXY_MODES)[number];
/**
 * How kube-proxy knows a pod of its node (`detectLocalMode`). The interfaces are those the World's pods have: their bridge,
 * and the prefix of their links.
 */
export type LocalDetector = (typeof LOCAL_DETECTORS)[number];

export interface KubernetesVersion {
  readonly major: number;
  readonly minor: number;
}

/** The ranges of one address family. */
export interface Ranges {
  /** The addresses of all pods (the container CIDR); inside `vpcCIDR` with the network `eni`, apart from it otherwise. */
  readonly podCIDR: Prefix;
  readonly serviceCIDR: Prefix;
  readonly vpcCIDR: Prefix;
}

/** The facts of a cluster that its objects do not tell. */
export interface ClusterProfile extends Ranges {
  readonly name: string;
  readonly cloud: Cloud;
  readonly network: Network;
  readonly proxyMode: ProxyMode;
  readonly kubernetesVersion: KubernetesVersion;
  /** The ranges of the other family, in a dual-stack cluster. */
  readonly secondary?: Ranges;
  /** kube-proxy --masquerade-all */
  readonly masqueradeAll: boolean;
  readonly detectLocal: LocalDetector;
  /** kube-proxy --nodeport-addresses; every local address if empty. */
  readonly nodePortAddresses: 'primary' | readonly Prefix[];
  /** kube-proxy --iptables-localhost-nodeports: node ports answer on 127.0.0.1 as well, in iptables mode. */
  readonly localhostNodePorts: boolean;
  /** {@link KUBE_PROXY}, or the name of what forwards Services in its place, which is not modelled. */
  readonly serviceProxy: string;
  readonly podLinks: PodLinks;
  /** Whether what a bridge switches passes netfilter (net.bridge.bridge-nf-call-iptables, of br_netfilter). */
  readonly bridgeNetfilter: boolean;
}

/** A profile as it is written; whatever is left out has the cloud's default. */
export interface ProfileSpec {
  readonly cloud?: string;
  readonly network?: string;
  readonly proxyMode?: string;
  readonly kubernetesVersion?: string;
  /** `IPv4`, `IPv6`, or both with a comma between: the first is the cluster's primary one. */
  readonly ipFamilies?: string;
  /** One range, or one a family with a comma between, as Kubernetes' `--cluster-cidr` has it; so the two below. */
  readonly podCIDR?: string;
  readonly serviceCIDR?: string;
  readonly vpcCIDR?: string;
  readonly masqueradeAll?: boolean | string;
  readonly detectLocal?: string;
  /** `all`, `primary`, or prefixes with commas between. */
  readonly nodePortAddresses?: string;
  readonly localhostNodePorts?: boolean | string;
  readonly serviceProxy?: string;
  readonly podLinks?: string;
  readonly bridgeNetfilter?: boolean | string;
}

const FIELDS: readonly (keyof ProfileSpec)[] = [
  'cloud',
  'network',
  'proxyMode',
  'kubernetesVersion',
  'ipFamilies',
  'podCIDR',
  'serviceCIDR',
  'vpcCIDR',
  'masqueradeAll',
  'detectLocal',
  'nodePortAddresses',
  'localhostNodePorts',
  'serviceProxy',
  'podLinks',
  'bridgeNetfilter',
];

/** What a new cluster of each cloud gets when its maker says nothing. */
const DEFAULTS: Readonly<Record<Cloud, { network: Network; proxyMode: ProxyMode }>> = {
  cce: { network: 'tunnel', proxyMode: 'iptables' },
  ack: { network: 'eni', proxyMode: 'ipvs' },
  tke: { network: 'vpc', proxyMode: 'iptables' },
  generic: { network: 'tunnel', proxyMode: 'nftables' },
};

/** Throws {@link Fault} FE006 for a value that cannot be read, FE011 for values that contradict each other. */
export function profileOf(spec: ProfileSpec, name = 'default'): ClusterProfile {
  for (const key of Object.keys(spec)) oneOf('profile field', key, FIELDS);
  const cloud = oneOf('cloud', spec.cloud ?? 'generic', CLOUDS);
  const network = oneOf('network', spec.network ?? DEFAULTS[cloud].network, NETWORKS);
  // CCE runs kube-proxy with masquerade-all and without a detector of local traffic; its ENI clusters (Turbo) do not.
  const masquerades = cloud === 'cce' && network !== 'eni';
  const profile: ClusterProfile = {
    name,
    cloud,
    network,
    proxyMode: oneOf('proxyMode', spec.proxyMode ?? DEFAULTS[cloud].proxyMode, PROXY_MODES),
    kubernetesVersion: parseVersion(spec.kubernetesVersion ?? '1.33'),
    ...rangesOfSpec(spec, network),
    masqueradeAll: spec.masqueradeAll === undefined ? masquerades : flag('masqueradeAll', spec.masqueradeAll),
    detectLocal: oneOf(
      'detectLocal',
      spec.detectLocal ?? (masquerades ? 'None' : 'ClusterCIDR'),
      LOCAL_DETECTORS,
    ),
    nodePortAddresses: parseAddresses(spec.nodePortAddresses ?? 'all'),
    localhostNodePorts: flag('localhostNodePorts', spec.localhostNodePorts ?? false),
    serviceProxy: spec.serviceProxy ?? KUBE_PROXY,
    podLinks: oneOf('podLinks', spec.podLinks ?? 'bridged', POD_LINKS),
    bridgeNetfilter: flag('bridgeNetfilter', spec.bridgeNetfilter ?? false),
  };
  for (const ranges of rangesOf(profile)) checkRanges(network, ranges);
  return profile;
}

/** The ranges of each family, the primary one's first. */
export function rangesOf(profile: Pick<ClusterProfile, keyof Ranges | 'secondary'>): readonly Ranges[] {
  return profile.secondary === undefined ? [profile] : [profile, profile.secondary];
}

/** Whether the range of that kind, of whichever family, holds the address. */
export const isWithin = (
  profile: Pick<ClusterProfile, keyof Ranges | 'secondary'>,
  range: keyof Ranges,
  addr: Addr,
): boolean => rangesOf(profile).some((ranges) => ranges[range].contains(addr));

/** The cluster's families, the primary one first. */
export const familiesOf = (profile: ClusterProfile): Family[] =>
  rangesOf(profile).map(({ vpcCIDR }) => vpcCIDR.family);

/** As Kubernetes spells it in `ipFamilies` and `addressType`. */
export const familyText = (family: Family): 'IPv4' | 'IPv6' => (family === 4 ? 'IPv4' : 'IPv6');

type RangeTexts = Readonly<Record<keyof Ranges, string>>;

/** What a new cluster has; the ranges of IPv6 are unique local ones (RFC 4193) that read like those of IPv4. */
const PLAIN_RANGES: Readonly<Record<Family, RangeTexts>> = {
  4: { podCIDR: '172.16.0.0/16', serviceCIDR: '10.247.0.0/16', vpcCIDR: '192.168.0.0/16' },
  6: { podCIDR: 'fd00:172:16::/48', serviceCIDR: 'fd00:10:247::/112', vpcCIDR: 'fd00:192:168::/48' },
};
const ENI_POD_RANGES: Readonly<Record<Family, string>> = {
  4: '192.168.64.0/18',
  6: 'fd00:192:168:4000::/50',
};

/** The families that are asked for, else those of the ranges that are given, else IPv4. */
function rangesOfSpec(spec: ProfileSpec, network: Network): Ranges & Pick<ClusterProfile, 'secondary'> {
  const given = {
    podCIDR: listOf(spec.podCIDR),
    serviceCIDR: listOf(spec.serviceCIDR),
    vpcCIDR: listOf(spec.vpcCIDR),
  };
  const seen = [...new Set(Object.values(given).flatMap((some) => some.map(({ family }) => family)))];
  const families = spec.ipFamilies === undefined ? seen : familiesOfText(spec.ipFamilies);
  const [first = 4, second] = families;
  const of = (family: Family): Ranges => {
    const plain = PLAIN_RANGES[family];
    const pick = (key: keyof Ranges, text: string) =>
      given[key].find((one) => one.family === family) ?? Prefix.parse(text);
    return {
      podCIDR: pick('podCIDR', network === 'eni' ? ENI_POD_RANGES[family] : plain.podCIDR),
      serviceCIDR: pick('serviceCIDR', plain.serviceCIDR),
      vpcCIDR: pick('vpcCIDR', plain.vpcCIDR),
    };
  };
  const foreign = seen.find((family) => family !== first && family !== second);
  if (foreign !== undefined) {
    throw new Fault(
      'FE011',
      `the ipFamilies are ${spec.ipFamilies}, and a range is of ${familyText(foreign)}`,
      'add the family or leave out the range',
    );
  }
  return second === undefined ? of(first) : { ...of(first), secondary: of(second) };
}

/** At most one range a family. */
function listOf(text: string | undefined): Prefix[] {
  const some = (text === undefined ? [] : text.split(',')).map((one) => Prefix.parse(one.trim()));
  if (new Set(some.map(({ family }) => family)).size === some.length) return some;
  throw new Fault('FE006', `'${text}' holds two ranges of one family`, 'write one a family');
}

function familiesOfText(text: string): Family[] {
  const some = text
    .split(',')
    .map((one) => (oneOf('IP family', one.trim(), ['IPv4', 'IPv6']) === 'IPv4' ? 4 : 6));
  if (new Set(some).size === some.length) return some;
  throw new Fault('FE006', `the ipFamilies '${text}' name one twice`, 'write IPv4, IPv6 or IPv4,IPv6');
}

/** The spec that {@link profileOf} reads the profile back from; what `--set` is laid over and what daemons are given. */
export function specOf(profile: ClusterProfile): Required<ProfileSpec> {
  const { cloud, network, proxyMode, masqueradeAll, detectLocal, nodePortAddresses, serviceProxy } = profile;
  const textOf = (key: keyof Ranges) =>
    rangesOf(profile)
      .map((ranges) => ranges[key].text)
      .join(',');
  return {
    cloud,
    network,
    proxyMode,
    kubernetesVersion: versionText(profile.kubernetesVersion),
    ipFamilies: familiesOf(profile).map(familyText).join(','),
    podCIDR: textOf('podCIDR'),
    serviceCIDR: textOf('serviceCIDR'),
    vpcCIDR: textOf('vpcCIDR'),
    masqueradeAll,
    detectLocal,
    nodePortAddresses: addressesText(nodePortAddresses),
    localhostNodePorts: profile.localhostNodePorts,
    serviceProxy,
    podLinks: profile.podLinks,
    bridgeNetfilter: profile.bridgeNetfilter,
  };
}

function parseAddresses(text: string): ClusterProfile['nodePortAddresses'] {
  if (text === 'primary') return text;
  return text === 'all' ? [] : text.split(',').map((one) => Prefix.parse(one.trim()));
}

function addressesText(addresses: ClusterProfile['nodePortAddresses']): string {
  if (addresses === 'primary') return addresses;
  return addresses.length === 0 ? 'all' : addresses.map(({ text }) => text).join(',');
}

/**
 * Reads a `ClusterProfile` document (fairlead.dev/v1alpha1), given as the value its YAML holds. Throws {@link Fault}
 * FE006 or FE011.
 */
export function parseProfile(document: unknown): ClusterProfile {
  const { apiVersion, kind, metadata, spec } = record('the document', document);
  if (apiVersion !== 'fairlead.dev/v1alpha1' || kind !== 'ClusterProfile') {
    throw new Fault(
      'FE006',
      `${String(apiVersion)} ${String(kind)} is not a ClusterProfile`,
      "write 'apiVersion: fairlead.dev/v1alpha1' and 'kind: ClusterProfile'",
    );
  }
  const { name } = metadata === undefined ? {} : record('metadata', metadata);
  const fields: Record<string, string | boolean> = {};
  for (const [key, value] of Object.entries(spec === undefined ? {} : record('spec', spec))) {
    if (typeof value !== 'string' && typeof value !== 'boolean') {
      // YAML reads 1.30 as the number 1.3, which is another version.
      throw new Fault('FE006', `spec.${key} of a ClusterProfile is no text`, 'put it into quotes');
    }
    fields[key] = value;
  }
  return profileOf(fields as ProfileSpec, typeof name === 'string' ? name : 'default');
}

/** Shape: `1.28`, `v1.28` or `v1.28.3+build`. */
export function parseVersion(text: string): KubernetesVersion {
  const match = /^v?(\d+)\.(\d+)(?:[.+-].*)?$/.exec(text);
  if (match === null) throw new Fault('FE006', `'${text}' is no Kubernetes version`, 'write it like "1.28"');
  return { major: Number(match[1]), minor: Number(match[2]) };
}

export function versionText(version: KubernetesVersion): string {
  return `${version.major}.${version.minor}`;
}

export function isAtLeast(version: KubernetesVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** The address of the Service `kubernetes`: the first of the range, as upstream has it. */
export function apiServiceAddress(profile: ClusterProfile): Addr {
  return profile.serviceCIDR.at(1);
}

/** The address of the cluster's DNS: x.x.3.10 where the range is that long, else the tenth. */
export function dnsServiceAddress(profile: ClusterProfile): Addr {
  const { serviceCIDR } = profile;
  return serviceCIDR.size > 0x30an ? serviceCIDR.at(0x30a) : serviceCIDR.at(10);
}

function checkRanges(network: Network, { podCIDR, serviceCIDR, vpcCIDR }: Ranges): void {
  const apart = (a: [string, Prefix], b: [string, Prefix]) => {
    if (!a[1].overlaps(b[1])) return;
    throw new Fault(
      'FE011',
      `the ${a[0]} ${a[1].text} overlaps the ${b[0]} ${b[1].text}`,
      'choose ranges apart',
    );
  };
  apart(['serviceCIDR', serviceCIDR], ['podCIDR', podCIDR]);
  apart(['serviceCIDR', serviceCIDR], ['vpcCIDR', vpcCIDR]);
  if (network !== 'eni') apart(['podCIDR', podCIDR], ['vpcCIDR', vpcCIDR]);
  else if (!vpcCIDR.covers(podCIDR)) {
    throw new Fault(
      'FE011',
      `with the network eni pods have addresses of the VPC, and the podCIDR ${podCIDR.text} is not in ${vpcCIDR.text}`,
      'choose a podCIDR inside the vpcCIDR',
    );
  }
}

function oneOf<T extends string>(what: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new Fault('FE006', `'${value}' is no ${what}`, `use ${choices.join(', ')}`);
}

function flag(what: string, value: boolean | string): boolean {
  if (typeof value === 'boolean') return value;
  return oneOf(what, value, ['true', 'false']) === 'true';
}

function record(what: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new Fault('FE006', `${what} of a ClusterProfile is no map`, 'write it as keys and values');
}
