/** Bad input: the HTTP status, the Status reason and the field paths that upstream gives, and starts that cannot be. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Exec } from '../src/exec/exec.ts';
import type { Status } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { service } from './manifests.ts';
import { Stand } from './stand.ts';
import { fairlead } from './supervisor.ts';

let stand: Stand;
let k: Kubectl;
let server: string;
let token: string;

beforeAll(async () => {
  stand = await Stand.up('--nodes', '1');
  k = await stand.kubectl('refusals');
  const { clusters } = parse(readFileSync(stand.data.kubeconfig, 'utf8')) as {
    clusters: { cluster: { server: string } }[];
  };
  server = clusters[0]?.cluster.server ?? '';
  token = await k.ok('create', 'token', 'default');
});
afterAll(() => stand.down());

interface Request {
  readonly method?: string;
  readonly body?: string;
  readonly type?: string;
  readonly token?: string | null;
}

/** A request by curl; the HTTP status and the body. */
async function ask(path: string, request: Request = {}): Promise<{ code: number; text: string }> {
  const given = request.token === undefined ? token : request.token;
  const args = [
    '-sSk',
    '--noproxy',
    '*',
    '--max-time',
    '10',
    '-w',
    '\n%{http_code}',
    '-X',
    request.method ?? 'GET',
  ];
  if (given !== null) args.push('-H', `Authorization: Bearer ${given}`);
  if (request.body !== undefined) {
    args.push('-H', `Content-Type: ${request.type ?? 'application/json'}`, '--data-binary', '@-');
  }
  const { stdout } = await new Exec().run({
    file: 'curl',
    args: [...args, server + path],
    ...(request.body === undefined ? {} : { stdin: request.body }),
  });
  const end = stdout.lastIndexOf('\n');
  return { code: Number(stdout.slice(end + 1)), text: stdout.slice(0, end) };
}

/** The Status of a refusal. */
async function refusal(path: string, request: Request = {}): Promise<Status> {
  const { code, text } = await ask(path, request);
  const status = JSON.parse(text) as Status;
  expect(status).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code });
  return status;
}

const SERVICES = '/api/v1/namespaces/refusals/services';
const post = (body: object, path = SERVICES) => refusal(path, { method: 'POST', body: JSON.stringify(body) });
const fields = ({ details }: Status) => details?.causes?.map(({ field, reason }) => `${field} ${reason}`);

describe('an invalid Service is refused with the field', () => {
  it.each([
    ['port 0', { ports: [{ port: 0, targetPort: 80 }] }, ['spec.ports[0].port FieldValueInvalid']],
    [
      'two equal node ports',
      {
        type: 'NodePort',
        ports: [
          { name: 'a', port: 1, nodePort: 30_100 },
          { name: 'b', port: 2, nodePort: 30_100 },
        ],
      },
      ['spec.ports[1].nodePort FieldValueDuplicate'],
    ],
    ['a clusterIP outside the range', { clusterIP: '10.1.1.1' }, ['spec.clusterIPs FieldValueInvalid']],
    ['a clusterIP that is none', { clusterIP: 'here' }, ['spec.clusterIPs[0] FieldValueInvalid']],
    [
      'a node port outside the range',
      { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] },
      ['spec.ports[0].nodePort FieldValueInvalid'],
    ],
    ['no port', { ports: [] }, ['spec.ports FieldValueRequired']],
    [
      'ports without names',
      { ports: [{ port: 1 }, { port: 2 }] },
      ['spec.ports[0].name FieldValueRequired', 'spec.ports[1].name FieldValueRequired'],
    ],
    ['an unknown type', { type: 'Elsewhere' }, ['spec.type FieldValueNotSupported']],
    [
      'an unknown protocol',
      { ports: [{ port: 1, protocol: 'ICMP' }] },
      ['spec.ports[0].protocol FieldValueNotSupported'],
    ],
    [
      'a policy for outside traffic without such traffic',
      { externalTrafficPolicy: 'Local' },
      ['spec.externalTrafficPolicy FieldValueInvalid'],
    ],
    ['a selector value that is no label', { selector: { app: 'a b' } }, ['spec.selector FieldValueInvalid']],
  ])('%s', async (_what, spec, causes) => {
    const status = await post(service('wrong', spec));
    expect(status).toMatchObject({
      code: 422,
      reason: 'Invalid',
      details: { name: 'wrong', kind: 'Service' },
    });
    expect(fields(status)).toEqual(causes);
  });

  it('a name that is no DNS label, a node port and a clusterIP that others have', async () => {
    expect(fields(await post(service('Wrong_Name')))).toEqual(['metadata.name FieldValueInvalid']);
    const address = { clusterIP: '10.247.77.77', type: 'NodePort', ports: [{ port: 1, nodePort: 30_101 }] };
    await k.send(['create', '-f', '-'], [service('first', address)]);
    const sameAddress = await post(service('second', { clusterIP: '10.247.77.77' }));
    expect(fields(sameAddress)).toEqual(['spec.clusterIPs FieldValueInvalid']);
    expect(sameAddress.message).toContain('provided IP is already allocated');
    const samePort = await post(service('second', { type: 'NodePort', ports: address.ports }));
    expect(fields(samePort)).toEqual(['spec.ports[0].nodePort FieldValueInvalid']);
    expect(samePort.message).toContain('provided port is already allocated');
    await k.ok('delete', 'svc', 'first');
    await k.send(['create', '-f', '-'], [service('second', address)]);
  });
});

describe('a request is refused', () => {
  it('without credentials or with wrong ones, whatever it asks for, save health and version', async () => {
    for (const path of ['/', '/api', '/apis', '/openapi/v3', SERVICES, '/nothing', '/metrics']) {
      for (const wrong of [null, 'wrong', `${token}x`]) {
        expect(await refusal(path, { token: wrong })).toMatchObject({ code: 401, reason: 'Unauthorized' });
      }
    }
    for (const path of ['/livez', '/readyz', '/version'])
      expect((await ask(path, { token: null })).code).toBe(200);
  });

  it.each([
    ['an unknown resource', '/api/v1/namespaces/refusals/nothings', 404, 'NotFound'],
    ['an unknown group', '/apis/example.com/v1/things', 404, 'NotFound'],
    ['an object that is not there', `${SERVICES}/nothing`, 404, 'NotFound'],
    ['a selector that is none', `${SERVICES}?labelSelector=a%20b%20c`, 400, 'BadRequest'],
    ['a field that cannot be selected by', `${SERVICES}?fieldSelector=spec.nothing%3Dx`, 400, 'BadRequest'],
    ['a watch from a revision of another world', `${SERVICES}?watch=1&resourceVersion=abc`, 400, undefined],
  ])('for %s', async (_what, path, code, reason) => {
    const status = await refusal(path);
    expect(status.code).toBe(code);
    if (reason !== undefined) expect(status.reason).toBe(reason);
  });

  it('with a body that is not the kind, the fields or the syntax of the path', async () => {
    const wrongKind = await post({ ...service('wrong'), kind: 'Servce' });
    expect(wrongKind).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(wrongKind.message).toContain('no kind "Servce" is registered for version "v1"');
    const unknown = await post(service('wrong', { prots: [] }), `${SERVICES}?fieldValidation=Strict`);
    expect(unknown).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(unknown.message).toContain('strict decoding error: unknown field "spec.prots"');
    const noMap = await post(service('wrong', { selector: 'app=web' }));
    expect(noMap).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(noMap.message).toMatch(
      /cannot unmarshal string into Go struct field .*selector of type map\[string\]string/,
    );
    const yaml = 'apiVersion: v1\nkind: Service\n  metadata: {}\n';
    for (const [body, type] of [
      [yaml, 'application/yaml'],
      ['{"kind": "Service",', 'application/json'],
      ['', 'application/json'],
    ] as const) {
      expect(await refusal(SERVICES, { method: 'POST', body, type })).toMatchObject({
        code: 400,
        reason: 'BadRequest',
      });
    }
    expect(await refusal(SERVICES, { method: 'POST', body: 'x', type: 'text/plain' })).toMatchObject({
      code: 415,
      reason: 'UnsupportedMediaType',
    });
    const elsewhere = await post({ ...service('wrong'), metadata: { name: 'wrong', namespace: 'other' } });
    expect(elsewhere).toMatchObject({ code: 400, reason: 'BadRequest' });
    expect(await post(service('wrong'), '/api/v1/namespaces/nowhere/services')).toMatchObject({
      code: 404,
      reason: 'NotFound',
    });
  });

  it('with a body over 3 MB', async () => {
    const data = { a: 'x'.repeat(3_200_000) };
    const big = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data };
    expect(await post(big, '/api/v1/namespaces/refusals/configmaps')).toMatchObject({
      code: 413,
      reason: 'RequestEntityTooLarge',
    });
    expect((await ask('/readyz')).code).toBe(200);
  });

  it('for an update of what has changed meanwhile, and of what cannot change', async () => {
    await k.send(['create', '-f', '-'], [service('kept')]);
    const stored = await k.json<{ metadata: object; spec: object }>('svc', 'kept');
    const put = (object: object) =>
      refusal(`${SERVICES}/kept`, { method: 'PUT', body: JSON.stringify(object) });
    expect(await put({ ...stored, metadata: { ...stored.metadata, resourceVersion: '1' } })).toMatchObject({
      code: 409,
      reason: 'Conflict',
    });
    const moved = await put({
      ...stored,
      spec: { ...stored.spec, clusterIP: '10.247.9.9', clusterIPs: ['10.247.9.9'] },
    });
    expect(moved).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(fields(moved)).toEqual(['spec.clusterIPs[0] FieldValueInvalid']);
    expect(await post(service('kept'))).toMatchObject({ code: 409, reason: 'AlreadyExists' });
  });
});

describe('fairlead says in one sentence what keeps it from starting, with the cure', () => {
  let data: string;
  beforeAll(() => {
    data = mkdtempSync(join(tmpdir(), 'fairlead-refused-'));
  });
  afterAll(() => rmSync(data, { recursive: true }));

  it('a port that is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const { code, stderr } = await fairlead(['up', '--data', data, '--port', String(port)]);
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `fairlead: FE005: 127.0.0.1:${port} is already taken (choose another with --port, or --port 0 for a free one)\n`,
    );
  });

  it('a data folder that cannot be, and a pod that is not there', async () => {
    const file = join(data, 'file');
    writeFileSync(file, '');
    const up = await fairlead(['up', '--data', file]);
    expect(up).toMatchObject({ code: 1 });
    expect(up.stderr).toBe(
      `fairlead: FE006: the data folder ${file} cannot be made: ENOTDIR (name one of yours with --data)\n`,
    );
    const enter = await fairlead(['enter', '--data', stand.data.path, 'pod/none', 'true']);
    expect(enter).toMatchObject({ code: 1, stderr: 'fairlead: pods "none" not found\n' });
  });

  it('tools that are missing', async () => {
    // In a mount namespace of its own, where what cannot be run covers them.
    const covered = join(data, 'covered');
    writeFileSync(covered, '', { mode: 0o644 });
    const script =
      'for tool in nft crun; do mount --bind "$1" "$(readlink -f "$(command -v $tool)")" || exit 9; done; shift; exec "$@"';
    const main = new URL('../src/cli/main.ts', import.meta.url).pathname;
    const users = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const { code, stderr } = await new Exec().run({
      file: 'unshare',
      args: [
        ...users,
        '--mount',
        'sh',
        '-c',
        script,
        'sh',
        covered,
        process.execPath,
        main,
        'up',
        '--data',
        data,
      ],
      accept: [0, 1],
    });
    expect(code).toBe(1);
    expect(stderr).toBe(
      "fairlead: FE001: this host: the tools 'nft', 'crun' are missing (apt-get install nftables crun)\n",
    );
  });
});
