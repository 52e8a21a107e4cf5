import { type ClusterProfile, versionText } from '../world/profile.ts';

/** The cluster an answer is about, in one line. */
export function profileText({ cloud, network, proxyMode, kubernetesVersion }: ClusterProfile): string {
  return `${cloud}, network ${network}, kube-proxy ${proxyMode}, Kubernetes ${versionText(kubernetesVersion)}`;
}
