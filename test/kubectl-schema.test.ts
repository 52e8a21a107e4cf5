/**
 * The schema against every real kubectl from 1.28 to 1.33: a small server on loopback serves our OpenAPI documents and
 * legacy discovery, decodes what kubectl sends and applies its patches.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec, type Output } from '../src/exec/exec.ts';
import { ALL_RESOURCES, apiVersionOf, RESOURCES } from '../src/kube/resources.ts';
import { openApiTextAt, subresourceKind } from '../src/kube/schema/openapi.ts';
import {
  applyPatch,
  decodeBody,
  decodePatched,
  type GroupVersionKind,
  type JsonObject,
  parseFieldValidation,
  RequestProblem,
} from '../src/kube/schema/schema.ts';
import { kubectlOf, VERSIONS } from './kubectl.ts';

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly type: string;
  readonly object: JsonObject;
}

const ACCESS_REVIEW = { group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectAccessReview' };

/** The status that the answers to TokenRequest and SelfSubjectAccessReview need. */
const ANSWERS = { token: 'secret', allowed: true };

/** The kind behind a path of the API, by the table of resources. */
function kindAt(path: string): GroupVersionKind | undefined {
  if (path.endsWith('/selfsubjectaccessreviews')) return ACCESS_REVIEW;
  const [, group = '', , , plural, , subresource = ''] =
    /^\/apis?(?:\/([a-z.0-9]+(?=\/v1)))?\/(v1)(\/namespaces\/[^/]+(?=\/))?\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(
      path,
    ) ?? [];
  const resource = ALL_RESOURCES.find((one) => one.plural === plural && one.group === group);
  return resource === undefined ? undefined : subresourceKind(resource, subresource);
}

function discovery(path: string): JsonObject | undefined {
  const groups = [...new Set(ALL_RESOURCES.map((one) => one.group))].filter((group) => group !== '');
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  if (path === '/version') return { major: '1', minor: '30', gitVersion: 'v1.30.0' };
  if (path === '/apis') {
    const list = groups.map((name) => {
      const version = { groupVersion: `${name}/v1`, version: 'v1' };
      return { name, versions: [version], preferredVersion: version };
    });
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: list };
  }
  const served = ALL_RESOURCES.filter(
    (one) => path === (one.group === '' ? '/api/v1' : `/apis/${one.group}/v1`),
  );
  const [first] = served;
  if (first === undefined) return undefined;
  const resources = served.map(({ plural, singular, namespaced, kind, shortNames }) => ({
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    shortNames,
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(first), resources };
}

const failure = (code: number, reason: string, message: string): [number, JsonObject] => [
  code,
  { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message },
];

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Just enough of an API server to hear what kubectl says. */
class TestServer {
  readonly seen: Seen[] = [];
  readonly #objects = new Map<string, JsonObject>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const url = new URL(request.url ?? '/', 'http://loopback');
      const openApi = openApiTextAt(url.pathname, request.headers.accept);
      if (openApi !== undefined) {
        response.setHeader('content-type', openApi.contentType).end(openApi.body);
        return;
      }
      const [code, body] = this.#answer(request, url, await bodyOf(request));
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What was sent since the last call. */
  take(): Seen[] {
    return this.seen.splice(0);
  }

  #answer(request: IncomingMessage, url: URL, body: Uint8Array): [number, JsonObject] {
    const path = url.pathname;
    const found = discovery(path);
    if (found !== undefined) return [200, found];
    const kind = kindAt(path);
    if (kind === undefined) return failure(404, 'NotFound', `nothing at ${path}`);
    try {
      return this.#serve(kind, request, url, body);
    } catch (error) {
      if (error instanceof RequestProblem) return failure(error.code, error.reason, error.message);
      throw error;
    }
  }

  #serve(kind: GroupVersionKind, request: IncomingMessage, url: URL, body: Uint8Array): [number, JsonObject] {
    const { method = 'GET', headers } = request;
    const path = url.pathname;
    const validation = parseFieldValidation(url.searchParams.get('fieldValidation') ?? undefined);
    const type = headers['content-type'] ?? '';
    const before = this.#objects.get(path);
    if (method === 'POST') {
      const { object } = decodeBody(kind, body, type, validation);
      this.seen.push({ method, path, type, object });
      const { name } = object.metadata as JsonObject;
      const stored = ALL_RESOURCES.every((one) => one.kind !== kind.kind)
        ? { ...object, status: ANSWERS }
        : object;
      this.#objects.set(`${path}/${String(name)}`, stored);
      return [201, stored];
    }
    if (before === undefined) return failure(404, 'NotFound', `${kind.kind} not found`);
    if (method !== 'PATCH') return [200, before];
    const { object } = decodePatched(kind, applyPatch(kind, before, body, type), body, validation);
    this.seen.push({ method, path, type, object });
    this.#objects.set(path, object);
    return [200, object];
  }
}

const exec = new Exec();
const server = new TestServer();
let address = '';
let folder = '';

beforeAll(async () => {
  address = await server.listen();
  folder = await mkdtemp(join(tmpdir(), 'fairlead-schema-'));
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Call {
  readonly stdin?: string;
  readonly accept?: readonly number[];
}

function kubectl(
  version: string,
  args: readonly string[],
  { stdin = '', accept = [0] }: Call = {},
): Promise<Output> {
  const flags = [`--server=${address}`, `--cache-dir=${join(folder, version)}`, '--token=t'];
  const env = { KUBECONFIG: '/dev/null', HOME: folder };
  return exec.run({ file: kubectlOf(version), args: [...args, ...flags], stdin, accept, env });
}

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
};

/** What each `kubectl create …` sends; the bodies are JSON before 1.32 and protobuf since. */
const CREATES: readonly (readonly string[])[] = [
  ['create', 'namespace', 'shop'],
  ['create', 'configmap', 'settings', '--from-literal=a=1', '--from-literal=b=two'],
  ['create', 'secret', 'generic', 'key', '--from-literal=password=hunter2'],
  ['create', 'serviceaccount', 'robot'],
  ['create', 'deployment', 'web', '--image=nginx:1', '--replicas=3', '--port=80'],
  ['create', 'service', 'nodeport', 'web', '--tcp=8080:80', '--node-port=30120'],
  ['create', 'service', 'clusterip', 'quiet', '--clusterip=None', '--tcp=80'],
  ['create', 'service', 'externalname', 'away', '--external-name=example.com'],
  ['create', 'token', 'robot', '--audience=x', '--duration=1h'],
  ['auth', 'can-i', 'list', 'pods', '--namespace=shop'],
];

async function sentBy(version: string): Promise<Seen[]> {
  server.take();
  for (const args of CREATES) await kubectl(version, args);
  return server.take();
}

describe.each(VERSIONS)('kubectl %s', (version) => {
  it('explains fields from our OpenAPI', async () => {
    const ports = (await kubectl(version, ['explain', 'service.spec.ports'])).stdout;
    expect(ports).toMatch(/^VERSION: +v1$/m);
    expect(ports).toMatch(/^ +port\t<integer> -required-$/m);
    expect(ports).toMatch(/^ +targetPort\t<\S+>$/m);
    expect(ports).toContain('The port that will be exposed by this service.');
    const probe = (
      await kubectl(version, ['explain', 'deployment.spec.template.spec.containers.livenessProbe'])
    ).stdout;
    expect(probe).toMatch(/^GROUP: +apps$/m);
    expect(probe).toMatch(/^ +httpGet\t<HTTPGetAction>$/m);
    expect((await kubectl(version, ['explain', 'endpointslices', '--recursive'])).stdout).toContain(
      'nodeName',
    );
  });

  it('leaves validation to the server, which names the field', async () => {
    const wrong = { ...SERVICE, metadata: { name: 'wrong' }, spec: { ...SERVICE.spec, port: 80 } };
    const call = { stdin: JSON.stringify(wrong), accept: [1] };
    const { stderr } = await kubectl(version, ['create', '-f', '-'], call);
    expect(stderr).toContain('(BadRequest)');
    expect(stderr).toContain(
      'Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.port"',
    );
    await kubectl(version, ['create', '-f', '-', '--dry-run=client'], { stdin: JSON.stringify(SERVICE) });
  });

  it('applies, and applies a change as a strategic merge patch', async () => {
    const name = `web-${version.replace('.', '-')}`;
    const apply = (ports: object[]) => {
      const object = { ...SERVICE, metadata: { name }, spec: { ...SERVICE.spec, ports } };
      return kubectl(version, ['apply', '-f', '-'], { stdin: JSON.stringify(object) });
    };
    await apply([
      { name: 'http', port: 80 },
      { name: 'metrics', port: 9090 },
    ]);
    server.take();
    const { stdout } = await apply([
      { name: 'https', port: 443 },
      { name: 'http', port: 80, targetPort: 8080 },
    ]);
    expect(stdout).toBe(`service/${name} configured\n`);
    const [patch] = server.take();
    expect(patch).toMatchObject({ method: 'PATCH', type: 'application/strategic-merge-patch+json' });
    expect(patch?.object.spec).toMatchObject({
      ports: [
        { name: 'https', port: 443 },
        { name: 'http', port: 80, targetPort: 8080 },
      ],
    });
    expect(
      (
        await apply([
          { name: 'https', port: 443 },
          { name: 'http', port: 80, targetPort: 8080 },
        ])
      ).stdout,
    ).toBe(`service/${name} unchanged\n`);
  });

  it('sends objects that decode as those of 1.31 in JSON do', async () => {
    const sent = await sentBy(version);
    const reference = await sentBy('1.31');
    expect(sent).toHaveLength(CREATES.length);
    expect(new Set(reference.map((one) => one.type))).toEqual(new Set(['application/json']));
    if (Number(version.slice(2)) >= 32) {
      expect(sent.map((one) => one.type)).toContain('application/vnd.kubernetes.protobuf');
    }
    expect(sent.map(({ path, object }) => ({ path, object }))).toEqual(
      reference.map(({ path, object }) => ({ path, object })),
    );
  });
});

describe('the model', () => {
  it('is what the facts and the declarations give', async () => {
    const file = join(folder, 'model.json');
    await exec.run({ file: process.execPath, args: ['scripts/generate-schema.ts', file] });
    expect(await readFile(file, 'utf8')).toBe(await readFile('src/kube/schema/model.json', 'utf8'));
  });
});

describe('strategic merge', () => {
  const word = fc.constantFrom('a', 'b', 'c');
  const keyed = (item: fc.Arbitrary<JsonObject>, key: string) =>
    fc.uniqueArray(item, { minLength: 1, maxLength: 3, selector: (one) => one[key] });
  const container = fc.record(
    { name: word, image: word, args: fc.array(word, { maxLength: 2 }) },
    { requiredKeys: ['name', 'image'], noNullPrototype: true },
  );
  const orNull = <T>(some: fc.Arbitrary<T>) => fc.option(some, { freq: 4 });
  const directed = fc.oneof(
    { weight: 4, arbitrary: container },
    { weight: 1, arbitrary: word.map((name) => ({ name, $patch: 'delete' })) },
  );
  const pod = fc.record({
    apiVersion: fc.constant('v1'),
    kind: fc.constant('Pod'),
    metadata: fc.record({
      name: fc.constant('p'),
      labels: fc.dictionary(word, word, { minKeys: 1, noNullPrototype: true }),
      finalizers: fc.uniqueArray(word, { minLength: 1 }),
    }),
    spec: fc.record({
      containers: keyed(container, 'name'),
      tolerations: fc.array(fc.record({ key: word }), { minLength: 1, maxLength: 2 }),
    }),
  });
  const patch = fc.record(
    {
      metadata: fc
        .record(
          {
            labels: orNull(fc.dictionary(word, orNull(word), { noNullPrototype: true })),
            added: fc.uniqueArray(word, { minLength: 1 }),
            deleted: fc.uniqueArray(word),
          },
          { requiredKeys: ['added'] },
        )
        // What a patch both adds and deletes is upstream's toss-up: Go visits the members in random order.
        .map(({ added, deleted = [], ...rest }) => ({
          ...rest,
          finalizers: added,
          '$deleteFromPrimitiveList/finalizers': deleted.filter((one) => !added.includes(one)),
        })),
      spec: fc.record(
        {
          containers: keyed(directed, 'name'),
          tolerations: fc.array(fc.record({ key: word }), { maxLength: 2 }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  );

  it('does what kubectl patch --local does', async () => {
    const cases = fc.sample(fc.tuple(pod, patch), { numRuns: 40, seed: 20 });
    for (const [at, [object, change]] of cases.entries()) {
      const file = join(folder, `pod-${at}.json`);
      await writeFile(file, JSON.stringify(object));
      const args = [
        'patch',
        '--local',
        '--type=strategic',
        '-f',
        file,
        '-p',
        JSON.stringify(change),
        '-o',
        'json',
      ];
      const { stdout } = await kubectl('1.33', args);
      const decode = (value: JsonObject) =>
        decodePatched(RESOURCES.pods, value, new Uint8Array(), 'Ignore').object;
      const ours = applyPatch(
        RESOURCES.pods,
        object as JsonObject,
        new TextEncoder().encode(JSON.stringify(change)),
        'application/strategic-merge-patch+json',
      );
      expect({ change, result: decode(ours) }).toEqual({
        change,
        result: decode(JSON.parse(stdout) as JsonObject),
      });
    }
  });
});
