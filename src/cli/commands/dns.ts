import type { DaemonOptions } from '../daemon.ts';

export interface DnsOptions extends DaemonOptions {
  readonly zone: string;
  readonly listen: string;
  readonly forward?: string;
}

export async function dns(options: DnsOptions): Promise<void> {
  throw new Error(`no DNS for ${options.zone} yet`);
}
