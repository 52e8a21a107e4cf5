/**
 * An archive as the kernel unpacks it into its first file system: cpio's "new ASCII" form without checksums
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
export interface ArchiveFile {
  /** Without a leading slash; the folders above it come before it. */
  readonly path: string;
  /** Permission bits; a file without content is a folder. */
  readonly mode: number;
  readonly content?: Uint8Array;
}

const FOLDER = 0o040000;
const REGULAR = 0o100000;

export function printArchive(files: readonly ArchiveFile[]): Buffer {
  const trailer = member({ path: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0) }, 0);
  return Buffer.concat([...files.flatMap((file, at) => member(file, at + 1)), ...trailer]);
}

function member({ path, mode, content }: ArchiveFile, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const body = Buffer.from(content ?? []);
  const type = content === undefined ? FOLDER : REGULAR;
  const links = content === undefined ? 2 : 1;
  // Inode, mode, owner, group, links, time, size, device, device of a special file, length of the name, checksum.
  const fields = [inode, type | mode, 0, 0, links, 0, body.length, 0, 0, 0, 0, name.length, 0];
  const numbers = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const head = Buffer.concat([Buffer.from(`070701${numbers}`), name]);
  return [head, padding(head.length), body, padding(body.length)];
}

/** Names and bodies end on a multiple of four. */
function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
