import { parse } from 'yaml';
import { KUBE_PROXY } from '../profile.ts';
import {
  type ClusterSigns,
  configMapNamed,
  containersOf,
  type DaemonSet,
  flagOf,
  objectText,
  type Readings,
} from './signs.ts';

/** Upstream's name first; ACK has one for workers and one for masters. */
const NAMES = [KUBE_PROXY, 'kube-proxy-worker', 'kube-proxy-config', 'kube-proxy-master'];

/** What kube-proxy's configuration says, or its flags where it has no file; nothing where neither is to be seen. */
export function detectKubeProxy(signs: ClusterSigns): Readings {
  const map = configMapNamed(signs, ...NAMES);
  const text = map?.data?.['config.conf'] ?? map?.data?.config ?? map?.data?.['kube-proxy-config'];
  const daemonSet = kubeProxyOf(signs);
  const version = daemonSet === undefined ? {} : versionOf(daemonSet);
  if (map !== undefined && text !== undefined) {
    return { ...version, ...readFields(configuration(text), objectText('ConfigMap', map)) };
  }
  if (daemonSet === undefined) return {};
  return { ...version, ...readFields(flags(daemonSet), objectText('DaemonSet', daemonSet)) };
}

/** kube-proxy's own DaemonSet; some clouds run it as a service of the node and have none. */
export const kubeProxyOf = ({ daemonSets }: ClusterSigns): DaemonSet | undefined =>
  daemonSets.find(({ metadata }) => /^kube-proxy(-worker)?$/.test(metadata?.name ?? ''));

/** The rules are those of kube-proxy's own version, which may lag behind the API server's by up to three. */
function versionOf(daemonSet: DaemonSet): Readings {
  for (const { image = '' } of containersOf(daemonSet)) {
    const version = /kube-proxy[^:]*:v?(\d+\.\d+)\.\d+/.exec(image)?.[1];
    if (version === undefined) continue;
    return {
      kubernetesVersion: { value: version, from: `${objectText('DaemonSet', daemonSet)}, image ${image}` },
    };
  }
  return {};
}

/** As kubeproxy.config.k8s.io/v1alpha1 has them. */
interface Fields {
  readonly mode?: unknown;
  readonly clusterCIDR?: unknown;
  readonly detectLocalMode?: unknown;
  readonly masqueradeAll?: unknown;
  readonly nodePortAddresses?: unknown;
  readonly localhostNodePorts?: unknown;
}

function configuration(text: string): Fields {
  const config: unknown = parse(text);
  if (typeof config !== 'object' || config === null) return {};
  const fields = config as Fields & Record<string, unknown>;
  // IPVS mode masquerades by iptables, and by its settings.
  const own = fields[fields.mode === 'nftables' ? 'nftables' : 'iptables'];
  const { masqueradeAll, localhostNodePorts }: Fields = typeof own === 'object' ? (own ?? {}) : {};
  return { ...fields, masqueradeAll, localhostNodePorts };
}

function flags(daemonSet: DaemonSet): Fields {
  const flag = (name: string) => flagOf(daemonSet, name);
  const masqueradeAll = flag('masquerade-all');
  return {
    mode: flag('proxy-mode'),
    clusterCIDR: flag('cluster-cidr'),
    detectLocalMode: flag('detect-local-mode'),
    nodePortAddresses: flag('nodeport-addresses')?.split(','),
    localhostNodePorts: flag('iptables-localhost-nodeports') !== 'false',
    ...(masqueradeAll === undefined ? {} : { masqueradeAll: masqueradeAll === 'true' }),
  };
}

function readFields(fields: Fields, object: string): Readings {
  const { mode, clusterCIDR, masqueradeAll } = fields;
  // On Linux an empty mode is iptables.
  const proxyMode = mode === 'ipvs' || mode === 'nftables' ? mode : 'iptables';
  const range = typeof clusterCIDR === 'string' ? firstOfFour(clusterCIDR.split(',')) : undefined;
  const detector = detectorOf(fields.detectLocalMode, range);
  return {
    proxyMode: { value: proxyMode, from: `${object}, mode ${quoted(mode)}` },
    masqueradeAll: { value: String(masqueradeAll === true), from: `${object}, masqueradeAll` },
    detectLocal: { value: detector, from: `${object}, detectLocalMode ${quoted(fields.detectLocalMode)}` },
    nodePortAddresses: {
      value: addressesOf(fields.nodePortAddresses, proxyMode),
      from: `${object}, nodePortAddresses`,
    },
    // iptables mode alone has it, on unless told otherwise.
    localhostNodePorts: {
      value: String(proxyMode === 'iptables' && fields.localhostNodePorts !== false),
      from: `${object}, localhostNodePorts`,
    },
    ...(range === undefined ? {} : { podCIDR: { value: range, from: `${object}, clusterCIDR` } }),
  };
}

const quoted = (value: unknown): string => (value === undefined || value === '' ? 'unset' : String(value));

/** Unset is ClusterCIDR, and ClusterCIDR without a range recognises nobody. */
function detectorOf(mode: unknown, range: string | undefined): string {
  if (typeof mode === 'string' && mode !== '' && mode !== 'ClusterCIDR') return mode;
  return range === undefined ? 'None' : 'ClusterCIDR';
}

/** Unset is every address, but in nftables mode the primary one (KEP-3866). */
function addressesOf(value: unknown, mode: string): string {
  const written = Array.isArray(value) ? value.map(String) : [];
  if (written.length === 0) return mode === 'nftables' ? 'primary' : 'all';
  if (written.includes('primary')) return 'primary';
  return written.includes('all') ? 'all' : written.join(',');
}

export const firstOfFour = (ranges: readonly string[]): string | undefined =>
  ranges.map((one) => one.trim()).find((one) => one !== '' && !one.includes(':'));
