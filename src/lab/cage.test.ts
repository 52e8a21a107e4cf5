import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Exec } from '../exec/exec.ts';
import { Addr } from '../ip/ip.ts';
import { buildCluster } from '../world/build.ts';
import { defaultNodes } from '../world/facts.ts';
import { profileOf } from '../world/profile.ts';
import { hostOf } from '../world/world.ts';
import { type Cage, openCage } from './cage.ts';
import { CAGES } from './cages-contract.ts';
import { realise } from './realise.ts';

const here = new Exec();

/** What of the machine's own a cage must not change. */
async function machine() {
  const shown = (file: string, ...args: string[]) => here.run({ file, args }).then(({ stdout }) => stdout);
  return {
    namespaces: existsSync('/run/netns') ? readdirSync('/run/netns') : [],
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    links: await shown('ip', '-o', 'link'),
    routes: await shown('ip', 'route', 'show', 'table', 'all'),
    rules: process.getuid?.() === 0 ? await shown('nft', '-s', 'list', 'ruleset') : '',
    run: existsSync('/run/fairlead'),
  };
}

describe.each(CAGES)('a cage of $name', ({ options }) => {
  const opened: Cage[] = [];
  const open = async () => {
    const cage = await openCage(options);
    opened.push(cage);
    return cage;
  };
  afterEach(async () => {
    for (const cage of opened.splice(0)) await cage.close();
  });

  it('has files, processes and a network of its own', async () => {
    const cage = await open();
    const inside = (file: string, ...args: string[]) =>
      cage
        .exec()
        .run({ file, args })
        .then(({ stdout }) => stdout);
    expect(await inside('id', '-u')).toBe('0\n');
    expect(await inside('ls', '/run')).toBe('fairlead\nnetns\n');
    expect(await inside('ls', '/sys/fs/cgroup')).toBe('');
    expect(await inside('cat', '/proc/1/comm')).toBe('cat\n');
    expect(await inside('ip', '-o', 'link')).toMatch(/^1: lo: [^\n]*\n$/);
    await inside('touch', '/run/fairlead/seen');
    expect(existsSync(`${cage.root}/run/fairlead/seen`)).toBe(true);
    expect(existsSync('/run/fairlead/seen')).toBe(false);
  });

  it('reaps orphans', async () => {
    const cage = await open();
    const { stdout } = await cage.exec().run({ file: 'sh', args: ['-c', '(true & echo $!) | cat'] });
    const orphan = stdout.trim();
    const gone = `for i in $(seq 200); do [ -e /proc/${orphan} ] || exit 0; sleep 0.01; done; exit 1`;
    expect((await cage.exec().run({ file: 'sh', args: ['-c', gone] })).code).toBe(0);
  });

  it('signals the process that was started, and a killed entry takes it along', async () => {
    const cage = await open();
    const script = 'trap "echo ended; exit 7" TERM; echo ready; while :; do sleep 0.01; done';
    const running = await cage.exec().start('sh', ['-c', script], { stdout: 'pipe' });
    const { stdout } = running;
    if (stdout === null) throw new Error('no pipe');
    let said = '';
    await new Promise<void>((resolve) =>
      stdout.on('data', (chunk: Buffer) => {
        said += String(chunk);
        resolve();
      }),
    );
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 7, signal: null });
    expect(said).toBe('ready\nended\n');

    const held = await cage.exec().start('sh', ['-c', 'echo up; exec sleep 1000'], { stdout: 'pipe' });
    const output = held.stdout;
    if (output === null) throw new Error('no pipe');
    await new Promise((resolve) => output.once('data', resolve));
    const closed = new Promise((resolve) => output.once('close', resolve));
    process.kill(held.pid, 'SIGKILL');
    // The pipe closes when the last process that holds it is gone: the sleep, which no signal was sent to.
    await closed;
    const left = async () =>
      (await cage.exec().run({ file: 'sh', args: ['-c', 'cat /proc/[0-9]*/comm'] })).stdout.match(/^sleep$/m);
    await expect.poll(left, { timeout: 5000 }).toBeNull();
  });

  it('leaves the machine as it was, with a World in it', async () => {
    const before = await machine();
    const profile = profileOf({ network: 'vpc' });
    const cage = await open();
    await realise(buildCluster({ profile, nodes: defaultNodes(profile, 2) }), cage);
    expect(await machine()).toEqual(before);
    const sleeper = await cage.exec('n1').start('sleep', ['1000']);
    await cage.close();
    expect((await sleeper.ended).code).not.toBe(0);
    expect(await machine()).toEqual(before);
  });

  it('goes with a World that cannot be built, and says where it failed', async () => {
    const cage = await open();
    const profile = profileOf({ network: 'tunnel' });
    const world = buildCluster({ profile, nodes: defaultNodes(profile, 2) });
    const n2 = hostOf(world, 'n2');
    const routes = n2.routes.map((route) => ({ ...route, source: Addr.parse('192.0.2.1') }));
    const broken = { ...world, hosts: new Map(world.hosts).set('n2', { ...n2, routes }) };
    await expect(realise(broken, cage)).rejects.toMatchObject({
      code: 'FE002',
      message: expect.stringMatching(
        /^n2: 'ip route add 0.0.0.0.0 via .* src 192.0.2.1' failed: Error: Invalid prefsrc/,
      ),
    });
    await cage.ended;
    expect(existsSync(`/proc/${cage.pid}`)).toBe(false);
  });

  it('is gone with everything in it when its opener is killed', async () => {
    const before = await machine();
    const imports = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { openCage } from ${imports('./cage.ts')};
      import { realise } from ${imports('./realise.ts')};
import { buildCluster } from ${imports('../world/build.ts')};
      import { defaultNodes } from ${imports('../world/facts.ts')};
      import { profileOf } from ${imports('../world/profile.ts')};
      const profile = profileOf({ network: 'tunnel' });
      const cage = await openCage(${JSON.stringify(options)});
      await realise(buildCluster({ profile, nodes: defaultNodes(profile, 3) }), cage);
      const sleepers = await Promise.all(['n1', 'n2', 'external', undefined].map((place) =>
        cage.exec(place).start('sh', ['-c', 'setsid sleep 1000 & exec sleep 1000'], { stdout: 'inherit' })));
      console.log(JSON.stringify([cage.pid, ...sleepers.map(({ pid }) => pid)]));`;
    const opener = await here.start(process.execPath, ['--input-type=module', '-e', script], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const { stdout } = opener;
    if (stdout === null) throw new Error('no pipe');
    const pids = await new Promise<number[]>((resolve, reject) => {
      stdout.once('data', (chunk: Buffer) => resolve(JSON.parse(String(chunk)) as number[]));
      opener.ended.then((ending) => reject(new Error(`the opener ended: ${JSON.stringify(ending)}`)));
    });
    expect(pids.filter(isAlive)).toEqual(pids);
    const [cage = 0] = pids;
    const space = pidNamespaceOf(cage);
    // The sleepers hold the pipe as well: it closes when the last of them is gone.
    const silent = new Promise((resolve) => stdout.once('close', resolve));
    opener.kill('SIGKILL');
    await silent;
    await expect.poll(() => pids.filter(isAlive), { timeout: 5000 }).toEqual([]);
    expect(membersOf(space)).toEqual([]);
    expect(await machine()).toEqual(before);
  });
});

it('says why no cage can be opened', async () => {
  const prefix = ['setpriv', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'];
  const user = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups', '--'] : [];
  const from = { name: 'the powerless', prefix: [...user, ...prefix] };
  await expect(openCage({ privilege: 'root', from })).rejects.toMatchObject({
    code: 'FE004',
    message: expect.stringMatching(/no namespaces can be made: as root: unshare: .*not permitted/),
  });
});

function pidNamespaceOf(pid: number): string {
  return readNamespace(pid) ?? `of ${pid}`;
}

function membersOf(space: string): number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => readNamespace(pid) === space && isAlive(pid));
}

/** Such as `pid:[4026532281]`; nothing of a process that is gone, or that is another user's. */
function readNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

/** A zombie is not: what the killed opener leaves of its children is for the machine's first process to reap. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/status`;
  return existsSync(path) && !/^State:\s+Z/m.test(readFileSync(path, 'utf8'));
}
