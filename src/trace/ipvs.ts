import type { IpvsTable, RealServer, VirtualServer } from '../netfilter/netfilter.ts';
import { printVirtualServer } from '../netfilter/netfilter.ts';
import type { HookEntries, HookEntry } from './hook-entry.ts';
import type { Packet } from './packet.ts';
import { type HookName, type Passage, type Ruling, Unmodelled, type VirtualConnection } from './passage.ts';
import { endText, transportOf } from './tuple.ts';

/** Where IPVS stands among the others (ip_vs_ops4 in net/netfilter/ipvs/ip_vs_core.c). */
const PLACES: readonly { readonly hook: HookName; readonly out: number; readonly in?: number }[] = [
  { hook: 'input', out: 98, in: 99 },
  { hook: 'output', out: -99, in: -98 },
  { hook: 'forward', out: 100 },
];

/** IPVS at its hooks: `in` sends requests to a destination, `out` gives answers the virtual address back. */
export function ipvsEntries(table: IpvsTable | undefined): HookEntries {
  if (table === undefined || (table.servers.length === 0 && table.unmodelled === undefined)) {
    return { entries: [], tracks: false };
  }
  const servers = new Map(
    table.servers.map((server) => [`${transportOf(server.protocol)} ${server.endpoint}`, server]),
  );
  const marked = new Map(
    (table.unmodelled ?? [])
      .filter((line) => line.startsWith('-A'))
      .map((line) => [Number(/ -f (\d+)/.exec(line)?.[1]), line] as const),
  );
  const entry = (hook: HookName, priority: number, run: (passage: Passage) => Ruling): HookEntry => ({
    hook,
    priority,
    type: 'filter',
    run,
  });
  const entries = PLACES.flatMap((place) => [
    // Of two entries the later one is called first where priorities are the same; these never are.
    entry(place.hook, place.out, answer),
    ...(place.in === undefined
      ? []
      : [entry(place.hook, place.in, (passage) => request(servers, marked, passage))]),
  ]);
  return { entries, tracks: true };
}

/** ip_vs_out_hook. */
function answer(passage: Passage): Ruling {
  const { packet, state } = passage;
  if (packet.balanced) return 'accept';
  if (packet.quote !== undefined) return answerError(passage);
  const known = state.virtualConnections.find(
    (one) =>
      one.protocol === packet.protocol &&
      one.destinationPort === packet.sourcePort &&
      one.clientPort === packet.destinationPort &&
      one.destination.text === packet.source.text &&
      one.client.text === packet.destination.text,
  );
  if (known === undefined) return 'accept';
  packet.balanced = true;
  passage.rewriteSource(known.virtual, known.virtualPort);
  passage.note('ipvs', `the answer of ${endText(known.destination, known.destinationPort)}`);
  return sentByHost(passage);
}

/**
 * An answer is routed as if the host itself sent it from the virtual address (ip_vs_route_me_harder, with snat_reroute as it is
 * unless set): rules by source or mark may lead it out elsewhere than where the destination's own packets go.
 */
const sentByHost = (passage: Passage): Ruling =>
  passage.hook === 'input' ? 'accept' : (passage.reroute?.(passage) ?? 'accept');

/** An error about a request that was sent on quotes the virtual address again (ip_vs_out_icmp). */
function answerError(passage: Passage): Ruling {
  const { packet, state } = passage;
  const { quote } = packet;
  const known = state.virtualConnections.find(
    (one) =>
      one.protocol === quote?.protocol &&
      one.destinationPort === quote.destinationPort &&
      one.clientPort === quote.sourcePort &&
      one.destination.text === quote.destination.text &&
      one.client.text === quote.source.text,
  );
  if (known === undefined || quote === undefined) return 'accept';
  packet.balanced = true;
  quote.destination = known.virtual;
  quote.destinationPort = known.virtualPort;
  passage.rewriteSource(known.virtual, 0);
  passage.note('ipvs', `an error about ${endText(known.virtual, known.virtualPort)}`);
  return sentByHost(passage);
}

/** ip_vs_in_hook. */
function request(
  servers: ReadonlyMap<string, VirtualServer>,
  marked: ReadonlyMap<number, string>,
  passage: Passage,
): Ruling {
  const { packet, state } = passage;
  if (packet.balanced || packet.quote !== undefined) return 'accept';
  const known = state.virtualConnections.find(
    (one) =>
      one.protocol === packet.protocol &&
      one.virtualPort === packet.destinationPort &&
      one.clientPort === packet.sourcePort &&
      one.virtual.text === packet.destination.text &&
      one.client.text === packet.source.text,
  );
  if (known !== undefined) return send(passage, known, 'as the connection before');
  // One of a firewall mark is looked for first (ip_vs_service_find in net/netfilter/ipvs/ip_vs_ctl.c).
  const byMark = packet.mark === 0 ? undefined : marked.get(packet.mark);
  if (byMark !== undefined) {
    throw new Unmodelled('a virtual server of a firewall mark is not modelled', `ipvsadm ${byMark}`);
  }
  const server = servers.get(`${packet.protocol} ${endText(packet.destination, packet.destinationPort)}`);
  // Only what begins a connection is scheduled (sloppy_tcp is 0).
  if (server === undefined || (packet.content !== 'request' && packet.protocol !== 'udp')) return 'accept';
  return schedule(passage, server);
}

function schedule(passage: Passage, server: VirtualServer): Ruling {
  const { packet, state } = passage;
  const [line = ''] = printVirtualServer(server);
  const rule = `ipvsadm ${line}`;
  if (server.unmodelled !== undefined) {
    throw new Unmodelled(`'${server.unmodelled.join(' ')}' is not modelled`, rule);
  }
  const open = server.destinations.filter(({ weight }) => weight > 0);
  if (open.length === 0) {
    // ip_vs_leave.
    passage.refusal = 'port';
    passage.reason = 'emptyVirtualServer';
    passage.note('ipvs', 'no destination', rule);
    return 'drop';
  }
  const chosen = open[passage.choices.choose(weightsOf(server, open, rule))];
  if (chosen === undefined) throw new Error('a choice is one of its alternatives');
  if (chosen.forwarding !== 'masq')
    throw new Unmodelled(`forwarding by ${chosen.forwarding} is not modelled`, rule);
  const connection: VirtualConnection = {
    protocol: packet.protocol,
    client: packet.source,
    clientPort: packet.sourcePort,
    virtual: packet.destination,
    virtualPort: packet.destinationPort,
    destination: chosen.endpoint.addr,
    destinationPort: chosen.endpoint.port,
  };
  state.virtualConnections.push(connection);
  return send(passage, connection, `${server.scheduler} of ${open.length}`, rule);
}

/** How likely each destination is for a client's first connection, whatever came before. */
function weightsOf({ scheduler }: VirtualServer, open: readonly RealServer[], rule: string): number[] {
  switch (scheduler) {
    case 'rr':
    case 'lc':
      return open.map(() => 1 / open.length);
    case 'wrr':
    case 'wlc': {
      const all = open.reduce((sum, { weight }) => sum + weight, 0);
      return open.map(({ weight }) => weight / all);
    }
    default:
      throw new Unmodelled(`the scheduler '${scheduler}' is not modelled`, rule);
  }
}

/** ip_vs_nat_xmit: to a destination of this host the packet goes on as it is, to another one IPVS sends it itself. */
function send(passage: Passage, to: VirtualConnection, detail: string, rule?: string): Ruling {
  const { packet, stack } = passage;
  const isLocal = stack.routing.isLocal(to.destination);
  passage.rewriteDestination(to.destination, to.destinationPort);
  expectAnswer(packet, to);
  passage.note('ipvs', detail, rule);
  if (!isLocal && packet.source.isLoopback) {
    passage.reason = 'martianSource';
    passage.note('drop', `${packet.source} cannot leave the host`);
    return 'drop';
  }
  if (!isLocal) return 'stolen';
  packet.balanced = true;
  return passage.reroute?.(passage) ?? 'accept';
}

function expectAnswer({ connection, state }: Packet, to: VirtualConnection): void {
  if (state === 'new' && connection?.confirmed === false) {
    connection.expectReplyFrom(to.destination, to.destinationPort);
  }
}
