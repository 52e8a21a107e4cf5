/** What `fairlead why` says of names that match nothing, and of files that lack facts or contradict themselves. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fairlead } from './supervisor.ts';

const EXAMPLE = new URL('../examples/three-nodes.yaml', import.meta.url).pathname;
const text = readFileSync(EXAMPLE, 'utf8');

/** The line of the first match, counted from one. */
const lineOf = (some: string, pattern: RegExp): number =>
  some.slice(0, some.search(pattern)).split('\n').length;

describe.concurrent('names that match nothing', () => {
  it.each<[string, string[], string]>([
    [
      'a pod',
      ['pod/gone', 'svc/nginx'],
      "there is no pod 'default/gone' (there are: default/far, default/near, default/nginx-0)",
    ],
    ['a node', ['node/n9', 'svc/nginx'], "there is no node 'n9' (there are: n1, n2, n3)"],
    ['a Service', ['pod/far', 'svc/web'], "there is no service 'default/web' (there are: default/nginx)"],
    [
      'a port',
      ['pod/far', 'svc/nginx:443'],
      "there is no port of service 'default/nginx' '443' (there are: http (80))",
    ],
    [
      'a DNS name',
      ['pod/far', 'web.default:80'],
      "there is no name 'web.default' (there are: nginx.default)",
    ],
    ['a machine', ['host/db', 'svc/nginx'], "there is no host 'db' (there are: "],
    [
      'the node of a node port',
      ['pod/far', 'svc/nginx', '--at', 'nodePort', '--node', 'n9'],
      "there is no node 'n9' (there are: n1, n2, n3)",
    ],
    [
      'no node for a node port',
      ['pod/far', 'svc/nginx', '--at', 'nodePort'],
      'a node port needs its node (add --node n1 | n2 | n3)',
    ],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await fairlead(['why', ...args, '-f', EXAMPLE]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
  });
});

describe.concurrent('files that lack facts or contradict themselves', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-bad-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function written(name: string, some: string): string {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, some);
    return file;
  }

  it('what is missing is named with its line, left out, and missed only by who asks for it', async () => {
    const lacking = text
      .replace('podIP: 10.0.2.11, ', '')
      .replace('{ type: InternalIP, address: 192.168.0.13 }, ', '');
    const file = written('lacking', lacking);
    const far = `${file}:${lineOf(lacking, /^status: \{ phase: Running, conditions/m)}: pod 'default/far' has no address: left out`;
    const n3 = `${file}:${lineOf(lacking, /^ {2}\{ addresses: \[\{ type: ExternalIP/m)}: node 'n3' has no InternalIP: left out`;
    const other = await fairlead(['why', 'pod/near', 'svc/nginx', '-f', file]);
    expect(other.code).toBe(0);
    expect(other.stderr).toContain(far);
    expect(other.stderr).toContain(n3);
    for (const [from, why] of [
      ['pod/far', far],
      ['node/n3', n3],
    ] as const) {
      const { code, stderr } = await fairlead(['why', from, 'svc/nginx', '-f', file]);
      expect(code).toBe(1);
      expect(stderr).toContain(`FE013: ${why} (complete it)`);
    }
  });

  it.each<[string, (some: string) => string, RegExp, string]>([
    [
      'two pods of one address',
      (some) => some.replace('10.0.1.11', '10.0.1.10'),
      /^kind: Pod\nmetadata: \{ name: near/m,
      "the address 10.0.1.10 of pod 'default/near' is taken",
    ],
    [
      'a pod outside of the range of its node',
      (some) => some.replace('10.0.2.11', '10.0.1.99'),
      /^kind: Pod\nmetadata: \{ name: far/m,
      "pod 'default/far' has the address 10.0.1.99, which is not in 10.0.2.0/24 of node 'n2'",
    ],
    [
      'a node outside of the VPC',
      (some) => some.replace('192.168.0.13', '172.31.0.13'),
      /^kind: Node\nmetadata: \{ name: n3/m,
      "node 'n3' has the address 172.31.0.13, which is not in the VPC 192.168.0.0/16",
    ],
  ])('%s', async (name, change, at, message) => {
    const changed = change(text);
    const file = written(name.replaceAll(' ', '-'), changed);
    const { code, stderr } = await fairlead(['why', 'pod/near', 'svc/nginx', '-f', file]);
    expect(code).toBe(1);
    // The object begins with its apiVersion.
    expect(stderr).toContain(`FE011: ${file}:${lineOf(changed, at) - 1}: ${message}`);
  });
});
