import { aborted } from '../../client/clock.ts';
import { runControllers } from '../../controllers/controllers.ts';
import { Prefix } from '../../ip/ip.ts';
import { type DaemonOptions, daemonClient, daemonContext } from '../daemon.ts';

export interface ControllersOptions extends DaemonOptions {
  readonly podCidr: string;
}

/** Controllers and scheduler alone, against any API server that serves our kinds. */
export async function controllers(options: ControllersOptions): Promise<void> {
  const { log, signal, ready } = daemonContext('controllers');
  const client = await daemonClient(options);
  const running = runControllers({ client, signal, podCIDR: Prefix.parse(options.podCidr), log });
  await running.synced;
  ready();
  await aborted(signal);
  await running.ended();
  await client.close();
}
