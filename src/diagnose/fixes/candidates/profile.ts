import { isAtLeast, type ProfileSpec } from '../../../world/profile.ts';
import type { Attempt, Candidate } from '../fix.ts';

const attempt = (title: string, profile: ProfileSpec, ...costs: readonly string[]): Attempt => ({
  title,
  patch: { profile },
  costs,
});

const WHOLE = 'it is a change of every node, for every Service; see fairlead diff first';

/** Another kube-proxy mode. */
export const otherMode: Candidate = function* ({ cluster }) {
  const { proxyMode, kubernetesVersion } = cluster.profile;
  if (proxyMode !== 'ipvs') return;
  if (isAtLeast(kubernetesVersion, 1, 31)) {
    yield attempt('run kube-proxy in nftables mode', { proxyMode: 'nftables' }, WHOLE, 'needs kernel 5.13');
  }
  yield attempt(
    'run kube-proxy in iptables mode',
    { proxyMode: 'iptables' },
    WHOLE,
    'slower with many Services',
  );
};

/** IPVS has sent on from nodes without an endpoint since 1.24. */
export const otherVersion: Candidate = function* ({ cluster }) {
  const { proxyMode, kubernetesVersion } = cluster.profile;
  if (proxyMode !== 'ipvs' || isAtLeast(kubernetesVersion, 1, 24)) return;
  yield attempt(
    'upgrade to Kubernetes 1.24',
    { kubernetesVersion: '1.24' },
    WHOLE,
    'clients elsewhere may time out where they were refused',
  );
};

/** Everything to a clusterIP masqueraded, so that answers come back to the node. */
export const masqueradeAll: Candidate = function* ({ cluster, dialled }) {
  if (cluster.profile.masqueradeAll || dialled?.by !== 'clusterIP') return;
  yield attempt(
    'run kube-proxy with --masquerade-all',
    { masqueradeAll: true },
    WHOLE,
    "pods see a node's address for clients inside",
  );
};

/** A kube-proxy that can tell a pod of its node. */
export const localDetector: Candidate = function* ({ cluster }) {
  if (cluster.profile.detectLocal !== 'None') return;
  yield attempt(
    'let kube-proxy recognise local pods (detectLocalMode: ClusterCIDR)',
    { detectLocal: 'ClusterCIDR' },
    WHOLE,
  );
};
