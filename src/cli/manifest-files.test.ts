import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assignment, readManifests } from './manifest-files.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-manifests-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const object = (name: string) => `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n`;

describe('files of manifests', () => {
  it('reads a folder with all that is below it, by name, and nothing that is no YAML or JSON', () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'b.yaml'), `${object('b')}---\n${object('c')}`);
    writeFileSync(join(folder, 'a.json'), '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}');
    writeFileSync(join(folder, 'README.md'), 'no: [manifest');
    writeFileSync(join(folder, 'sub', 'd.yml'), object('d'));
    const found = readManifests([folder]);
    expect(found.map(({ value }) => (value.metadata as { name: string }).name)).toEqual(['a', 'b', 'c', 'd']);
    expect(found[2]?.place(['metadata', 'name'])).toBe(`${join(folder, 'b.yaml')}:7`);
  });

  it('names what cannot be read, and the line of what cannot be parsed', () => {
    expect(() => readManifests([join(folder, 'gone.yaml')])).toThrow(/gone\.yaml: ENOENT/);
    const broken = join(folder, 'broken.yaml');
    writeFileSync(broken, 'kind: Node\nmetadata: {name: [}\n');
    expect(() => readManifests([broken])).toThrow(`${broken}:2: `);
  });

  it('takes assignments one over the other, and nothing else', () => {
    expect(assignment('a=2=3', assignment('b=1', { a: '1' }))).toEqual({ a: '2=3', b: '1' });
    expect(() => assignment('proxyMode')).toThrow(/is no key=value/);
  });
});
