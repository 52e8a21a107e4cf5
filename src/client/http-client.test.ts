import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConfigMap } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { ApiError, type WatchEvent } from './client.ts';
import { type HttpKubeClient, socketClient } from './http-client.ts';
import { createInformer } from './informer.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** The other end of the wire: plain HTTP, answering each request by the next of `answers`. */
let answers: Answer[];
let seen: string[];
let folder: string;
let socketPath: string;
let server: Server;
let client: HttpKubeClient;

beforeEach(async () => {
  answers = [];
  seen = [];
  folder = await mkdtemp(join(tmpdir(), 'fairlead-client-'));
  socketPath = join(folder, 'api.sock');
  server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    seen.push(`${request.method} ${request.url}`);
    const answer = answers.shift();
    if (answer === undefined) response.writeHead(500).end('no answer is left');
    else answer(request, response, Buffer.concat(chunks).toString());
  });
  client = socketClient(socketPath, { random: () => 0 });
});

afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const listen = () => new Promise<void>((resolve) => server.listen(socketPath, resolve));

const json =
  (body: unknown, code = 200, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

const failure = (code: number, reason: string) =>
  json(
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, message: reason, code },
    code,
  );

const config = (name: string, resourceVersion: string, uid = name): ConfigMap => ({
  metadata: { name, namespace: 'default', uid, resourceVersion },
});

const list = (resourceVersion: string, ...items: ConfigMap[]) =>
  json({ metadata: { resourceVersion }, items });

/** A watch that sends these events and then does what `end` says; it stays open unless said. */
const watch =
  (events: { type: string; object: unknown }[], end?: (response: ServerResponse) => void): Answer =>
  (_request, response) => {
    response.writeHead(200).flushHeaders();
    for (const event of events) response.write(`${JSON.stringify(event)}\n`);
    end?.(response);
  };

const { configmaps } = RESOURCES;

describe('requests', () => {
  it('fill in the kind of listed objects and follow the pages', async () => {
    answers = [
      json({ metadata: { resourceVersion: '7', continue: 'x y' }, items: [config('a', '1')] }),
      list('7', config('b', '2')),
    ];
    await listen();
    const found = await client.list<ConfigMap>(configmaps, { namespace: 'default', labelSelector: 'a=b' });
    expect(found.resourceVersion).toBe('7');
    expect(found.items.map((item) => [item.kind, item.apiVersion, item.metadata?.name])).toEqual([
      ['ConfigMap', 'v1', 'a'],
      ['ConfigMap', 'v1', 'b'],
    ]);
    expect(seen).toEqual([
      'GET /api/v1/namespaces/default/configmaps?labelSelector=a%3Db&limit=500',
      'GET /api/v1/namespaces/default/configmaps?labelSelector=a%3Db&limit=500&continue=x+y',
    ]);
  });

  it('read everything at once when the pages were compacted away', async () => {
    answers = [
      json({ metadata: { resourceVersion: '7', continue: 'x' }, items: [config('a', '1')] }),
      failure(410, 'Expired'),
      list('9', config('b', '8')),
    ];
    await listen();
    const found = await client.list<ConfigMap>(configmaps);
    expect(found.items.map((item) => item.metadata?.name)).toEqual(['b']);
    expect(seen.at(-1)).toBe('GET /api/v1/configmaps');
  });

  it('throw what the server says', async () => {
    answers = [failure(409, 'AlreadyExists'), (_request, response) => response.writeHead(502).end('<html>')];
    await listen();
    const create = client.create<ConfigMap>(configmaps, config('a', '1'));
    await expect(create).rejects.toMatchObject({ name: 'ApiError', code: 409, reason: 'AlreadyExists' });
    const get = client.get(configmaps, 'a', 'default');
    await expect(get).rejects.toMatchObject({ code: 502, reason: 'Unknown', message: '<html>' });
  });

  it('wait for the server as Retry-After asks', async () => {
    answers = [json({}, 429, { 'retry-after': '0' }), json(config('a', '1'), 201)];
    await listen();
    await client.create<ConfigMap>(configmaps, config('a', '1'));
    expect(seen).toHaveLength(2);
  });

  it('are sent again when the socket was not there yet', async () => {
    answers = [json(config('a', '1'), 201)];
    const created = client.create<ConfigMap>(configmaps, config('a', '1'));
    await listen();
    expect((await created).metadata?.name).toBe('a');
  });

  it('are not sent again when a create may have taken effect', async () => {
    answers = [(request) => request.socket.destroy(), json(config('a', '1'))];
    await listen();
    const create = client.create<ConfigMap>(configmaps, config('a', '1'));
    await expect(create).rejects.toMatchObject({ name: 'Fault', code: 'FE008' });
    expect(seen).toHaveLength(1);
  });

  it('are sent again when a read was cut', async () => {
    answers = [(request) => request.socket.destroy(), json(config('a', '1'))];
    await listen();
    expect((await client.get<ConfigMap>(configmaps, 'a', 'default')).metadata?.name).toBe('a');
  });

  it('name the socket when nobody answers', async () => {
    const get = client.get(configmaps, 'a', 'default');
    await expect(get).rejects.toMatchObject({ code: 'FE008', message: expect.stringContaining(socketPath) });
  });

  it('carry patches with their content type', async () => {
    let type: string | undefined;
    answers = [
      (request, response) => {
        type = request.headers['content-type'];
        response.end('{}');
      },
    ];
    await listen();
    await client.patch(configmaps, { name: 'a', namespace: 'default' }, 'apply', { data: {} });
    expect(type).toBe('application/apply-patch+yaml');
    expect(seen).toEqual(['PATCH /api/v1/namespaces/default/configmaps/a?fieldManager=fairlead&force=true']);
  });
});

describe('a watch', () => {
  it('joins lines cut anywhere', async () => {
    const event = { type: 'ADDED', object: { ...config('a', '2'), data: { word: 'grüße ☂' } } };
    answers = [
      async (_request, response) => {
        response.writeHead(200).flushHeaders();
        for (const byte of Buffer.from(`${JSON.stringify(event)}\n`)) {
          response.write(Uint8Array.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      },
    ];
    await listen();
    const events: WatchEvent<ConfigMap>[] = [];
    for await (const one of client.watch<ConfigMap>(configmaps, { resourceVersion: '1' })) events.push(one);
    expect(events).toMatchObject([event]);
    expect(seen).toEqual(['GET /api/v1/configmaps?watch=true&allowWatchBookmarks=true&resourceVersion=1']);
  });

  it('breaks when it hears nothing', async () => {
    answers = [watch([])];
    await listen();
    const events = client.watch(configmaps, { resourceVersion: '1', silenceMs: 50 });
    await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'FE008' });
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    answers = [watch([{ type: 'ADDED', object: config('a', '2') }])];
    await listen();
    const events: unknown[] = [];
    for await (const event of client.watch(configmaps, { resourceVersion: '1', signal: stop.signal })) {
      events.push(event);
      stop.abort();
    }
    expect(events).toHaveLength(1);
  });

  it('throws 410 Gone', async () => {
    answers = [failure(410, 'Expired')];
    await listen();
    const events = client.watch(configmaps, { resourceVersion: '1' });
    await expect(events[Symbol.asyncIterator]().next()).rejects.toSatisfy((error) =>
      ApiError.is(error, 'Expired'),
    );
  });
});

describe('an informer', () => {
  /** Follows an informer until it has told `count` changes. */
  const follow = async (count: number): Promise<string[]> => {
    const told: string[] = [];
    const enough = Promise.withResolvers<void>();
    const tell = (line: string) => {
      told.push(line);
      if (told.length === count) enough.resolve();
    };
    const informer = createInformer<ConfigMap>(client, configmaps, { random: () => 0, silenceMs: 2_000 });
    informer.subscribe({
      added: ({ metadata }) => tell(`+${metadata?.name}@${metadata?.resourceVersion}`),
      updated: ({ metadata }) => tell(`~${metadata?.name}@${metadata?.resourceVersion}`),
      deleted: ({ metadata }) => tell(`-${metadata?.name}`),
      synced: () => tell('synced'),
    });
    try {
      await enough.promise;
      return told;
    } finally {
      informer.stop();
    }
  };

  it('goes on from the last revision when the watch ends or breaks', async () => {
    answers = [
      list('3', config('a', '1')),
      watch([{ type: 'MODIFIED', object: config('a', '4') }], (response) => response.end()),
      watch([{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '8' } } }], (response) => {
        setImmediate(() => response.destroy());
      }),
      watch([{ type: 'DELETED', object: config('a', '9') }]),
    ];
    await listen();
    expect(await follow(4)).toEqual(['+a@1', 'synced', '~a@4', '-a']);
    const revisions = seen
      .slice(1)
      .map((path) => new URLSearchParams(path.split('?')[1]).get('resourceVersion'));
    expect(revisions).toEqual(['3', '4', '8']);
  });

  it('lists again after 410 and tells the differences only', async () => {
    const gone = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' };
    answers = [
      list('3', config('a', '1'), config('b', '2'), config('c', '3', 'first')),
      watch([{ type: 'ERROR', object: gone }]),
      list('20', config('b', '2'), config('c', '18', 'second'), config('d', '19')),
      watch([]),
    ];
    await listen();
    expect(await follow(9)).toEqual([
      '+a@1',
      '+b@2',
      '+c@3',
      'synced',
      '-a',
      '-c',
      '+c@18',
      '+d@19',
      'synced',
    ]);
  });

  it('watches again after silence', async () => {
    answers = [list('3'), watch([]), watch([{ type: 'ADDED', object: config('a', '4') }])];
    await listen();
    expect(await follow(2)).toEqual(['synced', '+a@4']);
  });

  it('tells a late subscriber what it holds', async () => {
    answers = [list('3', config('a', '1')), watch([])];
    await listen();
    const informer = createInformer<ConfigMap>(client, configmaps, {
      indexers: { byName: ({ metadata }) => [metadata?.name ?? ''] },
    });
    await informer.synced;
    const told: string[] = [];
    informer.subscribe({
      added: (one) => told.push(one.metadata?.name ?? ''),
      synced: () => told.push('synced'),
    });
    expect(told).toEqual(['a', 'synced']);
    expect(informer.get('default/a')?.kind).toBe('ConfigMap');
    expect(informer.lookup('byName', 'a')).toHaveLength(1);
    informer.stop();
  });
});
