import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The product's own files, as pods that run the product need them: real paths to bind into a container. */
export interface Product {
  readonly responder: string;
  readonly parts: readonly { readonly name: string; readonly source: string }[];
}

/** This checkout or installation, found from where this module lies: <root>/src/kubelet or <root>/dist/kubelet. */
export function thisProduct(): Product {
  const path = (relative: string) => realpathSync(fileURLToPath(new URL(relative, import.meta.url)));
  return {
    responder: path('./workloads/responder.pl'),
    parts: [
      { name: 'node', source: realpathSync(process.execPath) },
      { name: 'package.json', source: path('../../package.json') },
      { name: 'node_modules', source: path('../../node_modules') },
      { name: 'src', source: path('..') },
    ],
  };
}
