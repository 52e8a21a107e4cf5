import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from './test-server.ts';

const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

const configMap = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...more,
});

const deployment = (name: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } },
  },
});

const pod = (name: string, spec: object = {}, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
  spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec },
});

let served: Served;
beforeAll(async () => {
  served = await startServed();
});
afterAll(() => served.stop());

describe('creating', () => {
  it('gives an object what only the server decides', async () => {
    const made = await served.create(DEPLOYMENTS, deployment('made'));
    expect(made.metadata).toMatchObject({ name: 'made', namespace: 'default', generation: 1 });
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(1);
    expect(made.spec).toMatchObject({ strategy: { type: 'RollingUpdate' }, revisionHistoryLimit: 10 });
  });

  it('makes names from generateName', async () => {
    const object = { ...configMap(''), metadata: { generateName: 'some-' } };
    const names = await Promise.all(
      [1, 2, 3].map(async () => (await served.create(CONFIGMAPS, object)).metadata.name),
    );
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^some-[a-z0-9]{5}$/);
  });

  it('stores nothing with dryRun=All', async () => {
    const reply = await served.send('POST', `${CONFIGMAPS}?dryRun=All`, configMap('dry'));
    expect(reply).toMatchObject({ code: 201, body: { metadata: { name: 'dry' } } });
    expect((await served.send('GET', `${CONFIGMAPS}/dry`)).code).toBe(404);
    const odd = await served.send('POST', `${CONFIGMAPS}?dryRun=Some`, configMap('dry'));
    expect(odd).toMatchObject({ code: 422, body: { reason: 'Invalid' } });
  });

  it('takes YAML', async () => {
    const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata: {a: "1"}\n';
    const reply = await served.send('POST', CONFIGMAPS, text, { 'content-type': 'application/yaml' });
    expect(reply).toMatchObject({ code: 201, body: { data: { a: '1' } } });
  });

  it('judges unknown fields as fieldValidation says', async () => {
    const odd = configMap('odd', { dat: {} });
    const strict = await served.send('POST', `${CONFIGMAPS}?fieldValidation=Strict`, odd);
    expect(strict.code).toBe(400);
    expect(strict.body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat"',
    );
    const warned = await served.send('POST', `${CONFIGMAPS}?fieldValidation=Warn`, odd);
    expect(warned.code).toBe(201);
    expect(warned.headers.warning).toBe('299 - "unknown field \\"dat\\""');
    const foreign = await served.send('POST', CONFIGMAPS, configMap('foreign', { größe: 1 }));
    expect(foreign.code).toBe(201);
    expect(foreign.headers.warning).toBe('299 - "unknown field \\"gr\\u00f6\\u00dfe\\""');
  });
});

describe('refusing', () => {
  it.each([
    [
      'an object that is there',
      'POST',
      CONFIGMAPS,
      configMap('kube'),
      409,
      'AlreadyExists',
      'configmaps "kube" already exists',
    ],
    [
      'one that is not',
      'GET',
      `${DEPLOYMENTS}/none`,
      undefined,
      404,
      'NotFound',
      'deployments.apps "none" not found',
    ],
    [
      'a path nobody serves',
      'GET',
      '/apis/nothing/v1/x',
      undefined,
      404,
      'NotFound',
      'the server could not find the requested resource',
    ],
    [
      'a namespace that is not there',
      'POST',
      '/api/v1/namespaces/none/configmaps',
      configMap('a'),
      404,
      'NotFound',
      'namespaces "none" not found',
    ],
    [
      'a namespace that differs',
      'POST',
      CONFIGMAPS,
      configMap('a', { metadata: { name: 'a', namespace: 'other' } }),
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'a name that differs',
      'PUT',
      `${CONFIGMAPS}/kube`,
      configMap('other'),
      400,
      'BadRequest',
      'the name of the object (other) does not match the name on the URL (kube)',
    ],
    [
      'a kind that differs',
      'POST',
      CONFIGMAPS,
      pod('a'),
      400,
      'BadRequest',
      /cannot be handled as a ConfigMap/,
    ],
    [
      'a body that is no JSON',
      'POST',
      CONFIGMAPS,
      '{"a"',
      400,
      'BadRequest',
      /couldn't get version\/kind; json parse error/,
    ],
    [
      'a method',
      'PUT',
      CONFIGMAPS,
      configMap('a'),
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
    ],
    [
      'a selector',
      'GET',
      `${PODS}?labelSelector=%3D%3D`,
      undefined,
      400,
      'BadRequest',
      /Unable to find "\/v1, Resource=pods" that match label selector/,
    ],
    [
      'a field nobody selects by',
      'GET',
      `${PODS}?fieldSelector=spec.x%3D1`,
      undefined,
      400,
      'BadRequest',
      /field label not supported: spec\.x/,
    ],
    [
      'a protected namespace',
      'DELETE',
      '/api/v1/namespaces/kube-system',
      undefined,
      403,
      'Forbidden',
      'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    ],
    [
      'a version of the future',
      'GET',
      `${PODS}?resourceVersion=99999999`,
      undefined,
      504,
      'Timeout',
      /Too large resource version/,
    ],
    [
      'a stream without an upgrade',
      'POST',
      `${PODS}/none/exec`,
      undefined,
      400,
      'BadRequest',
      'Upgrade request required',
    ],
  ])('%s', async (_what, method, path, body, code, reason, message) => {
    await served.send('POST', CONFIGMAPS, configMap('kube'));
    const reply = await served.send(method, path, body);
    expect(reply.body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason });
    expect(reply.code).toBe(code);
    expect(reply.body.message).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    );
  });

  it('names the fields that are invalid', async () => {
    const reply = await served.send('POST', DEPLOYMENTS, {
      ...deployment('bad'),
      spec: { ...deployment('bad').spec, replicas: -1 },
    });
    expect(reply.body).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(reply.body.message).toMatch(
      /^Deployment\.apps "bad" is invalid: spec\.replicas: Invalid value: -1/,
    );
    expect(reply.body.details).toMatchObject({
      kind: 'Deployment',
      group: 'apps',
      causes: [{ field: 'spec.replicas' }],
    });
  });

  it('a body over 3 MB, unknown media types in and out, and server-side apply', async () => {
    const large = await served.send(
      'POST',
      CONFIGMAPS,
      configMap('large', { data: { a: 'x'.repeat(3 * 1024 * 1024) } }),
    );
    expect(large).toMatchObject({ code: 413, body: { reason: 'RequestEntityTooLarge' } });
    const media = await served.send('POST', CONFIGMAPS, '<a/>', { 'content-type': 'text/xml' });
    expect(media).toMatchObject({ code: 415, body: { reason: 'UnsupportedMediaType' } });
    const accept = await served.send('GET', CONFIGMAPS, undefined, { accept: 'text/xml' });
    expect(accept).toMatchObject({ code: 406, body: { reason: 'NotAcceptable' } });
    const apply = await served.send('PATCH', `${CONFIGMAPS}/a`, configMap('a'), {
      'content-type': 'application/apply-patch+yaml',
    });
    expect(apply).toMatchObject({ code: 415, body: { reason: 'UnsupportedMediaType' } });
    expect(apply.body.message).toMatch(/apply without --server-side/);
  });
});

describe('changing', () => {
  it('refuses a write on an old version and keeps what the server decides', async () => {
    const made = await served.create(CONFIGMAPS, configMap('versions', { data: { a: '1' } }));
    const changed = await served.send('PUT', `${CONFIGMAPS}/versions`, { ...made, data: { a: '2' } });
    expect(changed).toMatchObject({
      code: 200,
      body: { data: { a: '2' }, metadata: { uid: made.metadata.uid } },
    });
    const late = await served.send('PUT', `${CONFIGMAPS}/versions`, { ...made, data: { a: '3' } });
    expect(late.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "versions": the object has been modified; please apply your changes to the latest version and try again',
      details: { name: 'versions', kind: 'configmaps' },
    });
  });

  it('does not write what does not change', async () => {
    const made = await served.create(CONFIGMAPS, configMap('same', { data: { a: '1' } }));
    const reply = await served.send('PUT', `${CONFIGMAPS}/same`, { ...made, metadata: { name: 'same' } });
    expect(reply.body.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });

  it('keeps content and status apart, and counts generations of content', async () => {
    const made = await served.create(DEPLOYMENTS, { ...deployment('doors'), status: { replicas: 9 } });
    expect(made.status).toEqual({});
    const path = `${DEPLOYMENTS}/doors`;
    const status = await served.send('PUT', `${path}/status`, {
      ...made,
      spec: { ...made.spec, replicas: 7 },
      status: { replicas: 2, observedGeneration: 1 },
    });
    expect(status.body).toMatchObject({
      spec: { replicas: 2 },
      status: { replicas: 2 },
      metadata: { generation: 1 },
    });
    const content = await served.send('PUT', path, {
      ...status.body,
      spec: { ...made.spec, replicas: 3 },
      status: { replicas: 5 },
    });
    expect(content.body).toMatchObject({
      spec: { replicas: 3 },
      status: { replicas: 2 },
      metadata: { generation: 2 },
    });
  });

  it.each([
    ['application/merge-patch+json', { data: { b: null, c: '3' } }],
    ['application/strategic-merge-patch+json', { data: { b: null, c: '3' } }],
    [
      'application/json-patch+json',
      [
        { op: 'remove', path: '/data/b' },
        { op: 'add', path: '/data/c', value: '3' },
      ],
    ],
  ])('patches by %s', async (type, patch) => {
    const name = type.replaceAll(/[^a-z]/g, '-');
    await served.create(CONFIGMAPS, configMap(name, { data: { a: '1', b: '2' } }));
    const reply = await served.send('PATCH', `${CONFIGMAPS}/${name}`, patch, { 'content-type': type });
    expect(reply).toMatchObject({ code: 200, body: { data: { a: '1', c: '3' } } });
    expect(reply.body.data.b).toBeUndefined();
  });

  it('loses no patch of many at once', async () => {
    await served.create(CONFIGMAPS, configMap('busy', { data: {} }));
    const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
    const replies = await Promise.all(
      keys.map((key) =>
        served.send(
          'PATCH',
          `${CONFIGMAPS}/busy`,
          { data: { [key]: 'x' } },
          { 'content-type': 'application/merge-patch+json' },
        ),
      ),
    );
    expect(replies.map(({ code }) => code)).toEqual(keys.map(() => 200));
    const { body } = await served.send('GET', `${CONFIGMAPS}/busy`);
    expect(Object.keys(body.data).sort()).toEqual([...keys].sort());
  });

  it('scales', async () => {
    await served.create(DEPLOYMENTS, deployment('scaled'));
    const path = `${DEPLOYMENTS}/scaled/scale`;
    const { body: scale } = await served.send('GET', path);
    expect(scale).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 2 },
      status: { selector: 'app=scaled' },
    });
    expect((await served.send('PUT', path, { ...scale, spec: { replicas: 4 } })).body.spec.replicas).toBe(4);
    const patch = await served.send(
      'PATCH',
      path,
      { spec: { replicas: 5 } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(patch.body.spec.replicas).toBe(5);
    expect((await served.send('GET', `${DEPLOYMENTS}/scaled`)).body.spec.replicas).toBe(5);
    expect((await served.send('PUT', path, { ...scale, spec: { replicas: 1 } })).code).toBe(409);
  });

  it('binds a pod to a node once', async () => {
    await served.create(PODS, pod('bound'));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'bound' },
      target: { kind: 'Node', name: 'n1' },
    };
    expect((await served.send('POST', `${PODS}/bound/binding`, binding)).code).toBe(201);
    const { body } = await served.send('GET', `${PODS}/bound`);
    expect(body.spec.nodeName).toBe('n1');
    expect(body.status).toMatchObject({ conditions: [{ type: 'PodScheduled', status: 'True' }] });
    const again = await served.send('POST', `${PODS}/bound/binding`, binding);
    expect(again.body).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(again.body.message).toMatch(/pod bound is already assigned to node "n1"/);
  });
});

describe('listing', () => {
  beforeAll(async () => {
    await served.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'lists' },
    });
    for (const [name, tier] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'x'],
      ['e', 'y'],
    ] as const) {
      await served.create('/api/v1/namespaces/lists/pods', pod(name, { nodeName: `n-${tier}` }, { tier }));
    }
  });
  const names = async (query: string) => {
    const { body } = await served.send('GET', `/api/v1/namespaces/lists/pods?${query}`);
    return body.items.map((item) => item.metadata.name).join('');
  };

  it('selects by labels and fields', async () => {
    expect(await names('')).toBe('abcde');
    expect(await names('labelSelector=tier%3Dx')).toBe('acd');
    expect(await names('labelSelector=tier+notin+(x)')).toBe('be');
    expect(await names('fieldSelector=metadata.name%3Db')).toBe('b');
    expect(await names('fieldSelector=spec.nodeName%3Dn-y,metadata.name!%3Db')).toBe('e');
  });

  it('pages over one picture, selected or not', async () => {
    const path = '/api/v1/namespaces/lists/pods';
    const first = await served.send('GET', `${path}?limit=2`);
    expect(first.body).toMatchObject({
      kind: 'PodList',
      metadata: { remainingItemCount: 3 },
      items: [{}, {}],
    });
    await served.send('DELETE', `${path}/e?gracePeriodSeconds=0`);
    const rest = await served.send('GET', `${path}?limit=9&continue=${first.body.metadata.continue}`);
    expect(rest.body.items).toHaveLength(3);
    expect(rest.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
    await served.create(path, pod('e', { nodeName: 'n-y' }, { tier: 'y' }));
    const selected = await served.send('GET', `${path}?limit=2&labelSelector=tier%3Dx`);
    expect(selected.body.items).toHaveLength(2);
    const more = await served.send(
      'GET',
      `${path}?limit=2&labelSelector=tier%3Dx&continue=${selected.body.metadata.continue}`,
    );
    expect(more.body.items).toHaveLength(1);
    expect((await served.send('GET', `${path}?continue=nonsense`)).code).toBe(400);
  });

  it('answers 410 to a continue token whose picture is gone', async () => {
    const path = '/api/v1/namespaces/lists/pods';
    const { body } = await served.send('GET', `${path}?limit=2`);
    await served.create(CONFIGMAPS, configMap('newer'));
    await served.store.compact(served.store.revision);
    const reply = await served.send('GET', `${path}?limit=2&continue=${body.metadata.continue}`);
    expect(reply.body).toMatchObject({ code: 410, reason: 'Expired' });
  });

  it('prints Tables', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { body } = await served.send('GET', '/api/v1/namespaces/lists/pods', undefined, { accept });
    expect(body).toMatchObject({
      kind: 'Table',
      rows: [{ object: { kind: 'PartialObjectMetadata' } }, {}, {}, {}, {}],
    });
    const one = await served.send('GET', '/api/v1/namespaces/lists/pods/a?includeObject=Object', undefined, {
      accept,
    });
    expect(one.body.rows[0]).toMatchObject({ object: { kind: 'Pod', spec: { nodeName: 'n-x' } } });
  });

  it('prints YAML', async () => {
    const reply = await served.send('GET', '/api/v1/namespaces/lists/pods/a', undefined, {
      accept: 'application/yaml',
    });
    expect(reply.headers['content-type']).toBe('application/yaml');
    expect(reply.text).toMatch(/^apiVersion: v1\nkind: Pod\n/);
  });
});

describe('discovery', () => {
  it('lists each resource in both forms', async () => {
    const { body } = await served.send('GET', '/apis/apps/v1');
    expect(body.resources).toContainEqual(expect.objectContaining({ name: 'deployments/scale' }));
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const aggregated = await served.send('GET', '/api', undefined, { accept });
    expect(aggregated.headers['content-type']).toBe(
      'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    );
    const pods = expect.objectContaining({ resource: 'pods', shortNames: ['po'], categories: ['all'] });
    expect(aggregated.body.items[0]).toMatchObject({
      versions: [{ resources: expect.arrayContaining([pods]) }],
    });
    expect((await served.send('GET', '/version')).body.gitVersion).toBe('v1.33.0+fairlead');
    expect((await served.send('GET', '/openapi/v3')).body.paths).toHaveProperty('apis/apps/v1');
    expect((await served.send('GET', '/openapi/v2')).body.swagger).toBe('2.0');
  });
});
