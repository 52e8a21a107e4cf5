import type { Addr } from '../ip/ip.ts';
import type { StackInterface, Stage } from './stack.ts';

/**
 * The Ethernet address of a neighbour: from the permanent entries, else whoever answers on the link. To ARP answers every
 * interface whose host has the address, on whichever of its interfaces (arp_ignore is 0); to neighbour discovery only one that
 * has it itself (ndisc_recv_ns in net/ipv6/ndisc.c). `undefined`: nobody.
 */
export function resolve(stage: Stage, output: StackInterface, neighbour: Addr): string | undefined {
  const known = output.neighbours.get(neighbour.text);
  if (known !== undefined) return known;
  if (output.resolved.has(neighbour.text)) return output.resolved.get(neighbour.text);
  const ends = output.is.kind === 'vxlan' ? [] : endsBeyond(stage, output);
  const has = ({ stack, is }: StackInterface) =>
    neighbour.family === 4
      ? stack.routing.isLocal(neighbour)
      : is.addresses.some(({ addr }) => addr.equals(neighbour));
  const mac = ends.find(has)?.mac;
  output.resolved.set(neighbour.text, mac);
  return mac;
}

/** The port of a bridge behind which an Ethernet address is. */
export function portTowards(stage: Stage, bridge: StackInterface, mac: string): StackInterface | undefined {
  return bridge.stack
    .portsOf(bridge.name)
    .find((port) => endsBeyond(stage, port).some((end) => end.mac === mac));
}

/** The interfaces that frames from this one can come to, through whatever bridges lie between. */
function endsBeyond(stage: Stage, from: StackInterface): StackInterface[] {
  const ends: StackInterface[] = [];
  const seen = new Set<StackInterface>();
  const leave = (port: StackInterface) => {
    const end = stage.peerOf(port);
    if (end === undefined || seen.has(end)) return;
    seen.add(end);
    const bridge = end.is.kind === 'veth' && end.is.bridge !== undefined ? end.is.bridge : undefined;
    if (bridge === undefined) {
      ends.push(end);
      return;
    }
    const own = end.stack.interfaces.get(bridge);
    if (own !== undefined) ends.push(own);
    for (const port of end.stack.portsOf(bridge)) if (port !== end) leave(port);
  };
  if (from.is.kind === 'bridge') for (const port of from.stack.portsOf(from.name)) leave(port);
  else leave(from);
  return ends;
}
