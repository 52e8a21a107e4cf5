import { Addr, Prefix } from '../../ip/ip.ts';
import type { Network } from '../profile.ts';
import { firstOfFour } from './detect-kube-proxy.ts';
import { jsonMap } from './json-map.ts';
import { podIPsOf } from './pod-addresses.ts';
import {
  type ClusterSigns,
  configMapNamed,
  type DaemonSet,
  environmentOf,
  flagOf,
  objectText,
  type Reading,
  type Readings,
} from './signs.ts';

/** A network plugin that runs as a DaemonSet, and what its configuration makes of the network. */
interface Plugin {
  readonly name: RegExp;
  readonly read: (daemonSet: DaemonSet, signs: ClusterSigns) => Readings;
}

/** What network plugins tell: the first that is there. Those that only add something to another one stand behind it. */
export function detectNetwork(signs: ClusterSigns): Readings {
  for (const { name, read } of PLUGINS) {
    const daemonSet = signs.daemonSets.find(({ metadata }) => name.test(metadata?.name ?? ''));
    if (daemonSet !== undefined) return read(daemonSet, signs);
  }
  return byAddresses(signs);
}

/** How near addresses are that are taken to be of one VPC. */
const NEAR = { 4: 16, 6: 48 } as const;

/** A plugin that is no DaemonSet, as on CCE: pods with addresses like those of nodes without ranges have them of the VPC. */
function byAddresses({ nodes, pods }: ClusterSigns): Readings {
  if (nodes.some(({ spec }) => spec?.podCIDR !== undefined)) return {};
  const internal = nodes.flatMap(({ status }) =>
    (status?.addresses ?? [])
      .filter(({ type }) => type === 'InternalIP')
      .flatMap(({ address }) => near(address)),
  );
  const own = pods.filter((pod) => pod.spec?.hostNetwork !== true && podIPsOf(pod).length > 0);
  const like = own.filter((pod) =>
    podIPsOf(pod).some((text) => near(text).some((one) => internal.includes(one))),
  );
  const [first] = like;
  if (first === undefined || like.length * 2 <= own.length) return {};
  return network(
    'eni',
    `${objectText('Pod', first)} and most pods have addresses like those of nodes, which have no podCIDR`,
  );
}

function near(text: string): string[] {
  if (!Addr.isAddr(text)) return [];
  const addr = Addr.parse(text);
  return [Prefix.of(addr, NEAR[addr.family]).text];
}

const reading = (value: string, from: string, walkedAs?: string): Reading =>
  walkedAs === undefined ? { value, from } : { value, from, walkedAs };

const network = (value: Network, from: string, walkedAs?: string): Readings => ({
  network: reading(value, from, walkedAs),
});

/** Ranges or blocks that are routed from node to node, and pods on links of their own. */
const routed = (from: string): Readings => ({
  ...network('vpc', from),
  podLinks: reading('routed', from),
});

const PLUGINS: readonly Plugin[] = [
  { name: /^terway/, read: terway },
  { name: /^tke-(bridge|eni|cni)-agent/, read: tke },
  { name: /^cilium$/, read: cilium },
  { name: /^(kube-flannel|canal)/, read: flannel },
  { name: /^calico-node/, read: calico },
  { name: /^kube-router/, read: kubeRouter },
  { name: /^aws-node/, read: (set) => network('eni', objectText('DaemonSet', set)) },
  { name: /^kindnet/, read: (set) => routed(objectText('DaemonSet', set)) },
  { name: /^(weave|antrea-agent|openvswitch|kube-ovn-cni)/, read: otherTunnel },
];

function otherTunnel(daemonSet: DaemonSet): Readings {
  return network('tunnel', objectText('DaemonSet', daemonSet), 'routed veths and VXLAN');
}

/** The backend is in net-conf.json, and without one it is VXLAN for canal and most manifests. */
function flannel(daemonSet: DaemonSet, signs: ClusterSigns): Readings {
  const map = configMapNamed(signs, 'kube-flannel-cfg', 'canal-config');
  const config = jsonMap(map?.data?.['net-conf.json']);
  const { Type: type = 'udp' } = (config.Backend ?? { Type: 'vxlan' }) as { Type?: unknown };
  const object = map === undefined ? objectText('DaemonSet', daemonSet) : objectText('ConfigMap', map);
  const from = map === undefined ? object : `${object}, net-conf.json, Backend ${String(type)}`;
  const range = typeof config.Network === 'string' ? config.Network : undefined;
  const known: Readings =
    range === undefined ? {} : { podCIDR: reading(range, `${object}, net-conf.json, Network`) };
  // host-gw and the clouds' own backends route the ranges of nodes.
  const isRouted = ['host-gw', 'alloc', 'ali-vpc', 'aws-vpc', 'gce', 'tencent-vpc'].includes(String(type));
  // flannel does not start without br_netfilter.
  const bridge = { bridgeNetfilter: reading('true', objectText('DaemonSet', daemonSet)) };
  if (isRouted) return { ...network('vpc', from), ...bridge, ...known };
  return { ...network('tunnel', from, type === 'vxlan' ? undefined : 'VXLAN'), ...known };
}

/** Terway by its mode, which names its DaemonSet; IPVlan and datapathv2 bring Cilium's forwarding of Services. */
function terway(daemonSet: DaemonSet, signs: ClusterSigns): Readings {
  const object = objectText('DaemonSet', daemonSet);
  const map = configMapNamed(signs, 'eni-config');
  const conf = map?.data?.['10-terway.conf'] ?? map?.data?.['10-terway.conflist'] ?? '';
  const type = /"eniip_virtual_type"\s*:\s*"(\w+)"/.exec(conf)?.[1] ?? '';
  // The plain mode gives pods addresses of the node's range, which the VPC routes.
  const mode = daemonSet.metadata?.name === 'terway' ? network('vpc', object) : network('eni', object);
  if (map === undefined || !/^(ipvlan|datapathv2)$/i.test(type)) return mode;
  const from = `${objectText('ConfigMap', map)}, eniip_virtual_type ${type}`;
  return { ...mode, serviceProxy: reading(`Terway (${type})`, from) };
}

/** GlobalRouter or VPC-CNI; a cluster may run both, and then says which one a pod gets that asks for none. */
function tke(daemonSet: DaemonSet, signs: ClusterSigns): Readings {
  const map = configMapNamed(signs, 'tke-cni-agent-conf');
  const delegate = jsonMap(map?.data?.['00-multus.conf']).defaultDelegates;
  if (map !== undefined && typeof delegate === 'string') {
    const from = `${objectText('ConfigMap', map)}, defaultDelegates ${delegate}`;
    return network(delegate === 'tke-bridge' ? 'vpc' : 'eni', from);
  }
  const agents = signs.daemonSets.filter(({ metadata }) =>
    /^tke-(bridge|eni)-agent/.test(metadata?.name ?? ''),
  );
  const bridge = agents.find(({ metadata }) => metadata?.name?.startsWith('tke-bridge'));
  const object = objectText('DaemonSet', bridge ?? agents[0] ?? daemonSet);
  return network(bridge !== undefined || agents.length === 0 ? 'vpc' : 'eni', object);
}

/** Cilium's routing mode and range, and whether it forwards Services itself. */
function cilium(daemonSet: DaemonSet, signs: ClusterSigns): Readings {
  const map = configMapNamed(signs, 'cilium-config');
  const { data = {} } = map ?? {};
  const object = map === undefined ? objectText('DaemonSet', daemonSet) : objectText('ConfigMap', map);
  const said = (key: string) => `${object}, ${key} ${data[key]}`;
  // Since 1.14 routing-mode; before, `tunnel: disabled` for what is native now.
  const isNative = data['routing-mode'] === 'native' || data.tunnel === 'disabled';
  const key = data['routing-mode'] === undefined ? 'tunnel' : 'routing-mode';
  const range = firstOfFour((data['cluster-pool-ipv4-cidr'] ?? '').split(/[\s,]+/));
  const isEni = data.ipam === 'eni' || data.ipam === 'alibabacloud';
  const mode = isEni
    ? network('eni', said('ipam'))
    : isNative
      ? routed(data[key] === undefined ? object : said(key))
      : network('tunnel', data[key] === undefined ? object : said(key));
  const replaces = /^(true|strict)$/.test(data['kube-proxy-replacement'] ?? '');
  return {
    ...mode,
    ...(range === undefined ? {} : { podCIDR: reading(range, said('cluster-pool-ipv4-cidr')) }),
    ...(replaces ? { serviceProxy: reading('Cilium', said('kube-proxy-replacement')) } : {}),
  };
}

/** Calico's first pool by the environment of its nodes; its eBPF data path takes kube-proxy's place. */
function calico(daemonSet: DaemonSet, signs: ClusterSigns): Readings {
  const object = objectText('DaemonSet', daemonSet);
  const [ipip, vxlan] = ['CALICO_IPV4POOL_IPIP', 'CALICO_IPV4POOL_VXLAN'].map(
    (name) => environmentOf(daemonSet, name) ?? 'Never',
  );
  const backend = configMapNamed(signs, 'calico-config')?.data?.calico_backend;
  const isTunnel = /^(Always|CrossSubnet)$/.test(`${vxlan}`) || backend === 'vxlan';
  const isIpip = /^(Always|CrossSubnet)$/.test(`${ipip}`);
  const from = `${object}, CALICO_IPV4POOL_IPIP ${ipip}, CALICO_IPV4POOL_VXLAN ${vxlan}`;
  const range = environmentOf(daemonSet, 'CALICO_IPV4POOL_CIDR');
  const isBpf = environmentOf(daemonSet, 'FELIX_BPFENABLED') === 'true';
  return {
    ...(isTunnel || isIpip ? network('tunnel', from, isIpip ? 'VXLAN' : undefined) : routed(from)),
    ...(range === undefined ? {} : { podCIDR: reading(range, `${object}, CALICO_IPV4POOL_CIDR`) }),
    ...(isBpf ? { serviceProxy: reading('Calico (eBPF)', `${object}, FELIX_BPFENABLED true`) } : {}),
  };
}

/** It routes the ranges of nodes; whether it forwards Services too is a flag that is on unless said. */
function kubeRouter(daemonSet: DaemonSet): Readings {
  const object = objectText('DaemonSet', daemonSet);
  const proxies = flagOf(daemonSet, 'run-service-proxy') ?? 'true';
  return {
    ...network('vpc', object),
    ...(proxies === 'true'
      ? { serviceProxy: reading('kube-router', `${object}, --run-service-proxy ${proxies}`) }
      : {}),
  };
}
