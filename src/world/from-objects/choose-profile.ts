import { Fault } from '../../fault/fault.ts';
import { Addr, bitsOf, type Family, Prefix } from '../../ip/ip.ts';
import {
  CLOUDS,
  type ClusterProfile,
  familyText,
  NETWORKS,
  PROXY_MODES,
  type ProfileSpec,
  profileOf,
  type Ranges,
} from '../profile.ts';
import type { Inventory, ProfileDocument } from './inventory.ts';
import { podIPsOf } from './pod-addresses.ts';

export interface ProfileChoice {
  /** The name of a ClusterProfile of the files, or words of a profile: `cce`, `cce-vpc`, `ack-eni-ipvs`. */
  readonly profile?: string;
  /** Fields laid over, as `--set` gives them. */
  readonly set?: Readonly<Record<string, string>>;
  /** What the cluster itself tells, where no file says otherwise. */
  readonly detected?: ProfileSpec;
}

/**
 * The profile: chosen, laid over, and with ranges that hold the objects' addresses where nobody says which. Throws
 * {@link Fault} FE006 or FE011.
 */
export function chooseProfile(inventory: Inventory, choice: ProfileChoice): ClusterProfile {
  const base = baseOf(inventory.profiles, choice);
  const said: ProfileSpec = { ...base.spec, ...choice.set };
  try {
    return profileOf({ ...said, ...rangesFor(inventory, said) }, base.name);
  } catch (error) {
    if (!(error instanceof Fault) || base.place === undefined) throw error;
    throw new Fault(error.code, `${base.place()}: ${error.message}`, error.cure);
  }
}

/** Who says a field, of those that files or the command line say: `x.yaml:3`, `--profile` or `--set`. */
export function givenFields(inventory: Inventory, { profile, set = {} }: ProfileChoice): Map<string, string> {
  const { spec, place } = baseOf(inventory.profiles, profile === undefined ? {} : { profile });
  return new Map([
    ...Object.keys(spec).map((field) => [field, place?.(['spec', field]) ?? '--profile'] as const),
    ...Object.keys(set).map((field) => [field, '--set'] as const),
  ]);
}

interface Base {
  readonly name: string;
  readonly spec: ProfileSpec;
  readonly place?: ProfileDocument['place'];
}

function baseOf(documents: readonly ProfileDocument[], { profile, detected = {} }: ProfileChoice): Base {
  if (profile !== undefined) {
    const named = documents.find(({ name }) => name === profile);
    return named === undefined
      ? { name: profile, spec: { ...detected, ...wordsOf(profile, documents) } }
      : read(named);
  }
  const [first, second] = documents;
  if (first === undefined) return { name: 'default', spec: detected };
  if (second === undefined) return read(first);
  throw new Fault(
    'FE006',
    `${second.place()}: there are ${documents.length} ClusterProfiles`,
    `choose one with --profile: ${documents.map(({ name }) => name).join(', ')}`,
  );
}

function read({ name, spec, place }: ProfileDocument): Base {
  for (const [key, value] of Object.entries(spec)) {
    if (typeof value === 'string' || typeof value === 'boolean') continue;
    // YAML reads 1.30 as the number 1.3, which is another version.
    const what = `${place(['spec', key])}: spec.${key} of a ClusterProfile is no text`;
    throw new Fault('FE006', what, 'put it into quotes');
  }
  return { name, spec: spec as ProfileSpec, place };
}

function wordsOf(text: string, documents: readonly ProfileDocument[]): ProfileSpec {
  const spec: { cloud?: string; network?: string; proxyMode?: string } = {};
  const includes = (some: readonly string[], word: string) => some.includes(word);
  for (const word of text.split('-')) {
    if (includes(CLOUDS, word)) spec.cloud = word;
    else if (includes(NETWORKS, word)) spec.network = word;
    else if (includes(PROXY_MODES, word)) spec.proxyMode = word;
    else {
      const known = [...documents.map(({ name }) => name), ...CLOUDS].join(', ');
      throw new Fault(
        'FE006',
        `there is no profile '${text}'`,
        `profiles: ${known}; a cloud may be followed by a network (${NETWORKS.join(', ')}) and a proxy mode (${PROXY_MODES.join(', ')})`,
      );
    }
  }
  return spec;
}

/**
 * Of each family the default ranges where they hold what is there, else the smallest of /16 or more (of IPv6 /48) that do. What
 * is said of a family counts before.
 */
function rangesFor(inventory: Inventory, said: ProfileSpec): ProfileSpec {
  const families = said.ipFamilies?.split(',') ?? familiesIn(inventory, said).map(familyText);
  const fitted = families.map((family) => fittingRanges(inventory, said, family.trim()));
  const ranges = (['podCIDR', 'serviceCIDR', 'vpcCIDR'] as const).map((key) => {
    const own = said[key]?.split(',').map((text) => text.trim()) ?? [];
    const others = fitted
      .map((one) => one[key])
      .filter(({ family }) => !own.some((text) => text.includes(':') === (family === 6)));
    return [key, [...own, ...others.map(({ text }) => text)].join(',')];
  });
  return { ...Object.fromEntries(ranges), ipFamilies: families.join(',') };
}

/** Those of which nodes have an address and pods have one too; the family of the first pod range is the primary one. */
function familiesIn({ nodes, pods }: Inventory, said: ProfileSpec): Family[] {
  const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);
  const internal = new Set(internalIPs(nodes).map(familyOf));
  const ranges = nodes.flatMap((node) => podRangesOf(node).map(familyOf));
  const own = pods.flatMap((pod) => (pod.spec?.hostNetwork ? [] : podIPsOf(pod).map(familyOf)));
  const written = (said.podCIDR?.split(',') ?? []).map(familyOf);
  const used = [...new Set([...written, ...ranges, ...own, ...internal])];
  const found = used.filter(
    (family) =>
      internal.has(family) &&
      (ranges.length + own.length === 0 || used[0] === family || [...ranges, ...own].includes(family)),
  );
  return found.length > 0 ? found : [4];
}

const internalIPs = (nodes: Inventory['nodes']): string[] =>
  nodes.flatMap(({ status }) =>
    (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
  );

const podRangesOf = ({ spec }: Inventory['nodes'][number]): string[] =>
  spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);

function fittingRanges({ nodes, pods, services }: Inventory, said: ProfileSpec, ipFamilies: string): Ranges {
  const spoken = { cloud: said.cloud, network: said.network, ipFamilies };
  const plain = profileOf(
    Object.fromEntries(Object.entries(spoken).filter(([, value]) => value !== undefined)),
  );
  const { family } = plain.podCIDR;
  const internal = internalIPs(nodes);
  const own = pods.flatMap((pod) => (pod.spec?.hostNetwork ? [] : podIPsOf(pod)));
  const ofNodes = nodes.flatMap(podRangesOf);
  const cluster = services.flatMap(({ spec }) => spec?.clusterIPs ?? spec?.clusterIP ?? []);
  const isEni = plain.network === 'eni';
  const [plainly, service] = family === 4 ? [16, 16] : [48, 108];
  return {
    podCIDR: isEni
      ? fitting(plain.podCIDR, own, bitsOf(family))
      : fitting(plain.podCIDR, [...ofNodes, ...own], plainly),
    serviceCIDR: fitting(plain.serviceCIDR, cluster, service),
    vpcCIDR: fitting(plain.vpcCIDR, isEni ? [...internal, ...own] : internal, plainly),
  };
}

/** The texts of the other family are passed over. */
function fitting(plain: Prefix, texts: readonly string[], longest: number): Prefix {
  const seen = texts.flatMap((text) => {
    const [addr = ''] = text.split('/');
    return Addr.isAddr(addr) && addr.includes(':') === (plain.family === 6)
      ? [text.includes('/') ? Prefix.parse(text) : Prefix.host(Addr.parse(addr))]
      : [];
  });
  const [first] = seen;
  if (first === undefined || seen.every((one) => plain.covers(one))) return plain;
  let length = Math.min(first.length, longest);
  while (!seen.every((one) => Prefix.of(first.addr, length).covers(one))) length -= 1;
  return Prefix.of(first.addr, length);
}
