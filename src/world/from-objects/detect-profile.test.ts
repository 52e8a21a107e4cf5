import { describe, expect, it } from 'vitest';
import type { ConfigMap, Node, Pod } from '../../kube/objects.ts';
import { profileOf, specOf } from '../profile.ts';
import {
  type ClusterSigns,
  type DaemonSet,
  detectProfile,
  originsOf,
  specOfReadings,
} from './detect-profile.ts';

const node = (name: string, spec: object = {}, labels = {}, kubeletVersion = 'v1.30.4'): Node =>
  ({ metadata: { name, labels }, spec, status: { nodeInfo: { kubeletVersion } } }) as Node;

const map = (name: string, data: Record<string, string>, namespace = 'kube-system'): ConfigMap => ({
  metadata: { name, namespace },
  data,
});

const set = (name: string, container: object = {}): DaemonSet => ({
  metadata: { name, namespace: 'kube-system' },
  spec: { template: { spec: { containers: [{ name: 'main', ...container }] } } },
});

const signsOf = (daemonSets: readonly DaemonSet[], configMaps: readonly ConfigMap[] = []): ClusterSigns => ({
  gitVersion: 'v1.31.1-aliyun.1',
  nodes: [],
  pods: [],
  daemonSets,
  configMaps,
});

const env = (values: Record<string, string>) => ({
  env: Object.entries(values).map(([name, value]) => ({ name, value })),
});

const netConf = (type: string) =>
  JSON.stringify({ Network: '10.244.0.0/16', EnableIPv4: true, Backend: { Type: type } });

describe('the cloud, by its nodes', () => {
  it.each<[string, Node, string]>([
    ['cce', node('a', { providerID: 'huaweicloud://x' }), 'Node a, spec.providerID huaweicloud://x'],
    ['cce', node('b', {}, { 'node.cce.cloud.com/x': '' }), 'Node b, label node.cce.cloud.com/x'],
    ['ack', node('c', { providerID: 'cn-hongkong.i-j6c1' }), 'Node c, spec.providerID cn-hongkong.i-j6c1'],
    ['ack', node('d', {}, { 'node.alibabacloud.com/x': '' }), 'Node d, label node.alibabacloud.com/x'],
    [
      'tke',
      node('e', { providerID: 'qcloud:///800002/ins-1' }),
      'Node e, spec.providerID qcloud:///800002/ins-1',
    ],
  ])('%s', (cloud, one, from) => {
    expect(detectProfile({ ...signsOf([]), nodes: [node('plain'), one] }).cloud).toEqual({
      value: cloud,
      from,
    });
  });

  it('is none that is known for the nodes of anybody else', () => {
    expect(
      detectProfile({ ...signsOf([]), nodes: [node('a', { providerID: 'kind://docker/k/a' })] }).cloud,
    ).toBe(undefined);
  });
});

describe('the network, by its plugin', () => {
  it.each<[string, ClusterSigns, object]>([
    [
      'flannel with VXLAN',
      signsOf(
        [set('kube-flannel-ds')],
        [map('kube-flannel-cfg', { 'net-conf.json': netConf('vxlan') }, 'kube-flannel')],
      ),
      { network: 'tunnel', podCIDR: '10.244.0.0/16' },
    ],
    [
      'flannel with host-gw',
      signsOf([set('kube-flannel-ds')], [map('kube-flannel-cfg', { 'net-conf.json': netConf('host-gw') })]),
      { network: 'vpc', podCIDR: '10.244.0.0/16', bridgeNetfilter: 'true' },
    ],
    [
      'flannel on ACK',
      signsOf([set('kube-flannel-ds')], [map('kube-flannel-cfg', { 'net-conf.json': netConf('alloc') })]),
      { network: 'vpc', podCIDR: '10.244.0.0/16', bridgeNetfilter: 'true' },
    ],
    [
      'canal',
      signsOf([set('canal')], [map('canal-config', { 'net-conf.json': netConf('vxlan') })]),
      { network: 'tunnel', podCIDR: '10.244.0.0/16' },
    ],
    ['Terway that routes ranges', signsOf([set('terway')]), { network: 'vpc' }],
    [
      'Terway with addresses of interfaces',
      signsOf([set('terway-eniip')], [map('eni-config', { '10-terway.conf': '{"type": "terway"}' })]),
      { network: 'eni' },
    ],
    [
      'Terway with eBPF',
      signsOf(
        [set('terway-eniip')],
        [map('eni-config', { '10-terway.conf': '{"eniip_virtual_type": "IPVlan"}' })],
      ),
      { network: 'eni', serviceProxy: 'Terway (IPVlan)' },
    ],
    ['TKE GlobalRouter', signsOf([set('tke-bridge-agent')]), { network: 'vpc' }],
    ['TKE VPC-CNI', signsOf([set('tke-cni-agent'), set('tke-eni-agent')]), { network: 'eni' }],
    [
      'TKE GlobalRouter with VPC-CNI beside it',
      signsOf(
        [set('tke-bridge-agent'), set('tke-eni-agent')],
        [map('tke-cni-agent-conf', { '00-multus.conf': '{"defaultDelegates": "tke-bridge"}' })],
      ),
      { network: 'vpc' },
    ],
    [
      'TKE with VPC-CNI as what pods get',
      signsOf(
        [set('tke-bridge-agent'), set('tke-eni-agent')],
        [map('tke-cni-agent-conf', { '00-multus.conf': '{"defaultDelegates": "tke-route-eni"}' })],
      ),
      { network: 'eni' },
    ],
    [
      'Cilium in the place of kube-proxy',
      signsOf(
        [set('cilium')],
        [
          map('cilium-config', {
            'kube-proxy-replacement': 'true',
            'routing-mode': 'tunnel',
            'cluster-pool-ipv4-cidr': '10.0.0.0/8',
          }),
        ],
      ),
      { network: 'tunnel', podCIDR: '10.0.0.0/8', serviceProxy: 'Cilium' },
    ],
    [
      'Cilium beside kube-proxy, as before 1.14',
      signsOf(
        [set('cilium')],
        [map('cilium-config', { 'kube-proxy-replacement': 'disabled', tunnel: 'vxlan' })],
      ),
      { network: 'tunnel' },
    ],
    [
      'Calico without a tunnel',
      signsOf([set('calico-node', env({ CALICO_IPV4POOL_IPIP: 'Never' }))]),
      { network: 'vpc', podLinks: 'routed' },
    ],
    ['kindnet', signsOf([set('kindnet')]), { network: 'vpc', podLinks: 'routed' }],
    [
      'Calico with IP-in-IP',
      signsOf([
        set('calico-node', env({ CALICO_IPV4POOL_IPIP: 'Always', CALICO_IPV4POOL_CIDR: '10.9.0.0/16' })),
      ]),
      { network: 'tunnel', podCIDR: '10.9.0.0/16' },
    ],
    [
      'Calico with eBPF',
      signsOf([set('calico-node', env({ CALICO_IPV4POOL_VXLAN: 'Always', FELIX_BPFENABLED: 'true' }))]),
      { network: 'tunnel', serviceProxy: 'Calico (eBPF)' },
    ],
    [
      'kube-router for all',
      signsOf([set('kube-router', { args: ['--run-router=true', '--run-service-proxy=true'] })]),
      { network: 'vpc', serviceProxy: 'kube-router' },
    ],
    [
      'kube-router for routes alone',
      signsOf([set('kube-router', { args: ['--run-service-proxy=false'] })]),
      { network: 'vpc' },
    ],
    ['storage beside nothing', signsOf([set('everest-csi-driver')]), {}],
  ])('%s', (_, signs, expected) => {
    const { kubernetesVersion: _version, ...spec } = specOfReadings(detectProfile(signs));
    expect(spec).toEqual(expected);
  });

  it('is told from addresses where no plugin is to be seen', () => {
    const at = (name: string, address: string, podCIDR?: string): Node => ({
      metadata: { name },
      spec: podCIDR === undefined ? {} : { podCIDR },
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
    const pod = (name: string, podIP: string): Pod => ({
      metadata: { name, namespace: 'shop' },
      spec: { nodeName: 'n1', containers: [] },
      status: { podIP },
    });
    const networkOf = (node: Node, ...pods: Pod[]) =>
      detectProfile({ ...signsOf([]), nodes: [node], pods }).network;
    expect(networkOf(at('n1', '192.168.0.11'), pod('a', '192.168.64.3'))).toEqual({
      value: 'eni',
      from: 'Pod shop/a and most pods have addresses like those of nodes, which have no podCIDR',
    });
    expect(networkOf(at('n1', '192.168.0.11'), pod('a', '10.0.0.3'))).toBe(undefined);
    expect(networkOf(at('n1', '192.168.0.11', '192.168.64.0/24'), pod('a', '192.168.64.3'))).toBe(undefined);
  });

  it('says what is walked in the place of what is not the same', () => {
    const { network } = detectProfile(signsOf([set('calico-node', env({ CALICO_IPV4POOL_IPIP: 'Always' }))]));
    expect(network).toMatchObject({ walkedAs: 'VXLAN' });
  });
});

describe('kube-proxy', () => {
  const read = (config: string) =>
    specOfReadings(detectProfile(signsOf([], [map('kube-proxy', { 'config.conf': config })])));

  it.each<[string, object]>([
    [
      'mode: ""',
      { proxyMode: 'iptables', detectLocal: 'None', nodePortAddresses: 'all', masqueradeAll: 'false' },
    ],
    [
      'mode: ipvs\nclusterCIDR: fd00::/56,10.1.0.0/16\niptables: {masqueradeAll: true}',
      { proxyMode: 'ipvs', podCIDR: '10.1.0.0/16', masqueradeAll: 'true', detectLocal: 'ClusterCIDR' },
    ],
    [
      'mode: nftables\nnftables: {masqueradeAll: true}',
      { proxyMode: 'nftables', masqueradeAll: 'true', nodePortAddresses: 'primary' },
    ],
    [
      'mode: nftables\nnodePortAddresses: [192.168.0.0/24, 10.0.0.0/8]',
      { nodePortAddresses: '192.168.0.0/24,10.0.0.0/8' },
    ],
    ['mode: iptables\ndetectLocalMode: NodeCIDR', { detectLocal: 'NodeCIDR' }],
    ['mode: iptables\niptables: {localhostNodePorts: false}', { localhostNodePorts: 'false' }],
    ['mode: nftables', { localhostNodePorts: 'false' }],
    ['mode: iptables\ndetectLocalMode: InterfaceNamePrefix', { detectLocal: 'InterfaceNamePrefix' }],
  ])('of a file: %s', (config, expected) => {
    const spec = read(config);
    expect(spec).toMatchObject(expected);
    expect(() => profileOf(spec)).not.toThrow();
  });

  it('of the flags of its DaemonSet, and of its image', () => {
    const container = {
      image: 'ccr.ccs.tencentyun.com/tkeimages/kube-proxy:v1.28.3-tke.4',
      command: ['kube-proxy', '--proxy-mode=ipvs', '--cluster-cidr', '10.5.0.0/16', '--masquerade-all'],
    };
    const signs = signsOf([set('kube-proxy', container)]);
    expect(specOfReadings(detectProfile(signs))).toMatchObject({
      proxyMode: 'ipvs',
      podCIDR: '10.5.0.0/16',
      masqueradeAll: 'true',
      kubernetesVersion: '1.28',
    });
  });

  it('of the version of most kubelets where nobody says its own', () => {
    const nodes = [node('a', {}, {}, 'v1.27.1'), node('b'), node('c')];
    expect(detectProfile({ ...signsOf([]), nodes }).kubernetesVersion).toEqual({
      value: '1.30',
      from: 'Nodes b and 1 more, kubeletVersion; 1 run 1.27',
    });
  });
});

it('tells of each field who says it, from which object it was read, or why it is assumed', () => {
  const readings = detectProfile(signsOf([set('terway-eniip')]));
  const profile = profileOf({ ...specOfReadings(readings), proxyMode: 'nftables' });
  const origins = originsOf(profile, readings, new Map([['proxyMode', '--set']]));
  const told = new Map(origins.map(({ field, value, how, from }) => [field, `${how} ${value}: ${from}`]));
  expect(told.get('network')).toBe('detected eni: DaemonSet kube-system/terway-eniip');
  expect(told.get('proxyMode')).toBe('given nftables: --set');
  expect(told.get('cloud')).toBe('assumed generic: no node bears a sign of a cloud that is known');
  expect(told.get('masqueradeAll')).toBe('assumed false: what generic has unless told otherwise');
  expect([...told.keys()]).toEqual(Object.keys(specOf(profile)));
});
