import { readdir, stat } from 'node:fs/promises';
import { connect as connectH2 } from 'node:http2';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, startServed } from '../test-server.ts';
import { issueAuthority, issueClient } from './issue-certificates.ts';
import { openPki } from './pki.ts';
import { TokenSigner } from './tokens.ts';

let served: Served;
beforeAll(async () => {
  served = await startServed();
  await served.create('/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'robot' },
  });
});
afterAll(() => served.stop());

interface Credentials {
  readonly token?: string;
  readonly client?: { readonly certificate: string; readonly key: string };
}

/** A request over TLS, by HTTP/1.1. */
function over(
  path: string,
  { token, client }: Credentials,
  method = 'GET',
  body?: object,
): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: served.port,
        path,
        method,
        ca: served.pki.ca,
        agent: false,
        ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ code: response.statusCode ?? 0, text }));
      },
    );
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const whoAmI = async (credentials: Credentials) => {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const { code, text } = await over(path, credentials, 'POST', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  return code === 201 ? JSON.parse(text).status.userInfo.username : code;
};

describe('who asks', () => {
  it('must be known, except for health and version', async () => {
    const anonymous = await over('/api/v1/namespaces', {});
    expect(anonymous.code).toBe(401);
    expect(JSON.parse(anonymous.text)).toMatchObject({
      kind: 'Status',
      reason: 'Unauthorized',
      message: 'Unauthorized',
    });
    for (const path of ['/livez', '/readyz', '/healthz', '/version'])
      expect((await over(path, {})).code).toBe(200);
    for (const path of ['/api', '/apis', '/openapi/v3']) expect((await over(path, {})).code).toBe(401);
  });

  it('is the user of a client certificate of our CA, by HTTP/1.1 and HTTP/2', async () => {
    expect(await whoAmI({ client: served.pki.admin })).toBe('kubernetes-admin');
    const session = connectH2(`https://127.0.0.1:${served.port}`, {
      ca: served.pki.ca,
      cert: served.pki.admin.certificate,
      key: served.pki.admin.key,
    });
    const code = await new Promise((resolve, reject) => {
      session.once('error', reject);
      const stream = session.request({ ':path': '/api/v1/nodes' });
      stream.once('response', (headers) => resolve(headers[':status']));
      stream.resume().end();
    });
    expect(code).toBe(200);
    session.destroy();
  });

  it('is nobody with a certificate of another CA that claims the same', async () => {
    const now = Date.now();
    const client = await issueClient(
      await issueAuthority('fairlead-ca', now),
      'kubernetes-admin',
      ['system:masters'],
      now,
    );
    expect(await whoAmI({ client })).toBe(401);
  });

  it('is the administrator with the static token, and nobody with a wrong one', async () => {
    expect(await whoAmI({ token: served.pki.adminToken })).toBe('kubernetes-admin');
    expect(await whoAmI({ token: `${served.pki.adminToken}x` })).toBe(401);
    expect(await whoAmI({ token: 'a.b.c' })).toBe(401);
  });
});

describe('streams', () => {
  const upgrade = (token: string) =>
    new Promise((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', authorization: `Bearer ${token}` };
      const path = '/api/v1/namespaces/default/pods/none/exec?command=ls';
      const { port } = served;
      const sent = request({
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        ca: served.pki.ca,
        agent: false,
        headers,
      });
      sent.once('response', (response) => resolve(response.statusCode));
      sent.once('error', reject);
      sent.end();
    });

  it('are for the known, and of pods that exist', async () => {
    expect(await upgrade('wrong')).toBe(401);
    expect(await upgrade(served.pki.adminToken)).toBe(404);
  });
});

describe('ServiceAccount tokens', () => {
  const path = '/api/v1/namespaces/default/serviceaccounts/robot/token';
  const ask = async (spec: object = {}) =>
    (await served.send('POST', path, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }))
      .body;
  const tokenOf = (body: { status?: Record<string, unknown> }) => String(body.status?.token);

  it('name their account until they run out', async () => {
    const body = await ask({ expirationSeconds: 900 });
    expect(await whoAmI({ token: tokenOf(body) })).toBe('system:serviceaccount:default:robot');
    const signer = new TokenSigner(served.pki.tokenKey);
    expect(signer.verify(tokenOf(body), Date.now() + 901_000)).toBeUndefined();
    expect(
      new TokenSigner((await openPki(join(served.folder, 'other'))).tokenKey).verify(
        tokenOf(body),
        Date.now(),
      ),
    ).toBeUndefined();
  });

  it('are not for this API when made for another audience', async () => {
    expect(await whoAmI({ token: tokenOf(await ask({ audiences: ['vault'] })) })).toBe(401);
  });

  it('live ten minutes at least', async () => {
    expect(await ask({ expirationSeconds: 60 })).toMatchObject({
      code: 422,
      details: { causes: [{ field: 'spec.expirationSeconds' }] },
    });
  });

  it('end with the pod they are bound to, and with their account', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    const spec = { containers: [{ name: 'c', image: 'nginx' }] };
    await served.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bound' }, spec });
    const bound = tokenOf(await ask({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bound' } }));
    const free = tokenOf(await ask());
    expect(await whoAmI({ token: bound })).toBe('system:serviceaccount:default:robot');
    await served.send('DELETE', `${pods}/bound`);
    expect(await whoAmI({ token: bound })).toBe(401);
    await served.send('DELETE', '/api/v1/namespaces/default/serviceaccounts/robot');
    expect(await whoAmI({ token: free })).toBe(401);
  });
});

describe('the key folder', () => {
  it('is readable by its owner alone, reused, and made anew when a name is missing', async () => {
    const folder = join(served.folder, 'keys');
    const first = await openPki(folder);
    for (const file of await readdir(folder))
      expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    expect(await openPki(folder)).toEqual(first);
    const names = { dns: ['localhost'], ips: ['127.0.0.1', '192.168.7.7'] };
    expect((await openPki(folder, names)).ca).not.toBe(first.ca);
  });

  it('and the trusted socket are closed to others', async () => {
    expect((await stat(served.socket)).mode & 0o777).toBe(0o600);
  });
});
