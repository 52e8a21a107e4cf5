/** docs/proxy.md: it names what there is. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { program } from '../../src/cli/program.ts';
import { ProxyMetrics } from '../../src/sync/metrics.ts';

const page = readFileSync(new URL('../../docs/proxy.md', import.meta.url), 'utf8');

it.each(['nftables', 'iptables', 'ipvs'] as const)('has every metric of mode %s', (mode) => {
  const { registry } = new ProxyMetrics(mode);
  for (const { name } of registry.getMetricsAsArray()) expect(page).toContain(`\`${name}\``);
});

it('has every option of the command', () => {
  const command = program().commands.find((one) => one.name() === 'proxy');
  const options = command?.options.map(({ long }) => long ?? '') ?? [];
  expect(options).toContain('--cleanup');
  for (const option of options) expect(page).toContain(`\`${option}`);
});
