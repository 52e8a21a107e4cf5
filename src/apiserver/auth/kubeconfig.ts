import { stringify } from 'yaml';
import type { Pki } from './pki.ts';

export interface KubeconfigOptions {
  /** E.g. `https://127.0.0.1:6443`. */
  readonly server: string;
  /** The name of cluster, context and user; `fairlead` unless given. */
  readonly name?: string;
  readonly namespace?: string;
}

/** A kubeconfig of the administrator, as YAML. It holds a private key: write it with mode 0600. */
export function kubeconfigFor(pki: Pki, options: KubeconfigOptions): string {
  const { server, name = 'fairlead', namespace } = options;
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(pki.ca) } }],
      users: [
        {
          name,
          user: {
            'client-certificate-data': base64(pki.admin.certificate),
            'client-key-data': base64(pki.admin.key),
          },
        },
      ],
      contexts: [
        { name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } },
      ],
      'current-context': name,
    },
    { lineWidth: 0 },
  );
}
