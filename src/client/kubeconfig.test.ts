import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { inClusterClient, readKubeconfig } from './kubeconfig.ts';

let folder: string;
const before = process.env.KUBECONFIG;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-kubeconfig-'));
});

afterEach(async () => {
  if (before === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = before;
  await rm(folder, { recursive: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function write(name: string, user: object, cluster: object = {}): Promise<string> {
  const file = join(folder, name);
  const config = {
    'current-context': name,
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'apps' } }],
    clusters: [{ name, cluster: { server: 'https://127.0.0.1:6443', ...cluster } }],
    users: [{ name, user }],
  };
  await writeFile(file, stringify(config));
  return file;
}

describe('a kubeconfig', () => {
  it('gives server, authority and client certificate, from data or from files beside it', async () => {
    await writeFile(join(folder, 'key.pem'), 'KEY');
    const file = await write(
      'a',
      { 'client-certificate-data': base64('CERT'), 'client-key': 'key.pem' },
      { 'certificate-authority-data': base64('CA') },
    );
    expect(await readKubeconfig(file)).toEqual({
      name: 'a',
      namespace: 'apps',
      connection: {
        server: 'https://127.0.0.1:6443',
        tls: { ca: 'CA', cert: 'CERT', key: 'KEY', insecure: false },
      },
    });
  });

  it('reads a token file again when the server refuses the token', async () => {
    await writeFile(join(folder, 'token'), 'one\n');
    const { connection } = await readKubeconfig(await write('a', { tokenFile: 'token' }));
    expect(await connection.token?.(false)).toBe('one');
    await writeFile(join(folder, 'token'), 'two\n');
    expect(await connection.token?.(false)).toBe('one');
    expect(await connection.token?.(true)).toBe('two');
  });

  it('may be several files, of which the first that defines a name wins', async () => {
    const files = [
      await write('a', { token: 'a' }),
      join(folder, 'missing'),
      await write('b', { token: 'b' }),
    ];
    process.env.KUBECONFIG = files.join(':');
    expect((await readKubeconfig()).name).toBe('a');
    expect(await (await readKubeconfig(undefined, 'b')).connection.token?.(false)).toBe('b');
  });

  it.each([
    ['an exec plugin', { exec: { command: 'gke-auth' } }, {}, /exec plugin 'gke-auth'.*not supported/],
    ['a password', { username: 'me', password: 'x' }, {}, /user name with password/],
    ['a proxy', { token: 'x' }, { 'proxy-url': 'http://proxy' }, /a proxy/],
    ['no URL', { token: 'x' }, { server: 'nowhere' }, /'nowhere' is no URL/],
    ['a missing file', { tokenFile: 'x' }, { 'certificate-authority': 'ca.pem' }, /ca\.pem cannot be read/],
  ])('is refused with its reason: %s', async (_name, user, cluster, message) => {
    const refused = write('a', user, cluster).then((file) => readKubeconfig(file));
    await expect(refused).rejects.toMatchObject({ code: 'FE008', message: expect.stringMatching(message) });
  });

  it('is refused when it is missing, malformed or without the context', async () => {
    await expect(readKubeconfig(join(folder, 'none'))).rejects.toThrow('cannot be read');
    const file = await write('a', { token: 'x' });
    await expect(readKubeconfig(file, 'other')).rejects.toThrow("no context 'other'");
    await writeFile(file, 'a: [');
    await expect(readKubeconfig(file)).rejects.toThrow('is no YAML');
  });
});

describe('a pod', () => {
  it('is where inClusterClient works, and nowhere else', async () => {
    await expect(inClusterClient()).rejects.toMatchObject({ code: 'FE008', cure: 'pass --kubeconfig' });
  });
});
