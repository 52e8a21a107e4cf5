import { aborted } from '../../client/clock.ts';
import { DEFAULT_LISTEN, parseUpstream, startDns } from '../../dns/dns.ts';
import { Endpoint } from '../../ip/ip.ts';
import { type DaemonOptions, daemonClient, daemonContext } from '../daemon.ts';

export interface DnsOptions extends DaemonOptions {
  readonly zone: string;
  readonly listen: string;
  readonly forward?: string;
}

/** The cluster DNS. */
export async function dns(options: DnsOptions): Promise<void> {
  const { log, signal, ready } = daemonContext('dns');
  const { addr, port } = Endpoint.parse(options.listen);
  const client = await daemonClient(options);
  const running = await startDns({
    client,
    zone: options.zone,
    listen: { ...DEFAULT_LISTEN, address: addr.text, port },
    ...(options.forward === undefined ? {} : { forward: [parseUpstream(options.forward)] }),
    signal,
    log,
  });
  await running.synced;
  ready();
  await aborted(signal);
  await running.close();
  await client.close();
}
