import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../objects.ts';
import { ALL_RESOURCES, RESOURCES, resourceOf } from '../resources.ts';
import { humanDuration, type Table, tableOf } from './table.ts';

const folder = new URL('testdata/', import.meta.url);
const NOW = Date.parse('2026-01-10T12:00:00Z');

/** The table as kubectl prints it, without and with `-o wide`. */
function printed(table: Table): string {
  const print = (priority: number): string => {
    const shown = table.columnDefinitions.flatMap((one, at) => (one.priority <= priority ? [at] : []));
    const lines = [
      shown.map((at) => table.columnDefinitions[at]?.name.toUpperCase() ?? ''),
      ...table.rows.map(({ cells }) => shown.map((at) => String(cells[at]))),
    ];
    const widths = shown.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
    return lines
      .map((line) =>
        line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('   ')
          .trimEnd(),
      )
      .join('\n');
  };
  return `$ kubectl get\n${print(0)}\n\n$ kubectl get -o wide\n${print(1)}\n`;
}

describe('tables', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));

  it('have a golden each', () => {
    expect(files.map((file) => file.replace('.yaml', '')).sort()).toEqual(
      ALL_RESOURCES.map(({ plural }) => plural).sort(),
    );
  });

  it.each(files)('%s', async (file) => {
    const documents = parseAllDocuments(readFileSync(new URL(file, folder), 'utf8'));
    const objects: KubeObject[] = documents.map((one) => one.toJS());
    const { apiVersion = '', kind = '' } = objects[0] ?? {};
    const resource = resourceOf(apiVersion, kind);
    if (resource === undefined) throw new Error(`no resource for ${apiVersion} ${kind}`);
    const table = tableOf(resource, objects, { now: NOW });
    for (const { cells } of table.rows) expect(cells).toHaveLength(table.columnDefinitions.length);
    const golden = new URL(file.replace('.yaml', '.txt'), folder).pathname;
    await expect(printed(table)).toMatchFileSnapshot(golden);
  });

  it('print a bare object of every resource', () => {
    for (const resource of ALL_RESOURCES) {
      const { columnDefinitions, rows } = tableOf(resource, [{}], { now: NOW });
      expect(rows[0]?.cells).toHaveLength(columnDefinitions.length);
      expect(rows[0]?.cells).not.toContain(undefined);
    }
  });

  const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } };

  it.each([
    ['None', null],
    ['Metadata', { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'web' } }],
    ['Object', pod],
  ] as const)('carry %s of the object', (includeObject, wanted) => {
    const table = tableOf(RESOURCES.pods, [pod], {
      now: NOW,
      includeObject,
      metadata: { resourceVersion: '7' },
    });
    expect(table.metadata).toEqual({ resourceVersion: '7' });
    expect(table.rows[0]?.object).toEqual(wanted);
  });

  it('mark pods that have run their course', () => {
    const done = { ...pod, status: { phase: 'Succeeded' } };
    expect(
      tableOf(RESOURCES.pods, [done, pod], { now: NOW }).rows.map(({ conditions }) => conditions),
    ).toEqual([
      [
        {
          type: 'Completed',
          status: 'True',
          reason: 'Succeeded',
          message: 'The pod has completed successfully.',
        },
      ],
      undefined,
    ]);
  });
});

describe('human durations', () => {
  it.each([
    [-2000, '<invalid>'],
    [-1500, '0s'],
    [0, '0s'],
    [5999, '5s'],
    [119_000, '119s'],
    [120_000, '2m'],
    [192_000, '3m12s'],
    [599_000, '9m59s'],
    [600_000, '10m'],
    [10_799_000, '179m'],
    [10_800_000, '3h'],
    [20_400_000, '5h40m'],
    [26_340_000, '7h19m'],
    [28_800_000, '8h'],
    [172_799_000, '47h'],
    [172_800_000, '2d'],
    [183_600_000, '2d3h'],
    [691_199_000, '7d23h'],
    [864_000_000, '10d'],
    [63_071_999_000, '729d'],
    [63_072_000_000, '2y'],
    [98_064_000_000, '3y40d'],
    [252_288_000_000, '8y'],
  ])('%d ms is %s', (milliseconds, wanted) => {
    expect(humanDuration(milliseconds)).toBe(wanted);
  });
});
