import { Fault } from '../../fault/fault.ts';
import { Addr, bitsOf, Prefix } from '../../ip/ip.ts';
import {
  CLOUDS,
  type ClusterProfile,
  NETWORKS,
  PROXY_MODES,
  type ProfileSpec,
  profileOf,
} from '../profile.ts';
import type { Inventory, ProfileDocument } from './inventory.ts';

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
    const ranges = rangesOf(inventory, said);
    return profileOf({ ...ranges, ...said }, base.name);
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

/** The default ranges where they hold what is there, else the smallest of /16 or more that do. */
function rangesOf({ nodes, pods, services }: Inventory, said: ProfileSpec): ProfileSpec {
  const spoken = { cloud: said.cloud, network: said.network };
  const plain = profileOf(
    Object.fromEntries(Object.entries(spoken).filter(([, value]) => value !== undefined)),
  );
  const internal = nodes.flatMap(({ status }) =>
    (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
  );
  const own = pods.flatMap(({ spec, status }) => (spec?.hostNetwork || !status?.podIP ? [] : [status.podIP]));
  const ofNodes = nodes.flatMap(({ spec }) => (spec?.podCIDR === undefined ? [] : [spec.podCIDR]));
  const cluster = services.flatMap(({ spec }) => (spec?.clusterIP === undefined ? [] : [spec.clusterIP]));
  const isEni = plain.network === 'eni';
  const ranges = {
    podCIDR: isEni
      ? fitting(plain.podCIDR, own, 32)
      : fitting(plain.podCIDR, ofNodes.length > 0 ? ofNodes : own, 16),
    serviceCIDR: fitting(plain.serviceCIDR, cluster, 16),
    vpcCIDR: fitting(plain.vpcCIDR, isEni ? [...internal, ...own] : internal, 16),
  };
  return Object.fromEntries(Object.entries(ranges).map(([key, range]) => [key, range.text]));
}

function fitting(plain: Prefix, texts: readonly string[], longest: number): Prefix {
  const seen = texts.flatMap((text) => {
    const [addr = ''] = text.split('/');
    return Addr.isAddr(addr) && !addr.includes(':')
      ? [text.includes('/') ? Prefix.parse(text) : Prefix.host(Addr.parse(addr))]
      : [];
  });
  const [first] = seen;
  if (first === undefined || seen.every((one) => plain.covers(one))) return plain;
  let length = Math.min(first.length, longest, bitsOf(4));
  while (!seen.every((one) => Prefix.of(first.addr, length).covers(one))) length -= 1;
  return Prefix.of(first.addr, length);
}
