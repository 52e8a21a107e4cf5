/** As in `ClusterProfile`. */
export interface KubernetesVersion {
  readonly major: number;
  readonly minor: number;
}

export interface IpvsOptions {
  /** Whose kube-proxy to be like; the newest if left out. */
  readonly kubernetesVersion?: KubernetesVersion | undefined;
  /** How a virtual server spreads its connections, by a name the kernel knows (ipvsadm(8)); `rr` if left out. */
  readonly scheduler?: string | undefined;
}

/** What kube-proxy came to do differently in IPVS mode. */
export interface IpvsBehaviour {
  /** 1.24 (kubernetes 97081): with policy Local and no local endpoint every endpoint is a destination; before, none. */
  readonly fallsBackToAll: boolean;
  /** 1.26 (kubernetes 108460): ports of a bound address that are no Service's are refused; before, the node answered. */
  readonly guardsBoundAddresses: boolean;
  /** 1.29 (kubernetes 119791): the node itself is held to loadBalancerSourceRanges, too. */
  readonly holdsNodeToSourceRanges: boolean;
}

export function behaviourOf({ kubernetesVersion }: IpvsOptions): IpvsBehaviour {
  const since = (minor: number) =>
    kubernetesVersion === undefined || kubernetesVersion.major > 1 || kubernetesVersion.minor >= minor;
  return {
    fallsBackToAll: since(24),
    guardsBoundAddresses: since(26),
    holdsNodeToSourceRanges: since(29),
  };
}
