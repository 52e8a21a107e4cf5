import { parse } from 'yaml';
import type { ConfigMap, Node, Pod } from '../../kube/objects.ts';
import type { Cloud, Network, ProfileSpec } from '../profile.ts';

/** What a running cluster tells of itself. */
export interface ClusterSigns {
  /** As the API server's /version says it, e.g. `v1.30.4-aliyun.1`. */
  readonly gitVersion: string;
  readonly nodes: readonly Node[];
  /** Those of kube-system, where network plugins run. */
  readonly systemPods: readonly Pod[];
  /** ConfigMap kube-system/kube-proxy, as kubeadm and most clouds write it. */
  readonly kubeProxy?: ConfigMap;
}

export interface Detected {
  readonly spec: ProfileSpec;
  /** How each field was found, for a person. */
  readonly signs: readonly string[];
}

/** Of DaemonSets that bring a network: what it is. */
const NETWORKS_BY_PLUGIN: readonly (readonly [RegExp, Network])[] = [
  [/^terway/, 'eni'],
  [/^tke-eni-agent|^yangtse|^aws-node/, 'eni'],
  [/^tke-bridge-agent|^kindnet/, 'vpc'],
  [/^kube-flannel|^canal|^openvswitch|^weave/, 'tunnel'],
];

/** Of provider ids and labels of nodes: whose cloud it is. */
const CLOUDS_BY_SIGN: readonly (readonly [RegExp, Cloud])[] = [
  [/^(alicloud:|[a-z]+-[a-z]+(-\d+)?\.i-)|alibabacloud\.com\//, 'ack'],
  [/^qcloud:|cloud\.tencent\.com\//, 'tke'],
  [/cce\.cloud\.com\/|^huaweicloud:/, 'cce'],
];

/** The profile as far as the cluster tells it; what nobody tells has the cloud's default. */
export function detectProfile({ gitVersion, nodes, systemPods, kubeProxy }: ClusterSigns): Detected {
  const spec: Record<string, string | boolean> = {};
  const signs: string[] = [];
  const found = (key: string, value: string | boolean | undefined, sign: string) => {
    if (value === undefined) return;
    spec[key] = value;
    signs.push(`${key} ${value}: ${sign}`);
  };
  const version = /^v?(\d+\.\d+)/.exec(gitVersion)?.[1];
  found('kubernetesVersion', version, '/version of the API server');
  const marks = nodes.flatMap(({ spec: node, metadata }) => [
    node?.providerID ?? '',
    ...Object.keys(metadata?.labels ?? {}),
  ]);
  const cloud = firstMatch(CLOUDS_BY_SIGN, marks);
  found('cloud', cloud?.value, `nodes bear '${cloud?.sign}'`);
  const owners = systemPods.flatMap(({ metadata }) =>
    (metadata?.ownerReferences ?? []).map(({ name }) => name),
  );
  const network = firstMatch(NETWORKS_BY_PLUGIN, owners);
  found('network', network?.value, `DaemonSet ${network?.sign}`);
  for (const [key, value] of Object.entries(proxyFields(kubeProxy))) {
    found(key, value, 'ConfigMap kube-system/kube-proxy');
  }
  return { spec, signs };
}

function firstMatch<T>(
  table: readonly (readonly [RegExp, T])[],
  signs: readonly string[],
): { readonly value: T; readonly sign: string } | undefined {
  for (const [pattern, value] of table) {
    const sign = signs.find((one) => pattern.test(one));
    if (sign !== undefined) return { value, sign };
  }
  return undefined;
}

/** Of a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1); an empty mode is iptables. */
function proxyFields(kubeProxy: ConfigMap | undefined): Record<string, string | boolean | undefined> {
  const text = kubeProxy?.data?.['config.conf'] ?? kubeProxy?.data?.config;
  if (text === undefined) return {};
  const config: unknown = parse(text);
  if (typeof config !== 'object' || config === null) return {};
  const { mode, clusterCIDR, detectLocalMode, iptables, ipvs, nftables } = config as Record<string, unknown>;
  const proxyMode = mode === 'ipvs' || mode === 'nftables' ? mode : 'iptables';
  const own = { iptables, ipvs, nftables }[proxyMode === 'ipvs' ? 'iptables' : proxyMode];
  const masqueradeAll =
    typeof own === 'object' && own !== null ? (own as Record<string, unknown>).masqueradeAll : undefined;
  const isDetector = detectLocalMode === 'ClusterCIDR' || detectLocalMode === 'NodeCIDR';
  return {
    proxyMode,
    podCIDR: typeof clusterCIDR === 'string' && clusterCIDR !== '' ? clusterCIDR.split(',')[0] : undefined,
    masqueradeAll: typeof masqueradeAll === 'boolean' ? masqueradeAll : undefined,
    detectLocal: isDetector ? detectLocalMode : undefined,
  };
}
