import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Served, startServed, WatchLines } from './test-server.ts';

const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
});

let served: Served;
const open: WatchLines[] = [];
const watch = async (path: string, accept?: string) => {
  const lines = await WatchLines.open(served, path, accept === undefined ? {} : { accept });
  open.push(lines);
  return lines;
};
const version = () => served.store.revision;
const label = (name: string, labels: object) =>
  served.send(
    'PATCH',
    `${CONFIGMAPS}/${name}`,
    { metadata: { labels } },
    { 'content-type': 'application/merge-patch+json' },
  );

beforeAll(async () => {
  served = await startServed();
});
afterAll(async () => {
  for (const one of open) one.close();
  await served.stop();
});

describe('watching', () => {
  it('tells every change after a version, in order', async () => {
    const from = version();
    await served.create(CONFIGMAPS, configMap('a'));
    const lines = await watch(`${CONFIGMAPS}?watch=true&resourceVersion=${from}`);
    await label('a', { x: '1' });
    await served.send('DELETE', `${CONFIGMAPS}/a`);
    const events = [await lines.next(), await lines.next(), await lines.next()];
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(events[2]?.object.metadata.labels).toEqual({ x: '1' });
  });

  it('begins with what there is when no version is given', async () => {
    await served.create(CONFIGMAPS, configMap('there'));
    const lines = await watch(`${CONFIGMAPS}?watch=1&fieldSelector=metadata.name%3Dthere`);
    expect(await lines.nextName()).toBe('ADDED there');
    await label('there', { x: '1' });
    expect(await lines.nextName()).toBe('MODIFIED there');
  });

  it('says where initial events end (WatchList)', async () => {
    await served.create(CONFIGMAPS, configMap('initial', { set: 'initial' }));
    const query = 'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan';
    const lines = await watch(`${CONFIGMAPS}?watch=true&${query}&labelSelector=set%3Dinitial`);
    expect(await lines.nextName()).toBe('ADDED initial');
    const { type, object } = await lines.next();
    expect(type).toBe('BOOKMARK');
    expect(object).toMatchObject({
      kind: 'ConfigMap',
      metadata: { resourceVersion: String(version()), annotations: { 'k8s.io/initial-events-end': 'true' } },
    });
  });

  it('lets objects in and out of a selection', async () => {
    const lines = await watch(`${CONFIGMAPS}?watch=true&resourceVersion=${version()}&labelSelector=in%3Dyes`);
    await served.create(CONFIGMAPS, configMap('door'));
    await label('door', { in: 'yes' });
    await label('door', { more: 'yes' });
    await label('door', { in: 'no' });
    await served.create(CONFIGMAPS, configMap('last', { in: 'yes' }));
    const names = [
      await lines.nextName(),
      await lines.nextName(),
      await lines.nextName(),
      await lines.nextName(),
    ];
    expect(names).toEqual(['ADDED door', 'MODIFIED door', 'DELETED door', 'ADDED last']);
  });

  it('gives columns once, as Tables', async () => {
    const from = version();
    await served.create(CONFIGMAPS, configMap('table'));
    await label('table', { x: '1' });
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const lines = await watch(`${CONFIGMAPS}?watch=true&resourceVersion=${from}`, accept);
    const first = await lines.next();
    expect(first.object).toMatchObject({ kind: 'Table', columnDefinitions: [{ name: 'Name' }, {}, {}] });
    expect(first.object.rows[0]?.object.metadata.name).toBe('table');
    expect((await lines.next()).object).toMatchObject({ kind: 'Table', columnDefinitions: null });
  });

  it('says each minute how far the client has seen everything', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const query = `watch=true&resourceVersion=${version()}&allowWatchBookmarks=true&labelSelector=none`;
    const lines = await watch(`${CONFIGMAPS}?${query}`);
    await served.create(CONFIGMAPS, configMap('elsewhere'));
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    const { type, object } = await lines.next();
    expect(type).toBe('BOOKMARK');
    expect(object.metadata).toEqual({ resourceVersion: String(version()) });
  });

  it('ends after timeoutSeconds', async () => {
    const lines = await watch(`${CONFIGMAPS}?watch=true&resourceVersion=${version()}&timeoutSeconds=1`);
    expect(await lines.ended()).toBe(true);
  });

  it('says 410 Expired below the window', async () => {
    const from = version();
    await served.create(CONFIGMAPS, configMap('window-1'));
    await served.create(CONFIGMAPS, configMap('window-2'));
    await served.store.compact(version());
    const lines = await watch(`${CONFIGMAPS}?watch=true&resourceVersion=${from}`);
    const { type, object } = await lines.next();
    expect(type).toBe('ERROR');
    expect(object).toMatchObject({ kind: 'Status', code: 410, reason: 'Expired' });
    expect(await lines.ended()).toBe(true);
  });
});
