/**
 * kube-proxy's own configuration file, so that whoever has one can run Fairlead's proxy by it.
 *
 * Promises: the fields of kubeproxy.config.k8s.io/v1alpha1 mean what they mean to kube-proxy, its defaults included; `null`
 * and an empty text are as good as left out, as kubeadm writes them.
 * Refuses: a value that cannot be, by a Fault FE006 that names its field. A field that is none of kube-proxy's is told in
 * `unknown`, for a warning: kube-proxy decodes v1alpha1 leniently when the strict way fails, and a file that it lives with
 * must not take the Services off a node. Fields that are kube-proxy's but have no effect here are told in `without`.
 *
 * @example
 * readKubeProxyConfiguration('config.conf', { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', mode: 'nftables' }).mode
 */
import { availableParallelism } from 'node:os';
import { Addr, Prefix } from '../../ip/ip.ts';
import { DEFAULT_CONFIG, type DetectLocal, type ProxyConfig, type ProxyMode } from '../../proxy/proxy.ts';
import type { IpvsSettings, ProxyListen, SyncIntervals } from '../../sync/sync.ts';
import { milliseconds } from './duration.ts';
import { FieldReader } from './field-reader.ts';

const GROUP = 'kubeproxy.config.k8s.io';

export interface KubeProxyConfiguration {
  readonly mode: ProxyMode;
  readonly config: ProxyConfig;
  readonly listen: ProxyListen;
  readonly intervals: Partial<SyncIntervals>;
  /** hostnameOverride. */
  readonly node?: string;
  /** bindAddress, where it names one: the node's primary address. */
  readonly nodeIP?: Addr;
  /** clientConnection.kubeconfig. */
  readonly kubeconfig?: string;
  /** What conntrack.* asks of the kernel, by the names of sysctl(8). */
  readonly sysctls: Readonly<Record<string, number>>;
  readonly ipvs: IpvsSettings;
  /** oomScoreAdj: what the kernel adds when it looks for a process to kill. */
  readonly oomScoreAdj: number;
  /** Fields that are set and have no effect. */
  readonly without: readonly string[];
  /** Fields that kube-proxy does not have. */
  readonly unknown: readonly string[];
}

/** Whether a document is kube-proxy's and not the supervisor's. */
export function isKubeProxyConfiguration(document: unknown): document is object {
  const apiVersion = (document as { apiVersion?: unknown } | null)?.apiVersion;
  return typeof apiVersion === 'string' && apiVersion.startsWith(`${GROUP}/`);
}

/** `file` is for messages; `preferred` goes before the file's mode. Throws Fault FE006 for a value that cannot be. */
export function readKubeProxyConfiguration(
  file: string,
  document: object,
  preferred?: ProxyMode,
): KubeProxyConfiguration {
  const fields = new FieldReader(file, document);
  fields.oneOf('apiVersion', [`${GROUP}/v1alpha1`]);
  fields.oneOf('kind', ['KubeProxyConfiguration']);
  const written = fields.oneOf('mode', ['iptables', 'ipvs', 'nftables']);
  const mode = preferred ?? written ?? 'iptables';
  const node = fields.text('hostnameOverride');
  const bound = fields.parsed('bindAddress', Addr.parse);
  const kubeconfig = fields.inside('clientConnection').text('kubeconfig');
  const result = {
    mode,
    config: configOf(fields, mode),
    listen: listenOf(fields, bound),
    intervals: intervalsOf(fields.inside(mode)),
    sysctls: sysctlsOf(fields.inside('conntrack')),
    ipvs: mode === 'ipvs' ? ipvsOf(fields.inside('ipvs')) : {},
    oomScoreAdj: fields.number('oomScoreAdj', -1000, 1000) ?? -999,
    ...(node === undefined ? {} : { node: node.toLowerCase() }),
    ...(bound === undefined || isUnspecified(bound) ? {} : { nodeIP: bound }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
  };
  const gates = fields.inside('featureGates').names();
  const { known, unknown } = fields.rest([...WITHOUT_EFFECT, ...gates.map((gate) => `featureGates.${gate}`)]);
  return { ...result, without: known, unknown };
}

/** The fields of v1alpha1 that are not read above, or not in every mode. */
const WITHOUT_EFFECT: readonly string[] = [
  'featureGates',
  'logging',
  'enableProfiling',
  'showHiddenMetricsForVersion',
  'configSyncPeriod',
  'portRange',
  'windowsRunAsService',
  'winkernel',
  'clusterCIDR',
  ...['acceptContentTypes', 'contentType', 'qps', 'burst'].map((name) => `clientConnection.${name}`),
  ...['bridgeInterface', 'interfaceNamePrefix'].map((name) => `detectLocal.${name}`),
  ...['iptables', 'nftables'].flatMap((mode) =>
    ['masqueradeAll', 'masqueradeBit', 'syncPeriod', 'minSyncPeriod'].map((name) => `${mode}.${name}`),
  ),
  'iptables.localhostNodePorts',
  'iptables.snatNodeInternalIP',
  ...['syncPeriod', 'minSyncPeriod', 'scheduler', 'excludeCIDRs', 'strictARP'].map((name) => `ipvs.${name}`),
  ...['tcpTimeout', 'tcpFinTimeout', 'udpTimeout'].map((name) => `ipvs.${name}`),
];

function configOf(fields: FieldReader, mode: ProxyMode): ProxyConfig {
  // IPVS mode masquerades by iptables, and by its settings.
  const own = fields.inside(mode === 'nftables' ? 'nftables' : 'iptables');
  return {
    ...DEFAULT_CONFIG,
    masqueradeAll: own.flag('masqueradeAll') ?? false,
    masqueradeBit: own.number('masqueradeBit', 0, 31) ?? DEFAULT_CONFIG.masqueradeBit,
    localhostNodePorts: mode === 'iptables' && (own.flag('localhostNodePorts') ?? true),
    detectLocal: detectLocalOf(fields),
    nodePortAddresses: nodePortAddressesOf(fields, mode),
    conntrackTCPBeLiberal: fields.inside('conntrack').flag('tcpBeLiberal') ?? false,
  };
}

function detectLocalOf(fields: FieldReader): DetectLocal {
  const modes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const;
  const mode = fields.oneOf('detectLocalMode', modes) ?? 'ClusterCIDR';
  const detail = fields.inside('detectLocal');
  switch (mode) {
    case 'NodeCIDR':
      return { mode };
    case 'BridgeInterface':
      return { mode, bridge: detail.required('bridgeInterface') };
    case 'InterfaceNamePrefix':
      return { mode, prefix: detail.required('interfaceNamePrefix') };
    case 'ClusterCIDR':
      // Without a range nothing is local, and kube-proxy goes on so.
      return { mode, prefixes: fields.parsed('clusterCIDR', prefixesOf) ?? [] };
  }
}

const prefixesOf = (text: string): Prefix[] => text.split(',').map((one) => Prefix.parse(one.trim()));

/** Nothing means every address, but in nftables mode the primary one (KEP-3866). `primary` goes with nothing else. */
function nodePortAddressesOf(fields: FieldReader, mode: ProxyMode): ProxyConfig['nodePortAddresses'] {
  const written = fields.texts('nodePortAddresses') ?? [];
  if (written.length === 0) return mode === 'nftables' ? 'primary' : [];
  if (written.includes('primary')) {
    if (written.length === 1) return 'primary';
    throw fields.fault('nodePortAddresses', "'primary' stands alone", 'leave out the other addresses');
  }
  if (written.includes('all')) return [];
  return written.map((one) => fields.parse('nodePortAddresses', one, Prefix.parse));
}

/** Left out, or 0, they are ours and not kube-proxy's 30 s and 1 s: a change costs us little, and comparing everything much. */
function intervalsOf(own: FieldReader): Partial<SyncIntervals> {
  const fullMs = own.parsed('syncPeriod', milliseconds);
  const minMs = own.parsed('minSyncPeriod', milliseconds);
  if (fullMs && minMs && minMs > fullMs) {
    throw own.fault('minSyncPeriod', 'is longer than syncPeriod', 'write the shorter one here');
  }
  return { ...(fullMs ? { fullMs, lateMs: 2 * fullMs } : {}), ...(minMs ? { minMs } : {}) };
}

/** Without a word on them, kube-proxy's defaults; what is 0 stays as the kernel has it. */
function sysctlsOf(conntrack: FieldReader): Record<string, number> {
  const perCore = conntrack.number('maxPerCore', 0) ?? 32_768;
  const least = conntrack.number('min', 0) ?? 131_072;
  const seconds = (name: string, unsaid = 0) => secondsOf(conntrack.parsed(name, milliseconds) ?? unsaid);
  const wanted = {
    'net.netfilter.nf_conntrack_max': perCore === 0 ? 0 : Math.max(least, perCore * availableParallelism()),
    'net.netfilter.nf_conntrack_tcp_timeout_established': seconds('tcpEstablishedTimeout', DAY),
    'net.netfilter.nf_conntrack_tcp_timeout_close_wait': seconds('tcpCloseWaitTimeout', HOUR),
    'net.netfilter.nf_conntrack_udp_timeout': seconds('udpTimeout'),
    'net.netfilter.nf_conntrack_udp_timeout_stream': seconds('udpStreamTimeout'),
    'net.netfilter.nf_conntrack_tcp_be_liberal': Number(conntrack.flag('tcpBeLiberal') ?? false),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value > 0));
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const secondsOf = (ms: number): number => Math.ceil(ms / 1000);

function ipvsOf(own: FieldReader): IpvsSettings {
  const scheduler = own.parsed('scheduler', schedulerName);
  const seconds = (name: string) => secondsOf(own.parsed(name, milliseconds) ?? 0);
  const timeouts = {
    tcp: seconds('tcpTimeout'),
    tcpFin: seconds('tcpFinTimeout'),
    udp: seconds('udpTimeout'),
  };
  const excluded = own.texts('excludeCIDRs') ?? [];
  return {
    strictARP: own.flag('strictARP') ?? false,
    excludeCIDRs: excluded.map((one) => own.parse('excludeCIDRs', one, Prefix.parse)),
    ...(scheduler === undefined ? {} : { scheduler }),
    ...(Object.values(timeouts).some((one) => one > 0) ? { timeouts } : {}),
  };
}

/** Which of them there are is the kernel's to say. */
function schedulerName(text: string): string {
  if (!/^[a-z]{1,15}$/.test(text))
    throw new Error(`'${text}' is no name of a scheduler such as rr, lc or sh`);
  return text;
}

/** On every address and on loopback, of the family that bindAddress names. */
function listenOf(fields: FieldReader, bound: Addr | undefined): ProxyListen {
  const [every, loopback] = bound?.family === 6 ? ['::', '::1'] : ['0.0.0.0', '127.0.0.1'];
  const at = (name: string, host: string, port: number) =>
    fields.parsed(name, (text) => listenAt(text, port)) ?? { host, port };
  return {
    retries: fields.flag('bindAddressHardFail') !== true,
    health: at('healthzBindAddress', every, 10256),
    metrics: at('metricsBindAddress', loopback, 10249),
  };
}

/** `0.0.0.0:10256`, `[::]:10256`, or an address alone. */
function listenAt(text: string, usual: number): { host: string; port: number } {
  const [, bracketed, plain, port = usual] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  if (Number(port) > 65535) throw new Error(`'${text}' is no address and port`);
  return { host: Addr.parse(bracketed ?? plain ?? text).text, port: Number(port) };
}

const isUnspecified = ({ text }: Addr): boolean => text === '0.0.0.0' || text === '::';
