/**
 * A lab that outlives the command that built it, for others to enter: on the running kernel or in a guest, alike.
 *
 * Promises: whoever may look into the processes of the keeper, and nobody else, finds the lab by a number, runs commands in
 * its hosts, and asks it further questions. It ends with its keeper, however that ends, and leaves no file: the socket and
 * what is written of the lab are in a cage's own /run.
 * Refuses: to say whether the World is still the one that was built; entering a host is for changing it.
 *
 * @example
 * const kept = await keepLab(world, lab);        // in the process that built it
 * const { cage } = await findLab(kept.number);   // in another
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { Exec, type Place, thisMachine } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import type { World } from '../world/world.ts';
import { type Cage, cagePlace, type Inside, openCage, type Privilege } from './cage.ts';
import { Guest } from './vm/guest.ts';
import type { Kernel } from './vm/kernel.ts';
import { relayProcesses } from './vm/relay.ts';

/** What is written of a lab that is kept. */
interface Note {
  readonly kernel: Kernel;
  /** Of the cage, as its machine knows it. */
  readonly pid: number;
  readonly privilege: Privilege;
  /** The network namespace of each host. */
  readonly hosts: Readonly<Record<string, string>>;
}

export interface KeptLab {
  /** What {@link findLab} finds it by: the process id of a cage on this machine. */
  readonly number: number;
  /** Nobody else may come in. */
  close(): Promise<void>;
}

const folderOf = (number: number): string => `/proc/${number}/root/run/fairlead`;
const noteIn = (folder: string): string => `${folder}/lab.json`;
const socketIn = (folder: string): string => `${folder}/lab.sock`;

/** Lets others in. A guest's cage has no path on this machine, so an empty one of this machine's stands at the door. */
export async function keepLab(
  world: World,
  { cage, kernel }: { readonly cage: Cage; readonly kernel: Kernel },
): Promise<KeptLab> {
  const door = kernel === 'host' ? cage : await openCage();
  const folder = folderOf(door.pid);
  const hosts = Object.fromEntries([...world.hosts.values()].map(({ name, netns }) => [name, netns]));
  const note: Note = { kernel, pid: cage.pid, privilege: cage.privilege, hosts };
  writeFileSync(noteIn(folder), JSON.stringify(note), { mode: 0o600 });
  const machine = cage.place().machine ?? thisMachine;
  const server = createServer((socket) => relayProcesses(machine, socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketIn(folder), resolve);
  });
  return {
    number: door.pid,
    close: async () => {
      server.close();
      if (door !== cage) await door.close();
    },
  };
}

/** A lab that another process keeps. */
export interface FoundLab {
  readonly kernel: Kernel;
  readonly cage: Inside;
  /** Where a command runs that shall have this process's terminal; undefined in a guest, which cannot give it. */
  placeWithTerminal(netns: string): Place | undefined;
  /** Throws {@link Fault} FE011 for a host that is not there. */
  netnsOf(host: string): string;
  /** Leaves it as it is. */
  close(): Promise<void>;
}

/** Throws {@link Fault} FE011 if no lab has the number. */
export async function findLab(number: number): Promise<FoundLab> {
  const folder = folderOf(number);
  if (!existsSync(noteIn(folder))) {
    throw new Fault('FE011', `there is no lab ${number}`, 'say the number that --keep has printed');
  }
  const { kernel, pid, privilege, hosts } = JSON.parse(readFileSync(noteIn(folder), 'utf8')) as Note;
  const socket = connect(socketIn(folder));
  const guest = new Guest(socket, socket);
  const gone = new Promise<never>((_, reject) =>
    socket.once('close', () => {
      const fault = new Fault('FE011', `the lab ${number} has gone`, 'build it again');
      guest.break(fault);
      reject(fault);
    }),
  );
  // That the keeper refuses the connection is told by its close.
  socket.on('error', () => undefined);
  await Promise.race([guest.hello, gone]);
  gone.catch(() => undefined);
  const inside: Place = { name: `the lab ${number}`, prefix: [], machine: guest };
  return {
    kernel,
    cage: { exec: (netns) => new Exec(cagePlace(pid, privilege, netns, inside)) },
    placeWithTerminal: (netns) => (kernel === 'host' ? cagePlace(pid, privilege, netns) : undefined),
    netnsOf: (host) => {
      const netns = hosts[host];
      if (netns !== undefined) return netns;
      const known = Object.keys(hosts).join(', ');
      throw new Fault('FE011', `the lab ${number} has no host '${host}'`, `hosts: ${known}`);
    },
    close: async () => void socket.destroy(),
  };
}
