import type { DaemonOptions } from '../daemon.ts';

export interface DnsOptions extends DaemonOptions {
  readonly zone: string;
  readonly listen: string;
  readonly forward?: string;
}

export async function dns(_options: DnsOptions): Promise<void> {}
