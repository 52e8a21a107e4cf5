import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Informer } from '../client/client.ts';
import { EventRecorder } from '../client/event-recorder.ts';
import { createInformer } from '../client/informer.ts';
import { lineLog } from '../fault/log.ts';
import type { ConfigMap, Event, Node } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { isDeleting } from './metadata.ts';
import { OwnWrites } from './own-writes.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
const { configmaps } = RESOURCES;

beforeAll(async () => {
  cluster = await startTestCluster();
}, 30_000);

afterAll(() => cluster.stop());

describe('own writes', () => {
  let informer: Informer<ConfigMap>;
  let writes: OwnWrites<ConfigMap>;
  const stop = new AbortController();

  beforeAll(async () => {
    informer = createInformer<ConfigMap>(cluster.client, configmaps, {
      namespace: 'default',
      signal: stop.signal,
    });
    await informer.synced;
    writes = new OwnWrites(informer);
  });

  afterAll(() => stop.abort());

  const key = (name: string) => ({ name, namespace: 'default' });
  const held = (prefix: string) =>
    writes
      .correct([...informer.values()], () => true)
      .filter(({ metadata }) => metadata?.name?.startsWith(prefix))
      .map(({ metadata, data }) => `${metadata?.name}=${data?.n}`)
      .toSorted();

  it('are seen at once, before and after the watch tells them', async () => {
    const expected = new Map<string, string>();
    for (let n = 0; n < 60; n++) {
      const name = `w${n % 7}`;
      const data = { n: String(n) };
      if (!expected.has(name)) {
        writes.put(await cluster.client.create<ConfigMap>(configmaps, { metadata: key(name), data }));
        expected.set(name, String(n));
      } else if (n % 3 === 0) {
        const object = writes.get(`default/${name}`);
        await cluster.client.delete(configmaps, key(name));
        if (object !== undefined) writes.drop(object);
        expected.delete(name);
      } else {
        writes.put(await cluster.client.patch<ConfigMap>(configmaps, key(name), 'merge', { data }));
        expected.set(name, String(n));
      }
      expect(held('w')).toEqual([...expected].map(([one, value]) => `${one}=${value}`).toSorted());
    }
    // A last write of somebody else tells that the watch has caught up.
    await cluster.client.create<ConfigMap>(configmaps, { metadata: key('last') });
    await cluster.until<ConfigMap, true>(configmaps, 'the last write', (all) =>
      all.get('default/last') ? true : undefined,
    );
    expect(held('w')).toEqual([...expected].map(([one, value]) => `${one}=${value}`).toSorted());
  });

  it('give way to what others write later', async () => {
    writes.put(
      await cluster.client.create<ConfigMap>(configmaps, { metadata: key('shared'), data: { n: 'ours' } }),
    );
    await cluster.client.patch(configmaps, key('shared'), 'merge', { data: { n: 'theirs' } });
    const told = new Promise<void>((resolve) => {
      const look = (one: ConfigMap) => {
        if (one.metadata?.name === 'shared' && one.data?.n === 'theirs') resolve();
      };
      informer.subscribe({ added: look, updated: look });
    });
    await told;
    expect(held('shared')).toEqual(['shared=theirs']);
  });

  it('show a graceful deletion as it proceeds', async () => {
    const finalizers = ['example.com/hold'];
    const made = await cluster.client.create<ConfigMap>(configmaps, {
      metadata: { ...key('held'), finalizers },
    });
    writes.put(made);
    await cluster.client.delete(configmaps, key('held'));
    writes.drop(made);
    const going = await new Promise<ConfigMap>((resolve) => {
      const look = (one: ConfigMap) => {
        if (one.metadata?.name === 'held' && isDeleting(one)) resolve(one);
      };
      informer.subscribe({ added: look, updated: look });
    });
    expect(writes.get('default/held')).toEqual(going);
    await cluster.client.patch(configmaps, key('held'), 'merge', { metadata: { finalizers: null } });
  });
});

describe('the event recorder', () => {
  const recorder = () =>
    new EventRecorder({
      client: cluster.client,
      component: 'test',
      host: 'n1',
      log: lineLog(
        (line) => {
          throw new Error(line);
        },
        () => new Date(),
      ),
    });
  const about: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'default', uid: 'u' },
  };
  const eventsOf = async (name: string) => {
    const { items } = await cluster.client.list<Event>(RESOURCES.events, {
      namespace: 'default',
      fieldSelector: `involvedObject.name=${name}`,
    });
    return items.map(({ reason, count }) => `${reason} x${count}`).toSorted();
  };

  it('counts what repeats, and keeps apart what differs', async () => {
    const events = recorder();
    for (let n = 0; n < 3; n++) events.event(about, 'Warning', 'Failing', 'it fails');
    events.event(about, 'Warning', 'Failing', 'it fails otherwise');
    await events.flush();
    expect(await eventsOf('a')).toEqual(['Failing x1', 'Failing x3']);
  });

  it('begins anew when the Event is gone', async () => {
    const events = recorder();
    const other = { ...about, metadata: { ...about.metadata, name: 'b' } };
    events.event(other, 'Normal', 'Seen', 'seen');
    await events.flush();
    const { items } = await cluster.client.list<Event>(RESOURCES.events, {
      fieldSelector: 'involvedObject.name=b',
    });
    for (const { metadata } of items) {
      await cluster.client.delete(RESOURCES.events, { name: metadata.name ?? '', namespace: 'default' });
    }
    events.event(other, 'Normal', 'Seen', 'seen');
    await events.flush();
    expect(await eventsOf('b')).toEqual(['Seen x1']);
  });

  it('writes about objects of the cluster in the namespace default', async () => {
    const events = recorder();
    const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'n1' } };
    events.event(node, 'Normal', 'Starting', 'Starting kubelet.');
    await events.flush();
    expect(await eventsOf('n1')).toContain('Starting x1');
  });
});
