import { Fault } from '../../fault/fault.ts';
import type { Family } from '../../ip/ip.ts';
import type { Problem } from '../from-objects/from-objects.ts';
import type { Listener, PacketFilter, RoutingRule } from '../world.ts';
import { type Device, readDevices } from './devices.ts';
import { DUMP_FILES, type DumpFolder } from './dump-folder.ts';
import { AGAIN } from './items.ts';
import { type ForwardingFact, type NeighbourFact, readForwarding, readNeighbours } from './neighbours.ts';
import { readPacketFilter } from './packet-filter.ts';
import { type RouteFacts, readRoutes, readRules, Tables } from './routes.ts';
import { readListeners } from './sockets.ts';
import { readSysctls, type SysctlFacts } from './sysctls.ts';

/** What a network namespace printed, read. */
export interface Dump {
  readonly name: string;
  readonly path: string;
  readonly devices: readonly Device[];
  readonly routes: Readonly<Record<Family, RouteFacts>>;
  readonly routingRules: readonly RoutingRule[];
  readonly neighbours: readonly NeighbourFact[];
  readonly forwarding: readonly ForwardingFact[];
  /** `undefined`, as what follows: nobody asked. */
  readonly sysctls: SysctlFacts | undefined;
  readonly listeners: readonly Listener[] | undefined;
  readonly packetFilter: PacketFilter | undefined;
  readonly pods: readonly Dump[];
  /** What was taken for granted. */
  readonly notes: readonly Problem[];
}

/**
 * Reads what a node printed. Throws {@link Fault} FE006 that names file and line, or the file that is missing without which
 * there is no telling what the host is.
 */
export function readDump(folder: DumpFolder): Dump {
  const missing = DUMP_FILES.filter(({ name }) => !folder.files.has(name));
  const needed = missing.find((file) => file.needed);
  if (needed !== undefined) throw new Fault('FE006', `${folder.path}: there is no ${needed.name}`, AGAIN);
  const tables = new Tables();
  const sysctls = readSysctls(folder);
  const pods = folder.pods.map(readDump);
  return {
    name: folder.name,
    path: folder.path,
    devices: readDevices(folder),
    routes: { 4: readRoutes(folder, 4, tables), 6: readRoutes(folder, 6, tables) },
    routingRules: [...readRules(folder, 4, tables), ...readRules(folder, 6, tables)],
    neighbours: readNeighbours(folder),
    forwarding: readForwarding(folder),
    sysctls,
    listeners: readListeners(folder),
    packetFilter: readPacketFilter(folder),
    pods,
    notes: [
      ...absenceNotes(
        folder,
        missing.map(({ name }) => name),
      ),
      ...(sysctls?.notes ?? []),
      ...pods.flatMap(({ notes }) => notes),
    ],
  };
}

/** A tool that is not there has nothing loaded; of what it would have printed nothing is known all the same. */
function absenceNotes({ path }: DumpFolder, missing: readonly string[]): Problem[] {
  const telling = missing.filter((name) => name !== 'iptables-legacy-save.txt');
  if (telling.length === 0) return [];
  return [{ place: path, message: `there is no ${telling.join(', ')}: taken for empty` }];
}
