import { DEFAULT_CONFIG, type DetectLocal, type ProxyConfig } from '../proxy/proxy.ts';
import type { ClusterProfile } from './profile.ts';

/** What a cluster's profile says about its kube-proxy. */
export function proxyConfigOf(profile: ClusterProfile): ProxyConfig {
  return {
    ...DEFAULT_CONFIG,
    masqueradeAll: profile.masqueradeAll,
    detectLocal: detectorOf(profile),
    serviceCIDRs: [profile.serviceCIDR],
  };
}

function detectorOf({ detectLocal, podCIDR }: ClusterProfile): DetectLocal {
  return detectLocal === 'ClusterCIDR' ? { mode: 'ClusterCIDR', prefixes: [podCIDR] } : { mode: detectLocal };
}
