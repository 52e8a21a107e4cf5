import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Product } from '../product.ts';
import { PRODUCT_DIR, type Workload } from './images.ts';
import type { OciMount } from './oci-config.ts';
import { bind } from './oci-config.ts';

/**
 * A container's root: a tmpfs skeleton with overlays over the machine's /usr and /etc. Writes land in the overlay's upper
 * folder and are gone with the container; the machine's files stand below it and cannot be written. Folders of the machine
 * that hold people's data (/home, /root, /var, /srv, …) are not there at all.
 *
 * Overlays per folder, and not one over `/`, because in a user namespace an overlay cannot have a lower layer with mounts
 * of the machine below it (it would uncover what they hide; fs/namespace.c, has_locked_children). The upper folders are
 * made beforehand where a pod writes: as an unprivileged user the machine's own folders belong to nobody the pod could be.
 *
 * Synchronous on purpose: these are a few dozen entries on a tmpfs, faster than handing each to a thread.
 */
export interface RootFiles {
  /** Of /etc: hosts, resolv.conf, hostname. */
  readonly etc: Readonly<Record<string, string>>;
  readonly workload: Workload;
  readonly product: Product;
  /** Whether user ids other than 0 exist (not in an unprivileged user's namespace). */
  readonly manyUsers: boolean;
}

const FOLDERS = [
  'dev',
  'etc',
  'home',
  'media',
  'mnt',
  'opt',
  'proc',
  'root',
  'run',
  'srv',
  'sys',
  'usr',
  'var/cache',
  'var/lib',
  'var/log',
  'var/spool',
  'var/www',
];
const OPEN_TO_ALL = ['tmp', 'var/tmp'];
/** Symbolic links into /usr on a merged machine (UsrMerge), folders of their own on others. */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** Makes `rootfs` and its layers below `dir`, the container's own folder, and gives the mounts that complete it. */
export function makeRoot(dir: string, files: RootFiles): readonly OciMount[] {
  const root = join(dir, 'rootfs');
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  for (const folder of OPEN_TO_ALL) {
    mkdirSync(join(root, folder), { recursive: true });
    chmodSync(join(root, folder), 0o1777);
  }
  symlinkSync('/run', join(root, 'var/run'));
  const overlays = ['usr', 'etc'];
  for (const name of MERGED) {
    const stat = lstatSync(`/${name}`, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    else if (stat?.isDirectory()) overlays.push(name);
  }
  const mounts = overlays.map((folder) => overlay(dir, folder, files.manyUsers));
  for (const [name, text] of Object.entries(files.etc)) writeFileSync(join(dir, 'upper/etc', name), text);
  return [...mounts, ...workloadMounts(dir, files)];
}

function overlay(dir: string, folder: string, manyUsers: boolean): OciMount {
  const upper = join(dir, 'upper', folder);
  const work = join(dir, 'work', folder);
  for (const one of [upper, work, join(dir, 'rootfs', folder)]) mkdirSync(one, { recursive: true });
  // In a user namespace overlayfs may only keep its marks in user.* attributes (Linux 5.11).
  const marks = manyUsers ? [] : ['userxattr'];
  return {
    destination: `/${folder}`,
    type: 'overlay',
    source: 'overlay',
    options: [`lowerdir=/${folder}`, `upperdir=${upper}`, `workdir=${work}`, ...marks],
  };
}

function workloadMounts(dir: string, files: RootFiles): readonly OciMount[] {
  const { product, workload } = files;
  switch (workload.kind) {
    case 'nginx':
      return nginxFiles(dir, files.manyUsers);
    case 'responder':
      mkdirSync(join(dir, 'upper', PRODUCT_DIR), { recursive: true });
      return [bind(product.responder, `${PRODUCT_DIR}/responder.pl`, 'ro')];
    case 'fairlead':
      mkdirSync(join(dir, 'upper', PRODUCT_DIR), { recursive: true });
      return product.parts.map((part) => bind(part.source, `${PRODUCT_DIR}/${part.name}`, 'ro'));
    case 'shell':
      return [];
  }
}

/** The files of the machine's /etc/nginx that a site's configuration may include. */
const NGINX_INCLUDES = ['mime.types', 'fastcgi_params', 'uwsgi_params', 'scgi_params'];

/**
 * nginx as its image has it: configuration in /etc/nginx/conf.d, page in /usr/share/nginx/html, logs on the standard
 * streams. The machine's own sites stay out.
 */
function nginxFiles(dir: string, manyUsers: boolean): readonly OciMount[] {
  const etc = join(dir, 'nginx');
  mkdirSync(join(etc, 'conf.d'), { recursive: true });
  for (const name of NGINX_INCLUDES) {
    if (existsSync(`/etc/nginx/${name}`)) copyFileSync(`/etc/nginx/${name}`, join(etc, name));
  }
  // nginx calls the user of its workers by name; in a user namespace there is only root.
  writeFileSync(join(etc, 'nginx.conf'), nginxConf(manyUsers ? 'www-data' : 'root'));
  writeFileSync(join(etc, 'conf.d/default.conf'), NGINX_SITE);
  mkdirSync(join(dir, 'upper/usr/share/nginx/html'), { recursive: true });
  for (const folder of ['var/lib/nginx', 'var/log/nginx', 'var/cache/nginx']) {
    mkdirSync(join(dir, 'rootfs', folder), { recursive: true });
  }
  return [bind(etc, '/etc/nginx', 'rw')];
}

const nginxConf = (user: string) => `user ${user};
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events {
  worker_connections 1024;
}
http {
  include mime.types;
  default_type application/octet-stream;
  log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                  '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
  access_log /dev/stdout main;
  sendfile on;
  keepalive_timeout 65;
  include conf.d/*.conf;
}
`;

const NGINX_SITE = `server {
  listen 80;
  server_name localhost;
  location / {
    root /usr/share/nginx/html;
    index index.html index.htm;
  }
}
`;

/** Whether a word names a program that a container's PATH would find. */
export function isProgram(word: string): boolean {
  if (word.startsWith('/')) return existsSync(word) && !lstatSync(word).isDirectory();
  return /^[\w.+-]+$/.test(word) && PROGRAM_FOLDERS.some((folder) => existsSync(join(folder, word)));
}

const PROGRAM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** True when this process may become other users: /proc/self/uid_map maps more than one id (user_namespaces(7)). */
export function hasManyUsers(uidMap: string): boolean {
  return uidMap
    .trim()
    .split('\n')
    .some((line) => Number(line.trim().split(/\s+/)[2]) > 1);
}
