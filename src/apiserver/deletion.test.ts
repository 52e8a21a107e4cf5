import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from './test-server.ts';

const PODS = '/api/v1/namespaces/default/pods';
const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec },
});
const configMap = (name: string, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
});

let served: Served;
beforeAll(async () => {
  served = await startServed();
});
afterAll(() => served.stop());
const codeOf = async (path: string) => (await served.send('GET', path)).code;

describe('deleting', () => {
  it('answers with a Status that names what is gone', async () => {
    const { metadata } = await served.create(CONFIGMAPS, configMap('plain'));
    const reply = await served.send('DELETE', `${CONFIGMAPS}/plain`);
    expect(reply.body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'plain', kind: 'configmaps', uid: metadata.uid },
    });
    expect((await served.send('DELETE', `${CONFIGMAPS}/plain`)).code).toBe(404);
  });

  it('gives a pod on a node its grace, which can be shortened, and the kubelet ends it', async () => {
    await served.create(PODS, pod('graceful', { nodeName: 'n1', terminationGracePeriodSeconds: 20 }));
    const first = await served.send('DELETE', `${PODS}/graceful`);
    expect(first.body.metadata).toMatchObject({ deletionGracePeriodSeconds: 20 });
    const longer = await served.send('DELETE', `${PODS}/graceful`, { gracePeriodSeconds: 40 });
    expect(longer.body.metadata.deletionTimestamp).toBe(first.body.metadata.deletionTimestamp);
    const shorter = await served.send('DELETE', `${PODS}/graceful`, { gracePeriodSeconds: 5 });
    const at = (body: typeof first.body) => Date.parse(body.metadata.deletionTimestamp ?? '');
    expect(shorter.body.metadata.deletionGracePeriodSeconds).toBe(5);
    expect(at(first.body) - at(shorter.body)).toBe(15_000);
    expect((await served.send('DELETE', `${PODS}/graceful`, { gracePeriodSeconds: 0 })).code).toBe(200);
    expect(await codeOf(`${PODS}/graceful`)).toBe(404);
  });

  it('removes a pod that no node runs at once', async () => {
    await served.create(PODS, pod('unscheduled'));
    expect((await served.send('DELETE', `${PODS}/unscheduled`)).body).toMatchObject({ kind: 'Pod' });
    expect(await codeOf(`${PODS}/unscheduled`)).toBe(404);
  });

  it('waits for the last finalizer', async () => {
    await served.create(CONFIGMAPS, configMap('held', { finalizers: ['example.com/a'] }));
    const marked = await served.send('DELETE', `${CONFIGMAPS}/held`);
    expect(marked.body.metadata.deletionTimestamp).toBeDefined();
    expect(await codeOf(`${CONFIGMAPS}/held`)).toBe(200);
    const free = { metadata: { finalizers: null } };
    await served.send('PATCH', `${CONFIGMAPS}/held`, free, {
      'content-type': 'application/merge-patch+json',
    });
    expect(await codeOf(`${CONFIGMAPS}/held`)).toBe(404);
  });

  it.each([
    ['Foreground', ['foregroundDeletion']],
    ['Orphan', ['orphan']],
  ])('leaves %s to the garbage collector', async (propagationPolicy, finalizers) => {
    const name = propagationPolicy.toLowerCase();
    await served.create(CONFIGMAPS, configMap(name));
    const { body } = await served.send('DELETE', `${CONFIGMAPS}/${name}`, { propagationPolicy });
    expect(body.metadata).toMatchObject({ finalizers, deletionTimestamp: expect.any(String) });
  });

  it('checks preconditions', async () => {
    await served.create(CONFIGMAPS, configMap('precise'));
    const wrong = await served.send('DELETE', `${CONFIGMAPS}/precise`, { preconditions: { uid: 'other' } });
    expect(wrong.body).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(wrong.body.message).toMatch(/Precondition failed: UID in precondition: other/);
    const { body } = await served.send('GET', `${CONFIGMAPS}/precise`);
    const { uid, resourceVersion } = body.metadata;
    const right = await served.send('DELETE', `${CONFIGMAPS}/precise`, {
      preconditions: { uid, resourceVersion },
    });
    expect(right.code).toBe(200);
  });

  it('takes what a selector chooses of a collection', async () => {
    for (const name of ['c1', 'c2'])
      await served.create(CONFIGMAPS, configMap(name, { labels: { set: 'c' } }));
    const { body } = await served.send('DELETE', `${CONFIGMAPS}?labelSelector=set%3Dc`);
    expect(body.items.map(({ metadata }) => metadata.name)).toEqual(['c1', 'c2']);
    expect(await codeOf(`${CONFIGMAPS}/c1`)).toBe(404);
  });

  it('evicts', async () => {
    await served.create(PODS, pod('evicted'));
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } };
    expect((await served.send('POST', `${PODS}/evicted/eviction`, eviction)).code).toBe(201);
    expect(await codeOf(`${PODS}/evicted`)).toBe(404);
  });

  it('empties a namespace first: nothing new, and gone when finalized', async () => {
    const path = '/api/v1/namespaces/doomed';
    await served.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'doomed' },
    });
    const { body } = await served.send('DELETE', path);
    expect(body).toMatchObject({ spec: { finalizers: ['kubernetes'] }, status: { phase: 'Terminating' } });
    const late = await served.send('POST', `${path}/configmaps`, configMap('late'));
    expect(late.body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message:
        'configmaps "late" is forbidden: unable to create new content in namespace doomed because it is being terminated',
      details: { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] },
    });
    expect((await served.send('DELETE', path)).code).toBe(409);
    await served.send('PUT', `${path}/finalize`, { ...body, spec: { finalizers: [] } });
    expect(await codeOf(path)).toBe(404);
  });
});
