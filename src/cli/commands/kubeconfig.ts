import { readFileSync } from 'node:fs';
import { DataFolder } from '../../cluster/data-folder.ts';

/** Prints the kubeconfig of the running cluster. */
export function kubeconfig(options: { readonly data: string }): void {
  const folder = new DataFolder(options.data);
  folder.running();
  process.stdout.write(readFileSync(folder.kubeconfig, 'utf8'));
}
