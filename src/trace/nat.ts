import type { HookEntry } from './hook-entry.ts';
import type { Packet } from './packet.ts';
import type { HookName, Passage, Ruling } from './passage.ts';
import { LOOPBACK } from './routing.ts';

export type NatHook = Exclude<HookName, 'forward'>;
type Side = 'source' | 'destination';

/** Destinations are rewritten before the routing decision, sources after it (HOOK2MANIP in nf_nat.h). */
const SIDES: Readonly<Record<NatHook, Side>> = {
  prerouting: 'destination',
  output: 'destination',
  input: 'source',
  postrouting: 'source',
};

/**
 * NAT at a hook (net/netfilter/nf_nat_core.c): the chains are asked about a connection once, by its first packet; from then
 * on every packet is rewritten as its connection says.
 */
export function natOf(hook: NatHook, chains: readonly HookEntry[]): (passage: Passage) => Ruling {
  const side = SIDES[hook];
  return (passage) => {
    const { packet } = passage;
    const { connection } = packet;
    if (connection === undefined) return 'accept';
    const before = packet.destination.text;
    const port = packet.destinationPort;
    if (packet.state === 'related') translateError(passage, side);
    else if (isDecided(passage, side)) translate(passage, side);
    else {
      const ruling = decide(passage, side, chains);
      if (ruling !== 'accept') return ruling;
    }
    const moved = packet.destination.text !== before || packet.destinationPort !== port;
    return (moved || isBoundElsewhere(packet)) && passage.reroute !== undefined
      ? passage.reroute(passage)
      : 'accept';
  };
}

/**
 * Whether the packet's connection is led elsewhere than its sender addressed it, whoever does that: the output hook then
 * looks for the way anew, by source and mark as well (nf_nat_ipv4_local_fn). So what IPVS sends on leaves by policy routing.
 */
function isBoundElsewhere({ connection, isReply }: Packet): boolean {
  if (connection === undefined) return false;
  const { original, reply } = connection;
  const [to, from] = isReply ? [reply.destination, original.source] : [original.destination, reply.source];
  return !to.equals(from);
}

/** Only the first packet of a connection can still decide. */
function isDecided({ packet: { connection, state } }: Passage, side: Side): boolean {
  if (state !== 'new') return true;
  return (side === 'source' ? connection?.sourceDecided : connection?.destinationDecided) ?? true;
}

function decide(passage: Passage, side: Side, chains: readonly HookEntry[]): Ruling {
  for (const chain of chains) {
    const ruling = chain.run(passage);
    if (ruling !== 'accept') return ruling;
    if (isDecided(passage, side)) return 'accept';
  }
  const { connection } = passage.packet;
  if (connection === undefined) return 'accept';
  if (side === 'source') connection.sourceDecided = true;
  else connection.destinationDecided = true;
  return 'accept';
}

function translate(passage: Passage, side: Side): void {
  const { connection, isReply } = passage.packet;
  if (connection === undefined) return;
  const { original, reply, isSourceNat, isDestinationNat } = connection;
  if (side === 'destination') {
    if (!isReply && isDestinationNat) passage.rewriteDestination(reply.source, reply.sourcePort);
    if (isReply && isSourceNat) passage.rewriteDestination(original.source, original.sourcePort);
  } else {
    if (!isReply && isSourceNat) passage.rewriteSource(reply.destination, reply.destinationPort);
    if (isReply && isDestinationNat) passage.rewriteSource(original.destination, original.destinationPort);
  }
  if (passage.changes.length > 0) passage.note('conntrack', `as the connection ${connection} says`);
}

/**
 * An ICMP error is addressed to whoever sent the packet it quotes, and quotes it as that one knows it
 * (nf_nat_icmp_reply_translation in nf_nat_proto.c).
 */
function translateError(passage: Passage, side: Side): void {
  const { connection, isReply, quote } = passage.packet;
  if (connection === undefined || quote === undefined) return;
  const { original, reply } = connection;
  const rewrites =
    (side === 'destination') === isReply ? connection.isSourceNat : connection.isDestinationNat;
  if (!rewrites) return;
  // The ends as the side that the error goes to knows them.
  const known = isReply ? original : reply;
  if (side === 'destination') {
    passage.rewriteDestination(known.source, 0);
    quote.source = known.source;
    quote.sourcePort = known.sourcePort;
  } else {
    passage.rewriteSource(known.destination, 0);
    quote.destination = known.destination;
    quote.destinationPort = known.destinationPort;
  }
  passage.note('conntrack', `an error about the connection ${connection}`);
}

/** What a DNAT rule does to the first packet of a connection. */
export function applyDestinationNat(
  passage: Passage,
  to: Passage['packet']['destination'],
  port: number,
): void {
  const { connection } = passage.packet;
  if (connection === undefined) return;
  connection.destinationDecided = true;
  connection.rewriteDestination(to, port);
  passage.rewriteDestination(to, port);
}

/** To the host itself (nf_nat_redirect.c): by the address of the interface a packet came in by, or what it sends by loopback's. */
export function applyRedirect(passage: Passage, port: number): Ruling {
  const { packet, hook, input, stack } = passage;
  if (packet.connection === undefined) return 'accept';
  const address =
    hook === 'output'
      ? LOOPBACK[packet.family]
      : input && stack.routing.redirectTo(input.name, packet.family);
  if (address === undefined) return 'drop';
  applyDestinationNat(passage, address, port);
  return 'accept';
}

/** No connection is kept of it, unless it has one already (notrack_tg in xt_CT.c, nft_notrack_eval). */
export function applyNotrack({ packet, state }: Passage): void {
  state.connections.leaveOut(packet);
}

/** What an SNAT or masquerade rule does. */
export function applySourceNat(passage: Passage, to: Passage['packet']['source'], port: number): void {
  const { connection } = passage.packet;
  if (connection === undefined) return;
  connection.sourceDecided = true;
  connection.rewriteSource(to, port);
  passage.rewriteSource(to, port);
}

/** The address of the interface a packet leaves by; a packet that could get none is dropped. */
export function applyMasquerade(passage: Passage): Ruling {
  const { packet, output, nextHop, stack } = passage;
  if (packet.connection === undefined || output === undefined) return 'accept';
  const address = stack.routing.sourceFor(output.name, nextHop ?? packet.destination, packet.destination);
  if (address === undefined) return 'drop';
  applySourceNat(passage, address, packet.sourcePort);
  return 'accept';
}
