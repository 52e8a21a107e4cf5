import { DEFAULT_CONFIG, type DetectLocal, type ProxyConfig } from '../proxy/proxy.ts';
import { type ClusterProfile, rangesOf } from './profile.ts';
import { POD_BRIDGE, POD_LINK } from './wiring.ts';

/** What a cluster's profile says about its kube-proxy. */
export function proxyConfigOf(profile: ClusterProfile): ProxyConfig {
  return {
    ...DEFAULT_CONFIG,
    masqueradeAll: profile.masqueradeAll,
    detectLocal: detectorOf(profile),
    nodePortAddresses: profile.nodePortAddresses,
    serviceCIDRs: rangesOf(profile).map(({ serviceCIDR }) => serviceCIDR),
    localhostNodePorts: routesLocalhost(profile),
  };
}

/** Whether kube-proxy opens 127.0.0.0/8 to links (net.ipv4.conf.all.route_localnet), so that it can send node ports on from there. */
export const routesLocalhost = ({ localhostNodePorts, proxyMode }: ClusterProfile): boolean =>
  localhostNodePorts && proxyMode === 'iptables';

function detectorOf(profile: ClusterProfile): DetectLocal {
  const { detectLocal } = profile;
  switch (detectLocal) {
    case 'ClusterCIDR':
      return { mode: detectLocal, prefixes: rangesOf(profile).map(({ podCIDR }) => podCIDR) };
    case 'BridgeInterface':
      return { mode: detectLocal, bridge: POD_BRIDGE };
    case 'InterfaceNamePrefix':
      return { mode: detectLocal, prefix: POD_LINK };
    default:
      return { mode: detectLocal };
  }
}
