import { isAtLeast, versionText } from '../../../world/profile.ts';
import type { Finding } from '../finding.ts';
import type { LintSet } from '../lint-set.ts';

/** FL032: what becomes of IPVS, by the version the cluster has (KEP-5495). */
export function* ipvsDeprecated({ profile, profileManifest }: LintSet): Generator<Finding> {
  if (profile?.proxyMode !== 'ipvs') return;
  const { kubernetesVersion: version } = profile;
  const gone = isAtLeast(version, 1, 43);
  const off = isAtLeast(version, 1, 40);
  const warned = isAtLeast(version, 1, 35);
  yield {
    code: 'FL032',
    severity: gone || off ? 'error' : warned ? 'warning' : 'note',
    object: `ClusterProfile ${profile.name}`,
    place: profileManifest?.place(['spec', 'proxyMode']) ?? '',
    message: `kube-proxy runs in IPVS mode with Kubernetes ${versionText(version)}: ${
      gone
        ? 'the mode is gone since 1.43'
        : off
          ? 'it is off by default since 1.40 and gone in 1.43'
          : 'it is deprecated since 1.35, off by default in 1.40 and gone in 1.43'
    }`,
    cure: 'see what changes with: fairlead diff --to proxyMode=nftables',
  };
}
