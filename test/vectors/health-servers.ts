/** A program for {@link startHealthServers}: the proxy's health servers, without the rest of the proxy. */
import { text } from 'node:stream/consumers';
import { SYSTEM_CLOCK } from '../../src/client/clock.ts';
import { lineLog } from '../../src/fault/log.ts';
import { HealthServers } from '../../src/sync/health.ts';
import { DEFAULT_INTERVALS } from '../../src/sync/intervals.ts';
import { ProxyMetrics } from '../../src/sync/metrics.ts';
import type { Checked } from './health.ts';

const checked: Checked[] = JSON.parse(await text(process.stdin));
const log = lineLog(
  (line) => process.stderr.write(`${line}\n`),
  () => new Date(),
);
const metrics = new ProxyMetrics('nftables');
const servers = new HealthServers({
  clock: SYSTEM_CLOCK,
  metrics,
  log,
  lateMs: DEFAULT_INTERVALS.lateMs,
});
const plans = checked.map((one) => ({ ...one, ports: [] }));
servers.synced(plans.map((plan) => ({ name: plan.name, plan })));
await Promise.all(checked.map(({ healthCheck }) => fetch(`http://127.0.0.1:${healthCheck.port}/`)));
process.stdout.write('answering\n');
