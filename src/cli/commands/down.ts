import { setTimeout as delay } from 'node:timers/promises';
import { DataFolder, startTimeOf } from '../../cluster/data-folder.ts';
import { Fault } from '../../fault/fault.ts';

const BOUND_MS = 20_000;

/** Asks the supervisor to end and waits until its process is gone. */
export async function down(options: { readonly data: string }): Promise<void> {
  const { pid, startTime } = new DataFolder(options.data).running();
  process.kill(pid, 'SIGTERM');
  const end = performance.now() + BOUND_MS;
  while (startTimeOf(pid) === startTime) {
    if (performance.now() > end) {
      throw new Fault(
        'FE003',
        `the supervisor (process ${pid}) did not end within ${BOUND_MS} ms`,
        `kill -9 ${pid}`,
      );
    }
    await delay(50);
  }
  process.stderr.write('the cluster is down; its objects are kept for the next start\n');
}
