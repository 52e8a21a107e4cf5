/** The proxy configurations the vectors are run under, by the names the data calls them. */
import { Prefix } from '../../src/ip/ip.ts';
import { DEFAULT_CONFIG, type IpvsOptions, type ProxyConfig } from '../../src/proxy/proxy.ts';

type Configuration = ProxyConfig & IpvsOptions;

const nodeCIDR: ProxyConfig = {
  ...DEFAULT_CONFIG,
  detectLocal: { mode: 'NodeCIDR' },
  serviceCIDRs: [Prefix.parse('10.247.0.0/16'), Prefix.parse('fd00:247::/112')],
};
const clusterCIDRs = [Prefix.parse('172.16.0.0/16'), Prefix.parse('fd00:172:16::/48')];

export const CONFIGURATIONS = {
  nodeCIDR,
  clusterCIDR: { ...nodeCIDR, detectLocal: { mode: 'ClusterCIDR', prefixes: clusterCIDRs } },
  /** Every pod of the node. */
  interfacePrefix: { ...nodeCIDR, detectLocal: { mode: 'InterfaceNamePrefix', prefix: 'cali-' } },
  /** Only `pod` is behind it; to the rules it makes no difference whether the interface is a bridge. */
  bridge: { ...nodeCIDR, detectLocal: { mode: 'BridgeInterface', bridge: 'cali-pod' } },
  noDetector: { ...nodeCIDR, detectLocal: { mode: 'None' } },
  masqueradeAll: { ...nodeCIDR, masqueradeAll: true },
  masqueradeAllNoDetector: { ...nodeCIDR, masqueradeAll: true, detectLocal: { mode: 'None' } },
  localhostNodePorts: { ...nodeCIDR, localhostNodePorts: true },
  /** Node ports on the node's network, where its second address is not. */
  nodePortAddresses: {
    ...nodeCIDR,
    nodePortAddresses: [Prefix.parse('192.168.0.0/24'), Prefix.parse('fd00:192::/64')],
  },
  /** Of IPv6 nothing is said. */
  nodePortAddressesIPv4: { ...nodeCIDR, nodePortAddresses: [Prefix.parse('192.168.0.0/24')] },
  primary: { ...nodeCIDR, nodePortAddresses: 'primary' },
  /** Before 1.24, 1.26 and 1.29, each of which changed IPVS mode; the other modes are the same in all. */
  kubernetes122: { ...nodeCIDR, kubernetesVersion: { major: 1, minor: 22 } },
  kubernetes125: { ...nodeCIDR, kubernetesVersion: { major: 1, minor: 25 } },
  kubernetes128: { ...nodeCIDR, kubernetesVersion: { major: 1, minor: 28 } },
} as const satisfies Record<string, Configuration>;

export type ConfigurationName = keyof typeof CONFIGURATIONS;

export const configurationOf = (name: ConfigurationName): Configuration => CONFIGURATIONS[name];
