import { describe, expect, it } from 'vitest';
import { rangesOf, specOf } from '../../world/profile.ts';
import type { CauseCode } from '../causes/registry.ts';
import { NO_COLOURS } from '../palette.ts';
import { causeText, readCluster } from '../test-examples.ts';
import { type Diff, diffJson, diffOf } from './diff.ts';
import { diffText } from './text.ts';

function diffFor(example: CauseCode, to: Readonly<Record<string, string>>): Diff {
  const { cluster, inventory } = readCluster(causeText(example));
  return diffOf(cluster, inventory, to);
}

const linesOf = ({ cells }: Diff) =>
  cells.map(
    ({ client, target, kind, before, after }) =>
      `${kind} ${client} ${target}: ${before.verdict} ${before.cause?.code ?? ''} > ${after.verdict} ${after.cause?.code ?? ''}`,
  );

describe('diff', () => {
  it('of nothing that counts is empty', () => {
    const { cells, compared, onlyBefore, onlyAfter } = diffFor('FL018', { kubernetesVersion: '1.29' });
    expect({ cells, onlyBefore, onlyAfter }).toEqual({ cells: [], onlyBefore: [], onlyAfter: [] });
    expect(compared).toBeGreaterThan(20);
  });

  it('from IPVS to nftables, policy Local through a tunnel', () => {
    expect(linesOf(diffFor('FL018', { proxyMode: 'nftables' }))).toEqual([
      'better node:other ownNode.private: timeout FL018 > reached ',
      'worse pod:other ownNode.private: reached  > timeout FL001',
    ]);
  });

  it('from 1.28 back to 1.22: refused where it was silent, and pods of a node without endpoint lose it', () => {
    const diff = diffFor('FL018', { kubernetesVersion: '1.22' });
    const kinds = Map.groupBy(diff.cells, ({ kind }) => kind);
    expect(kinds.get('worse')?.map(({ client, target }) => `${client} ${target}`)).toEqual([
      'pod:other ownNode.private',
    ]);
    const failures = kinds.get('failure') ?? [];
    expect(failures.length).toBeGreaterThan(5);
    expect(new Set(failures.map(({ after }) => after.verdict))).toEqual(new Set(['refused']));
  });

  it('from a tunnel to ENI gives pods addresses of the VPC, and settings their new defaults', () => {
    const { after, isRenumbered, cells } = diffFor('FL001', { network: 'eni' });
    expect(isRenumbered).toBe(true);
    expect(after.vpcCIDR.covers(after.podCIDR)).toBe(true);
    expect(specOf(after)).toMatchObject({ masqueradeAll: false, detectLocal: 'ClusterCIDR' });
    expect(cells.filter(({ kind }) => kind === 'endpoint')).toEqual([]);
    expect(cells).toContainEqual(
      expect.objectContaining({ client: 'vpc-host', target: 'podIP', kind: 'better' }),
    );
  });

  it('gives pods of both families addresses of the VPC in both', () => {
    const { after, isRenumbered, cells } = diffFor('FL045', { network: 'eni' });
    expect(isRenumbered).toBe(true);
    for (const { vpcCIDR, podCIDR } of rangesOf(after)) expect(vpcCIDR.covers(podCIDR)).toBe(true);
    // Machines of the VPC reach the pods now, by either address.
    expect(
      cells.filter(({ kind }) => kind === 'better').map(({ client, target }) => `${client} ${target}`),
    ).toEqual(expect.arrayContaining(['vpc-host podIP', 'vpc-host podIP.IPv6']));
  });

  it('prints for a person and for a program', () => {
    const diff = diffFor('FL018', { proxyMode: 'nftables' });
    expect(diffText(diff, NO_COLOURS)).toContain(
      [
        'no longer reached (1)',
        '  pod:other  svc/default/web  ownNode.private  reached → timeout FL001',
        '',
        'reached from then on (1)',
        '  node:other  svc/default/web  ownNode.private  timeout FL018 → reached',
      ].join('\n'),
    );
    expect(diffJson(diff).cells[1]).toMatchObject({
      service: 'default/web',
      kind: 'worse',
      after: { verdict: 'timeout', cause: 'FL001' },
    });
  });

  it('refuses what cannot be', () => {
    expect(() => diffFor('FL018', {})).toThrow(/nothing is to change/);
    expect(() => diffFor('FL018', { proxyMode: 'ebpf' })).toThrow(/'ebpf' is no proxyMode/);
    expect(() => diffFor('FL018', { vpcCIDR: '10.0.0.0/8' })).toThrow(/overlaps/);
  });
});
