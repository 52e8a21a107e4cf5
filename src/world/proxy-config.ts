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
  };
}

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
