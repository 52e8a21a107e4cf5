import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Prefix } from '../../ip/ip.ts';
import { isKubeProxyConfiguration, readKubeProxyConfiguration } from './kube-proxy-configuration.ts';

const HEAD = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const read = (yaml: string) => readKubeProxyConfiguration('config.conf', parse(HEAD + yaml));

/** As kubeadm writes it, with every field it has no opinion of. */
const KUBEADM = `
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: { acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0 }
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: { maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s }
detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" }
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: { localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s }
ipvs: { excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s }
logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" }, text: { infoBufferSize: "0" } }, verbosity: 0 }
metricsBindAddress: ""
mode: ""
nftables: { masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s }
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: { enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: "" }
`;

describe('the configuration of kube-proxy', () => {
  it("is told from the supervisor's settings by its apiVersion", () => {
    expect(isKubeProxyConfiguration(parse(HEAD))).toBe(true);
    expect(isKubeProxyConfiguration({ node: 'n1', nodeIP: '192.168.0.11', profile: {} })).toBe(false);
    expect(isKubeProxyConfiguration(null)).toBe(false);
  });

  it('is read as kubeadm leaves it, with the defaults of kube-proxy', () => {
    expect(read(KUBEADM)).toMatchObject({
      mode: 'iptables',
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
      listen: { health: { host: '0.0.0.0', port: 10256 }, metrics: { host: '127.0.0.1', port: 10249 } },
      intervals: {},
      ipvs: {},
      oomScoreAdj: -999,
      sysctls: {
        'net.netfilter.nf_conntrack_tcp_timeout_established': 86_400,
        'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 3600,
      },
      without: [],
      unknown: [],
      config: {
        masqueradeAll: false,
        masqueradeBit: 14,
        localhostNodePorts: true,
        nodePortAddresses: [],
        detectLocal: { mode: 'ClusterCIDR', prefixes: [Prefix.parse('10.244.0.0/16')] },
      },
    });
  });

  it('takes the settings of its mode, and tells of those that have no effect', () => {
    const yaml = `
mode: nftables
hostnameOverride: Node-7
bindAddress: 192.168.0.17
healthzBindAddress: '[::]:1256'
detectLocalMode: InterfaceNamePrefix
detectLocal: { interfaceNamePrefix: cali }
nftables: { masqueradeAll: true, masqueradeBit: 3, syncPeriod: 1m30s, minSyncPeriod: 250ms }
iptables: { masqueradeAll: true }
ipvs: { scheduler: wrr }
featureGates: { TopologyAwareHints: true, Old: false }
conntrack: { maxPerCore: 0, tcpEstablishedTimeout: 24h0m0s, tcpBeLiberal: true }
`;
    const { config, listen, without, ...rest } = read(yaml);
    expect(config).toMatchObject({
      masqueradeAll: true,
      masqueradeBit: 3,
      localhostNodePorts: false,
      nodePortAddresses: 'primary',
      detectLocal: { mode: 'InterfaceNamePrefix', prefix: 'cali' },
      conntrackTCPBeLiberal: true,
    });
    expect(listen.health).toEqual({ host: '::', port: 1256 });
    expect(rest).toMatchObject({
      node: 'node-7',
      nodeIP: { text: '192.168.0.17' },
      intervals: { fullMs: 90_000, lateMs: 180_000, minMs: 250 },
      sysctls: {
        'net.netfilter.nf_conntrack_tcp_timeout_established': 86_400,
        'net.netfilter.nf_conntrack_tcp_be_liberal': 1,
      },
    });
    expect(without.toSorted()).toEqual([
      'featureGates.TopologyAwareHints',
      'iptables.masqueradeAll',
      'ipvs.scheduler',
    ]);
  });

  it('keeps to both families of clusterCIDR, and to the addresses of node ports', () => {
    const { config } = read(
      'clusterCIDR: 10.244.0.0/16,fd00:244::/56\nnodePortAddresses: [192.168.0.0/24]\n',
    );
    expect(config.detectLocal).toMatchObject({
      prefixes: [{ text: '10.244.0.0/16' }, { text: 'fd00:244::/56' }],
    });
    expect(config.nodePortAddresses).toMatchObject([{ text: '192.168.0.0/24' }]);
    expect(read('mode: nftables\nnodePortAddresses: [all]\n').config.nodePortAddresses).toEqual([]);
  });

  it.each([
    ['mode: userspace', "mode: 'userspace' is not known"],
    ['detectLocalMode: BridgeInterface', 'detectLocal.bridgeInterface: is missing'],
    ['iptables: { masqueradeBit: 32 }', 'iptables.masqueradeBit: is not a whole number from 0 to 31: 32'],
    ['iptables: { syncPeriod: 30 }', 'iptables.syncPeriod: is not a text: 30'],
    ['iptables: { syncPeriod: 30sec }', "'30sec' is no duration"],
    ['iptables: { syncPeriod: 1s, minSyncPeriod: 2s }', 'iptables.minSyncPeriod: is longer than syncPeriod'],
    ['nodePortAddresses: [primary, 10.0.0.0/8]', "nodePortAddresses: 'primary' stands alone"],
    ['healthzBindAddress: 10256', 'healthzBindAddress: is not a text: 10256'],
    ['iptables: true', 'iptables: is not an object'],
    ['mode: ipvs\nipvs: { scheduler: Rr }', "ipvs.scheduler: 'Rr' is no name of a scheduler"],
    ['mode: ipvs\nipvs: { excludeCIDRs: [x] }', 'ipvs.excludeCIDRs'],
    ['oomScoreAdj: -1001', 'oomScoreAdj: is not a whole number'],
  ])('refuses %s', (yaml, message) => {
    expect(() => read(yaml)).toThrow(message);
  });

  it('reads what mode ipvs asks for', () => {
    const { ipvs, without } = read(`
mode: ipvs
ipvs:
  scheduler: lc
  strictARP: true
  excludeCIDRs: [192.0.2.0/24]
  tcpTimeout: 2h
  tcpFinTimeout: 90s
  syncPeriod: 10s
`);
    expect(ipvs).toEqual({
      scheduler: 'lc',
      strictARP: true,
      excludeCIDRs: [Prefix.parse('192.0.2.0/24')],
      timeouts: { tcp: 7200, tcpFin: 90, udp: 0 },
    });
    expect(without).toEqual([]);
    expect(read('mode: ipvs\n').ipvs).toEqual({ strictARP: false, excludeCIDRs: [] });
  });

  it('names the fields that kube-proxy does not have, and reads the rest', () => {
    const { unknown, mode } = read(
      'mode: ipvs\niptables: { masqAll: true }\nmasqueradeAll: true\ncleanup: null\n',
    );
    expect(unknown.toSorted()).toEqual(['cleanup', 'iptables.masqAll', 'masqueradeAll']);
    expect(mode).toBe('ipvs');
  });

  it('listens in the family of bindAddress, and at the usual port where none is written', () => {
    expect(read("bindAddress: 'fd00::1'\n").listen).toMatchObject({
      health: { host: '::', port: 10256 },
      metrics: { host: '::1', port: 10249 },
    });
    const { listen } = read("healthzBindAddress: 127.0.0.1\nmetricsBindAddress: 'fd00::1'\n");
    expect(listen).toMatchObject({
      health: { host: '127.0.0.1', port: 10256 },
      metrics: { host: 'fd00::1', port: 10249 },
    });
  });

  it('refuses another version', () => {
    const document = { apiVersion: 'kubeproxy.config.k8s.io/v1', kind: 'KubeProxyConfiguration' };
    expect(() => readKubeProxyConfiguration('config.conf', document)).toThrow('v1');
  });
});
