import type { Pod } from '../../kube/objects.ts';

export interface ClusterNames {
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly nodeName: string;
  /** The machine's own /etc/resolv.conf, for dnsPolicy Default. */
  readonly machineResolvConf: string;
}

/** /etc/hostname, /etc/hosts and /etc/resolv.conf of a pod, as Kubernetes gives them. */
export function podFiles(pod: Pod, podIP: string, names: ClusterNames): Readonly<Record<string, string>> {
  return {
    hostname: `${hostnameOf(pod, names.nodeName)}\n`,
    hosts: hostsOf(pod, podIP, names),
    'resolv.conf': resolvConfOf(pod, names),
  };
}

/** spec.hostname, else the pod's name cut to what a host name may be (63 bytes); the node's name with hostNetwork. */
export function hostnameOf(pod: Pod, nodeName: string): string {
  if (pod.spec?.hostNetwork === true) return nodeName;
  const name = pod.spec?.hostname ?? pod.metadata?.name ?? '';
  return name.slice(0, 63).replace(/[-.]+$/, '');
}

function hostsOf(pod: Pod, podIP: string, names: ClusterNames): string {
  const hostname = hostnameOf(pod, names.nodeName);
  const { namespace = 'default' } = pod.metadata ?? {};
  const subdomain = pod.spec?.subdomain;
  const full =
    subdomain === undefined || subdomain === ''
      ? ''
      : `${hostname}.${subdomain}.${namespace}.svc.${names.clusterDomain}\t`;
  const aliases = (pod.spec?.hostAliases ?? []).map(
    ({ ip = '', hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`,
  );
  return [
    '# Kubernetes-managed hosts file.\n',
    '127.0.0.1\tlocalhost\n',
    '::1\tlocalhost ip6-localhost ip6-loopback\n',
    `${podIP}\t${full}${hostname}\n`,
    ...(aliases.length > 0 ? ['\n# Entries added by HostAliases.\n', ...aliases] : []),
  ].join('');
}

interface Resolver {
  nameservers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
}

function resolvConfOf(pod: Pod, names: ClusterNames): string {
  const config = pod.spec?.dnsConfig;
  const base = resolverOf(pod, names);
  const more = (config?.options ?? []).map(({ name = '', value }) =>
    value === undefined ? name : `${name}:${value}`,
  );
  const overridden = new Set(more.map((option) => option.split(':')[0]));
  const nameservers = [...base.nameservers, ...(config?.nameservers ?? [])];
  const searches = [...new Set([...base.searches, ...(config?.searches ?? [])])];
  const options = [...base.options.filter((option) => !overridden.has(option.split(':')[0])), ...more];
  return [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}\n`] : []),
    ...nameservers.map((server) => `nameserver ${server}\n`),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}

/** By dnsPolicy. ClusterFirst of a hostNetwork pod means Default, as upstream has it. */
function resolverOf(pod: Pod, names: ClusterNames): Resolver {
  const policy = pod.spec?.dnsPolicy ?? 'ClusterFirst';
  const isHost = pod.spec?.hostNetwork === true;
  if (policy === 'None') return { nameservers: [], searches: [], options: [] };
  if (policy === 'Default' || (policy === 'ClusterFirst' && isHost))
    return parseResolvConf(names.machineResolvConf);
  const { namespace = 'default' } = pod.metadata ?? {};
  const { clusterDns, clusterDomain } = names;
  return {
    nameservers: [clusterDns],
    searches: [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain],
    options: ['ndots:5'],
  };
}

function parseResolvConf(text: string): Resolver {
  const values = (keyword: string) =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === keyword)
      .map(([, ...rest]) => rest);
  return {
    nameservers: values('nameserver').flatMap(([first]) => (first === undefined ? [] : [first])),
    searches: values('search').at(-1) ?? [],
    options: values('options').flat(),
  };
}
