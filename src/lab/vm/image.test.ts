import { describe, expect, it } from 'vitest';
import { Exec } from '../../exec/exec.ts';
import { AGENT } from './agent.ts';
import { printArchive } from './cpio.ts';
import { INIT } from './init.ts';
import { inLoadingOrder, moduleName } from './modules.ts';

const here = new Exec();

describe('an archive', () => {
  it('is read by cpio, names, contents and modes', async () => {
    const archive = printArchive([
      { path: 'bin', mode: 0o755 },
      { path: 'bin/run', mode: 0o755, content: Buffer.from('odd') },
      { path: 'empty', mode: 0o600, content: Buffer.alloc(0) },
    ]);
    const folder = 'cd "$(mktemp -d)" && trap "rm -r $PWD" EXIT && busybox cpio -i 2>&1';
    const script = `${folder} && busybox find . -type f | sort && busybox stat -c '%a %n' bin/run empty && cat bin/run`;
    const { stdout } = await here.run({ file: 'sh', args: ['-c', script], stdin: archive });
    expect(stdout).toBe('1 blocks\n./bin/run\n./empty\n755 bin/run\n600 empty\nodd');
  });
});

describe('modules', () => {
  const kernel: Record<string, string> = {
    ip_vs: 'nf_conntrack,libcrc32c',
    nf_conntrack: 'nf_defrag_ipv4,libcrc32c',
    nf_defrag_ipv4: '',
    libcrc32c: '',
    dummy: '',
  };
  const read = (name: string) => {
    const depends = kernel[name];
    return depends === undefined
      ? undefined
      : Buffer.from(`ELF\0license=GPL\0depends=${depends}\0name=${name}\0`);
  };

  it('come after what they depend on, each once, and what is built in is left out', () => {
    expect(
      inLoadingOrder(['ip_vs', 'built_in', 'nf_conntrack', 'dummy'], read).map(({ name }) => name),
    ).toEqual(['nf_defrag_ipv4', 'libcrc32c', 'nf_conntrack', 'ip_vs', 'dummy']);
  });

  it('have one name, however their files write it', () => {
    expect(moduleName('nf-conntrack_netlink.ko')).toBe('nf_conntrack_netlink');
  });

  it('that say nothing of their dependencies are refused', () => {
    expect(() => inLoadingOrder(['torn'], () => Buffer.from('ELF'))).toThrow("'torn' names no dependencies");
  });
});

describe('the programs of the guest', () => {
  it('are such to their interpreters', async () => {
    await here.run({ file: 'busybox', args: ['sh', '-n'], stdin: INIT });
    const { stderr } = await here.run({ file: 'perl', args: ['-wc'], stdin: AGENT });
    expect(stderr).toBe('- syntax OK\n');
    // The second half of the first program is an argument in single quotes.
    expect(INIT.split("'")).toHaveLength(3);
  });
});
