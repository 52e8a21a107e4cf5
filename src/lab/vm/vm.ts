/**
 * A guest: a small virtual machine with a kernel of Debian's, for what the running kernel lacks (IPVS above all). It is one
 * more place where commands run.
 *
 * Promises: the host's files are its root, read-only, under a layer in memory, so every tool of the host is there and
 * nothing of the host is written but the cache (`$XDG_CACHE_HOME/fairlead/vm`). It has no network card. It ends with its
 * opener, however that ends: the parent-death signal kills the machine, and its agent powers off when the channel closes.
 * Cages opened in it have networks and IPVS tables of their own, so one guest serves many Worlds, one after the other or
 * side by side.
 * Refuses: processors other than x86-64; what a guest has no part in, such as this process's descriptors and terminals.
 *
 * @example
 * const vm = await openVm({ progress: console.error });
 * const cage = await vm.openCage();
 * await realise(world, cage);
 * await cage.exec('n1').run({ file: 'ipvsadm', args: ['-Ln'] });
 * await vm.close();
 */

import { type Ending, Exec, insideNetns, type Place, type Running, requireTools } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { type Cage, openCage } from '../cage.ts';
import { type Accelerator, acceleratorsToTry, refuseKvm } from './accelerator.ts';
import { PORT_NAME } from './agent.ts';
import { Guest } from './guest.ts';
import { defaultCache, type Image, openImage, type Progress } from './image.ts';
import { ALIVE, KERNEL_COMMAND_LINE } from './init.ts';

const QEMU = 'qemu-system-x86_64';

export interface VmOptions {
  /** Where the kernel is kept. */
  readonly cache?: string;
  /** Of the guest, in MiB; 2048 unless said. The host gives what the guest has touched. */
  readonly memory?: number;
  /** Of the guest; 1 unless said, for two that translate side by side have to agree on everything at great cost. */
  readonly processors?: number;
  /** `auto`, unless said: kvm where it has proved itself by a quick boot, else tcg. */
  readonly accelerator?: Accelerator | 'auto';
  /** Bound from power-on to the agent's first word, in milliseconds; 60,000 unless said. */
  readonly timeoutMs?: number;
  /** Told what is being done, in lines without their end. */
  readonly progress?: Progress;
}

/**
 * Throws {@link Fault} FE001 (a tool is missing), FE014 (no kernel package, or the guest ended while it started) or FE003
 * (the guest's agent did not answer in time), each with what the console said.
 */
export async function openVm(options: VmOptions = {}): Promise<Vm> {
  const { cache = defaultCache(), progress = () => undefined, accelerator = 'auto' } = options;
  if (process.arch !== 'x64') {
    throw new Fault('FE014', `a guest needs an x86-64 processor, and this is ${process.arch}`, 'use another');
  }
  requireTools([QEMU, 'setpriv', 'perl']);
  const image = await openImage(cache, progress);
  const [first, second] = accelerator === 'auto' ? await acceleratorsToTry(cache) : [accelerator];
  if (second === undefined) return await boot(image, first, options, progress);
  try {
    return await boot(image, first, { ...options, timeoutMs: 6000 }, progress);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    progress(`${first} does not run here: ${error.message}`);
    await refuseKvm(cache, error.message);
    return await boot(image, second, options, progress);
  }
}

async function boot(image: Image, accelerator: Accelerator, options: VmOptions, progress: Progress) {
  const { timeoutMs = 60_000 } = options;
  progress(`starting ${image.kernel.split('/').at(-2)} by ${accelerator}`);
  const started = performance.now();
  const place: Place = { name: 'this host', prefix: ['setpriv', '--pdeathsig', 'KILL', '--'] };
  const qemu = await new Exec(place).start(QEMU, hardware(image, accelerator, options), {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    report: true,
    cwd: '/',
    // A session of its own: what a terminal sends on Ctrl-C is for the opener to act upon.
    detached: true,
  });
  const { stdin, stdout, stderr, report } = qemu;
  if (stdin === null || stdout === null || stderr === null || report === null) throw new Error('no pipes');
  const said = new Console();
  stderr.on('data', said.hear);
  report.on('data', said.hear);
  // Writing to a guest that ended is told by its end.
  for (const stream of [stdin, report]) stream.on('error', () => undefined);
  const guest = new Guest(stdout, stdin);
  const died = qemu.ended.then(() => {
    const fault = new Fault('FE014', `the guest ended: ${said.tail()}`, 'see its message');
    guest.break(fault);
    return fault;
  });
  const late = Promise.withResolvers<Fault>();
  const timer = setTimeout(() => {
    const message = `the guest's agent did not answer within ${timeoutMs} ms: ${said.tail()}`;
    late.resolve(new Fault('FE003', message, 'see its message'));
  }, timeoutMs);
  const hello = await Promise.race([guest.hello, died, late.promise]);
  clearTimeout(timer);
  if (hello instanceof Fault) {
    qemu.kill('SIGKILL');
    throw hello;
  }
  const bootMs = Math.round(performance.now() - started);
  progress(`the guest is up after ${(bootMs / 1000).toFixed(1)} s, Linux ${hello}`);
  return new Vm(qemu, guest, { accelerator, bootMs, release: hello });
}

/** The channel is qemu's own input and output, the console its descriptor 3: nothing is to be found by name. */
function hardware({ kernel, archive }: Image, accelerator: Accelerator, options: VmOptions): string[] {
  const { memory = 2048, processors = 1 } = options;
  // A processor without ERMS: else the kernel and libc clear and copy by `rep stosb`, which tcg does byte by byte.
  const tcg = ['-accel', 'tcg', '-cpu', 'Nehalem'];
  return [
    ...(accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : tcg),
    ...['-smp', String(processors), '-m', String(memory)],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-kernel', kernel, '-initrd', archive, '-append', KERNEL_COMMAND_LINE],
    ...['-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
    ...['-chardev', 'stdio,id=agent,signal=off', '-device', 'virtio-serial-pci'],
    ...['-device', `virtserialport,chardev=agent,name=${PORT_NAME}`],
    ...['-chardev', 'socket,id=console,fd=3', '-serial', 'chardev:console'],
  ];
}

/** The last of what the guest and qemu said. */
class Console {
  #text = '';

  readonly hear = (bytes: Buffer): void => {
    this.#text = `${this.#text}${bytes.toString('latin1')}`.slice(-2000);
  };

  tail(): string {
    return this.#text.replace(`${ALIVE}\r\n`, '').trim() || 'it said nothing';
  }
}

export interface VmFacts {
  readonly accelerator: Accelerator;
  readonly bootMs: number;
  /** Of the guest's kernel, as uname(1) has it. */
  readonly release: string;
}

export class Vm {
  readonly facts: VmFacts;
  /** Of qemu. */
  readonly pid: number;
  /** Where commands run in the guest, as root, with the guest's first namespaces. */
  readonly place: Place;
  /** Comes true when the machine is gone. */
  readonly ended: Promise<Ending>;
  readonly #qemu: Running;

  constructor(qemu: Running, guest: Guest, facts: VmFacts) {
    this.#qemu = qemu;
    this.pid = qemu.pid;
    this.ended = qemu.ended;
    this.facts = facts;
    this.place = { name: 'the guest', prefix: [], machine: guest };
  }

  exec(netns?: string): Exec {
    return new Exec(netns === undefined ? this.place : insideNetns(netns, this.place));
  }

  /** For one World; closing it leaves the guest clean for the next. */
  async openCage(): Promise<Cage> {
    return await openCage({ privilege: 'root', from: this.place });
  }

  /** Pulls the plug, for there is nothing to save, and waits for the end. */
  async close(): Promise<void> {
    this.#qemu.kill('SIGKILL');
    await this.ended;
  }
}
