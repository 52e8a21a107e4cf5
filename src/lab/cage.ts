/**
 * The cage: namespaces of its own for mounts, network, processes and, without root, users, in which everything else of
 * the lab lives.
 *
 * Promises: nothing inside outlives whoever opened it, however that ends. The first process of the process namespace waits
 * for its standard input, whose other end only the opener holds; when it ends, the kernel kills every process inside and
 * with the last of them go mounts, links, rules and the tmpfs that held all files. /run, /proc and /sys/fs/cgroup are its
 * own; /run/fairlead and /run/netns are there and empty.
 * Refuses: to touch the host. It has no link to the host's network.
 *
 * @example
 * const cage = await openCage();
 * await cage.exec().run({ file: 'ip', args: ['netns', 'add', 'n1'] });
 * await cage.exec('n1').run({ file: 'ip', args: ['link'] });
 * await cage.close();
 */
import { createInterface } from 'node:readline';
import { type Ending, Exec, HERE, type Place, type Running } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';

/** `root`: as it is. `user`: in a user namespace, where the caller is root over what it made. */
export type Privilege = 'root' | 'user';

export interface CageOptions {
  /** `auto`, unless said: as root where that works, else in a user namespace. */
  readonly privilege?: Privilege | 'auto';
  /** Where the cage is opened from; here, unless said. Its prefix may change the user; in a guest we are root. */
  readonly from?: Place;
}

/** Throws {@link Fault} FE004 with what the kernel said if no way to make the namespaces is open. */
export async function openCage(options: CageOptions = {}): Promise<Cage> {
  const { privilege = 'auto', from = HERE } = options;
  const isRoot = from.machine !== undefined || process.getuid?.() === 0;
  const order: readonly Privilege[] =
    privilege !== 'auto' ? [privilege] : isRoot ? ['root', 'user'] : ['user'];
  const refusals: string[] = [];
  for (const each of order) {
    const attempt = await start(each, from);
    if (attempt instanceof Cage) return attempt;
    refusals.push(attempt.refusal);
  }
  throw new Fault(
    'FE004',
    `no namespaces can be made: ${refusals.join('; ')}`,
    'run as root, or allow user namespaces: sysctl -w user.max_user_namespaces=10000',
  );
}

/**
 * The first process of the cage. /proc is still the opener's when it reads its own number, so it is the number by which
 * the opener knows it. Ignoring SIGCHLD lets the kernel reap orphans by itself, also after the exec (signal(7)); a shell's
 * trap does not outlive its exec. `cat` says back what the opener writes, so that the opener knows when it stands.
 */
const FIRST_PROCESS = `set -e
read -r pid rest < /proc/self/stat
mount -n -t proc proc /proc
mount -n -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/netns /run/fairlead
if [ -d /sys/fs/cgroup ]; then mount -n -t tmpfs -o mode=0755 tmpfs /sys/fs/cgroup; fi
echo "$pid"
exec env --ignore-signal=CHLD cat`;

/**
 * The parent-death signal ends `unshare` with its opener at once. A user namespace clears it (commit_creds in
 * kernel/cred.c); there the end of the input, which comes in both cases, is what ends the cage.
 */
function openingCommand(privilege: Privilege): string[] {
  const users = privilege === 'user' ? ['--user', '--map-root-user'] : [];
  const spaces = [...users, '--mount', '--net', '--pid', '--fork', '--kill-child'];
  return ['--pdeathsig', 'KILL', '--', 'unshare', ...spaces, '--', 'sh', '-c', FIRST_PROCESS];
}

async function start(privilege: Privilege, from: Place): Promise<Cage | { refusal: string }> {
  const running = await new Exec(from).start('setpriv', openingCommand(privilege), {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    cwd: '/',
    // A session of its own: what a terminal sends on Ctrl-C is for the opener to act upon.
    detached: true,
  });
  const { stdin, stdout, stderr } = running;
  if (stdin === null || stdout === null || stderr === null) throw new Error('a cage needs pipes');
  const complaints: Buffer[] = [];
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  // Writing to a process that ended is told by its complaints.
  stdin.on('error', () => undefined);
  stdin.write('stands\n');
  let pid = 0;
  for await (const line of createInterface(stdout)) {
    if (line === 'stands') return new Cage(pid, privilege, from, running);
    pid = Number(line);
  }
  await running.ended;
  const said = Buffer.concat(complaints).toString('utf8').trim();
  return {
    refusal: `${privilege === 'root' ? 'as root' : 'in a user namespace'}: ${said || 'no reason given'}`,
  };
}

/**
 * A place inside the cage whose first process has this number. One nsenter enters all of it: the namespace's file is opened,
 * by its path through the cage's root, before any is entered. What runs here dies with the nsenter before it.
 */
export function cagePlace(pid: number, privilege: Privilege, netns?: string, from: Place = HERE): Place {
  const net = netns === undefined ? '--net' : `--net=/proc/${pid}/root/run/netns/${netns}`;
  const user = privilege === 'user' ? ['--user', '--preserve-credentials'] : [];
  const enter = ['nsenter', '--target', String(pid), ...user, '--mount', '--pid', net, '--'];
  return {
    ...from,
    name: netns ?? 'the cage',
    prefix: [...from.prefix, ...enter, 'setpriv', '--pdeathsig', 'KILL', '--'],
    forks: true,
  };
}

/** Where the hosts of a World are, whoever holds it: all that probing needs. */
export type Inside = Pick<Cage, 'exec'>;

export class Cage {
  /** Of the first process inside, as the /proc of where it was opened has it. */
  readonly pid: number;
  readonly privilege: Privilege;
  /** The cage's root directory as seen from where it was opened (in a guest: there); its sockets can be dialled from there. */
  readonly root: string;
  /** Comes true when everything inside is gone. */
  readonly ended: Promise<Ending>;
  readonly #from: Place;
  readonly #running: Running;

  constructor(pid: number, privilege: Privilege, from: Place, running: Running) {
    this.pid = pid;
    this.privilege = privilege;
    this.root = `/proc/${pid}/root`;
    this.ended = running.ended;
    this.#from = from;
    this.#running = running;
  }

  /** Inside the cage, in its first network namespace or in a named one; see {@link cagePlace}. */
  place(netns?: string): Place {
    return cagePlace(this.pid, this.privilege, netns, this.#from);
  }

  exec(netns?: string): Exec {
    return new Exec(this.place(netns));
  }

  /** Ends everything inside and waits for it. Throws {@link Fault} FE003 if that takes more than five seconds. */
  async close(): Promise<void> {
    this.#running.stdin?.end();
    const bound = AbortSignal.timeout(5000);
    const late = new Promise<never>((_, reject) =>
      bound.addEventListener('abort', () => {
        this.#running.kill('SIGKILL');
        reject(
          new Fault('FE003', `the cage ${this.pid} did not end within 5 s`, 'look for a process in state D'),
        );
      }),
    );
    await Promise.race([this.ended, late]);
  }
}
