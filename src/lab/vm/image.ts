import { createHash } from 'node:crypto';
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Exec, requireTools } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { AGENT } from './agent.ts';
import { type ArchiveFile, printArchive } from './cpio.ts';
import { INIT } from './init.ts';
import { inLoadingOrder, moduleName, WANTED } from './modules.ts';

/** Debian's package that depends on the newest kernel. */
const NEWEST = 'linux-image-amd64';

/** A kernel and its first file system, as files. */
export interface Image {
  readonly kernel: string;
  readonly archive: string;
}

export type Progress = (line: string) => void;

/** $XDG_CACHE_HOME/fairlead/vm. */
export function defaultCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fairlead', 'vm');
}

/**
 * Makes the image unless the cache has it: from the kernel package in the cache, which is fetched unless it is there.
 *
 * Promises: whoever asks at the same time waits and takes the same; a maker that is killed leaves nothing that counts as an
 * image; nothing outside the cache is written. Throws {@link Fault} FE001 (a tool), FE014 (no package).
 */
export async function openImage(cache: string, progress: Progress): Promise<Image> {
  return (await newestImage(cache)) ?? (await makeOnce(cache, progress));
}

/** To be raised when images are made otherwise. */
const FORM = 2;

/** What an image is made by: another version of ours makes another. */
const RECIPE = createHash('sha256')
  .update(JSON.stringify([FORM, INIT, AGENT, WANTED]))
  .digest('hex')
  .slice(0, 12);

function imageIn(folder: string): Image {
  return { kernel: join(folder, 'vmlinux'), archive: join(folder, 'initrd.gz') };
}

async function newestImage(cache: string): Promise<Image | undefined> {
  const folder = newest(await list(cache), (name) => name.endsWith(`-${RECIPE}`));
  return folder === undefined ? undefined : imageIn(join(cache, folder));
}

function newest(names: readonly string[], wanted: (name: string) => boolean): string | undefined {
  return names
    .filter(wanted)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .at(-1);
}

async function list(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  return await readdir(folder);
}

async function makeOnce(cache: string, progress: Progress): Promise<Image> {
  const release = await lock(join(cache, 'lock'), progress);
  try {
    const made = await newestImage(cache);
    if (made !== undefined) return made;
    // Ours alone, while we hold the lock: what is there was left by one that was killed.
    const work = join(cache, 'work');
    await rm(work, { recursive: true, force: true });
    await mkdir(work);
    try {
      return await make(cache, work, progress);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } finally {
    await release();
  }
}

/**
 * Holds the file's lock (flock(2)) until released: by a process that ends with its input, so the lock goes when we go.
 * What it says back tells that it has it.
 */
async function lock(file: string, progress: Progress): Promise<() => Promise<void>> {
  const holder = await new Exec().start('flock', ['--no-fork', '--exclusive', file, 'cat'], {
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const { stdin, stdout } = holder;
  if (stdin === null || stdout === null) throw new Error('a lock needs pipes');
  stdin.write('mine\n');
  const slow = setTimeout(() => progress('waiting for another process that prepares the kernel'), 500);
  await new Promise<void>((resolve, reject) => {
    stdout.once('data', () => resolve());
    void holder.ended.then(() =>
      reject(new Fault('FE002', `the lock ${file} cannot be taken`, 'look who owns it')),
    );
  }).finally(() => clearTimeout(slow));
  return async () => {
    stdin.end();
    await holder.ended;
  };
}

async function make(cache: string, work: string, progress: Progress): Promise<Image> {
  const here = new Exec();
  requireTools(['dpkg-deb', 'xz']);
  const busybox = await staticBusybox();
  const has = newest(await list(cache), (name) => /^linux-image-.*\.deb$/.test(name));
  const deb = has === undefined ? await fetchPackage(cache, work, progress) : join(cache, has);
  progress('unpacking the kernel');
  const root = join(work, 'root');
  await here.run({ file: 'dpkg-deb', args: ['--extract', deb, root], timeoutMs: 300_000 });
  const [release] = await readdir(join(root, 'lib', 'modules'));
  if (release === undefined) throw noPackage(`${deb} holds no modules`);
  progress('making the first file system');
  const folder = join(work, 'image');
  await mkdir(folder);
  const { kernel, archive } = imageIn(folder);
  const modules = await readModules(join(root, 'lib', 'modules', release, 'kernel'));
  await writeFile(archive, gzipSync(printArchive(firstFiles(modules, busybox)), { level: 1 }));
  await unpackKernel(await readFile(join(root, 'boot', `vmlinuz-${release}`)), kernel);
  await clearOld(cache);
  const image = join(cache, `${release}-${RECIPE}`);
  await rename(folder, image);
  return imageIn(image);
}

/** Leaves one image of another version of ours, for whoever works with two; a guest that runs has read its own. */
async function clearOld(cache: string): Promise<void> {
  const images = (await readdir(cache)).filter((name) => /-[0-9a-f]{12}$/.test(name));
  const aged = await Promise.all(
    images.map(async (name) => ({ name, age: (await stat(join(cache, name))).mtimeMs })),
  );
  const old = aged.sort((a, b) => b.age - a.age).slice(1);
  for (const { name } of old) await rm(join(cache, name), { recursive: true, force: true });
}

/**
 * Writes the kernel itself, out of the program that would unpack it at every boot, which takes longer than all the rest of
 * the boot when it is translated (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). qemu starts
 * it by its PVH entry. A kernel that is not packed by xz, as Debian's is, is left as it is.
 */
async function unpackKernel(packed: Buffer, file: string): Promise<void> {
  const payload = (packed.readUInt8(0x1f1) + 1) * 512 + packed.readUInt32LE(0x248);
  const xz = packed.subarray(payload, payload + packed.readUInt32LE(0x24c));
  if (!xz.subarray(0, 6).equals(Buffer.from('fd377a585a00', 'hex'))) return await writeFile(file, packed);
  const handle = await open(file, 'w');
  try {
    // The length of the kernel follows the one stream.
    const args = ['--decompress', '--stdout', '--single-stream'];
    const running = await new Exec().start('xz', args, { stdin: 'pipe', stdout: handle.fd });
    running.stdin?.on('error', () => undefined).end(xz);
    const { code } = await running.ended;
    if (code !== 0)
      throw new Fault('FE014', `the kernel cannot be unpacked: xz gave ${code}`, 'fetch it again');
  } finally {
    await handle.close();
  }
}

/** The newest kernel's package; its name bears its release, as Debian's do. */
async function fetchPackage(cache: string, work: string, progress: Progress): Promise<string> {
  requireTools(['apt-cache', 'apt-get']);
  const here = new Exec();
  const { stdout } = await here.run({ file: 'apt-cache', args: ['depends', NEWEST], accept: [0, 100] });
  const name = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  if (name === undefined) throw noPackage(`apt knows no package ${NEWEST}`);
  progress(`fetching ${name} (70 MB)`);
  const args = ['download', '-q', name];
  const fetched = await here.run({ file: 'apt-get', args, cwd: work, accept: [0, 100], timeoutMs: 600_000 });
  const file = newest(await readdir(work), (each) => each.endsWith('.deb'));
  if (file === undefined) throw noPackage(`${name} cannot be fetched: ${fetched.stderr.trim()}`);
  const deb = join(cache, file);
  await rename(join(work, file), deb);
  return deb;
}

function noPackage(message: string): Fault {
  const cure = `as root: apt-get update; or put Debian's linux-image-*-amd64.deb into ${defaultCache()}`;
  return new Fault('FE014', message, cure);
}

/** All modules below a folder, by name. They are read when asked for. */
async function readModules(folder: string): Promise<{ order: string[]; files: ArchiveFile[] }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = new Map(
    entries
      .filter((entry) => entry.name.endsWith('.ko'))
      .map((entry) => [moduleName(entry.name), join(entry.parentPath, entry.name)]),
  );
  const contents = new Map<string, Buffer>();
  for (const [name, path] of paths) contents.set(name, await readFile(path));
  const modules = inLoadingOrder(WANTED, (name) => contents.get(name));
  return {
    order: modules.map(({ name }) => name),
    files: modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, mode: 0o644, content })),
  };
}

function firstFiles(modules: { order: string[]; files: ArchiveFile[] }, busybox: Buffer): ArchiveFile[] {
  const folders = ['bin', 'dev', 'host', 'modules', 'over', 'proc', 'root', 'sys'];
  return [
    ...folders.map((path) => ({ path, mode: 0o755 })),
    { path: 'bin/busybox', mode: 0o755, content: busybox },
    { path: 'agent', mode: 0o644, content: Buffer.from(AGENT) },
    { path: 'init', mode: 0o755, content: Buffer.from(INIT) },
    { path: 'modules/order', mode: 0o644, content: Buffer.from(modules.order.join('\n')) },
    ...modules.files,
  ];
}

/** The archive has no libraries, so the program must need none: it names no loader (PT_INTERP). */
async function staticBusybox(): Promise<Buffer> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin']) {
    const path = join(folder, 'busybox');
    const there = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    const content = there ? await readFile(path) : undefined;
    if (content !== undefined && !content.subarray(0, 4096).includes('/ld-linux')) return content;
  }
  throw new Fault('FE001', 'no static busybox is there', 'apt-get install busybox-static');
}
