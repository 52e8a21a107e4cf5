import { LinkLayer } from './link-layer.ts';
import type { Direction, Reason } from './outcome.ts';
import type { Packet } from './packet.ts';
import type { Passage, Ruling } from './passage.ts';
import { flowOf, OWN, type Way } from './routing.ts';
import { judgeSource } from './source-validation.ts';
import type { Stack, StackInterface } from './stack.ts';
import type { Arrival, Lost, Trail } from './trail.ts';

/**
 * The ways of the packets of one walk: the path of a packet through the kernel, host after host, as a chain of calls that
 * ends where the packet does. Here is IP; between hosts the link layer goes on.
 */
export class Journey {
  readonly #trail: Trail;
  readonly #links: LinkLayer;

  constructor(trail: Trail) {
    this.#trail = trail;
    this.#links = new LinkLayer(trail, {
      receive: (stack, input, packet) => this.#receive(stack, input, packet),
      route: (stack, input, packet) => this.#route(stack, input, packet),
      forward: (stack, input, packet, way) => this.#forward(stack, input, packet, way),
      output: (stack, packet, way) => this.#output(stack, packet, way),
    });
  }

  /** Sends what a process or the kernel of a host has made (ip_local_out in net/ipv4/ip_output.c). */
  send(stack: Stack, packet: Packet, direction: Direction): Arrival {
    this.#trail.begin(stack, packet, direction);
    return this.#output(stack, packet, stack.routing.find(flowOf(packet, OWN)));
  }

  #output(stack: Stack, packet: Packet, first: Way | undefined): Arrival {
    let way = first;
    const out = this.#outOf(stack, way);
    if (out === undefined) return this.#noWayOut(packet, way);
    const reroute = (passage: Passage): Ruling => {
      way = stack.routing.find(flowOf(packet, OWN));
      const output = this.#outOf(stack, way);
      if (output === undefined) {
        passage.reason = reasonOf(way);
        passage.note('drop', `no way to ${packet.destination}`, way?.text);
        return 'drop';
      }
      if (staysInside(stack, packet) && output !== stack.loopback) {
        passage.reason = 'martianSource';
        passage.note('drop', `${packet.source} cannot go out by ${output.name}`, way?.text);
        return 'drop';
      }
      return 'accept';
    };
    const passage = this.#trail.passage('output', stack, packet, { output: out, reroute });
    const ruling = stack.hooks.output.run(passage);
    if (ruling === 'drop') return this.#trail.stopped(stack, passage);
    if (ruling === 'stolen') return this.#sendOn(stack, packet);
    return this.#postrouting(stack, packet, way, undefined);
  }

  #outOf(stack: Stack, way: Way | undefined): StackInterface | undefined {
    if (way?.kind === 'local') return stack.loopback;
    return way?.kind === 'unicast' ? stack.interfaces.get(way.interface) : undefined;
  }

  #noWayOut(packet: Packet, way: Way | undefined): Lost {
    return this.#trail.lose(reasonOf(way), `no way to ${packet.destination}`, way?.text, 'no way');
  }

  /**
   * IPVS sends on what it has rewritten by the output hook, whichever hook it took it from (ip_vs_nat_xmit). The way is that
   * of the destination alone (do_output_route4). Whoever sent the packet has been told that all is well (NF_STOLEN): what
   * becomes of it from here on is not its call's any more (ip_vs_nat_send_or_cont).
   */
  #sendOn(stack: Stack, packet: Packet): Arrival {
    packet.balanced = true;
    this.#trail.isLeaving = false;
    const way = stack.routing.find({ to: packet.destination, from: undefined, mark: 0, input: OWN });
    return this.#output(stack, packet, way);
  }

  #postrouting(
    stack: Stack,
    packet: Packet,
    way: Way | undefined,
    input: StackInterface | undefined,
  ): Arrival {
    const output = this.#outOf(stack, way);
    if (output === undefined) return this.#noWayOut(packet, way);
    const nextHop = (way?.kind === 'unicast' ? way.via : undefined) ?? packet.destination;
    this.#trail.note('route', `by ${output.name}`, way?.text);
    const passage = this.#trail.passage('postrouting', stack, packet, { input, output, nextHop });
    if (stack.hooks.postrouting.run(passage) === 'drop') return this.#trail.stopped(stack, passage);
    this.#trail.isLeaving = false;
    if (output === stack.loopback) return this.#receive(stack, output, packet);
    return this.#links.transmit(stack, output, nextHop, packet, input === undefined ? undefined : way);
  }

  /** What comes up to IP (ip_rcv in net/ipv4/ip_input.c, ip6_rcv_core in net/ipv6/ip6_input.c). */
  #receive(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    // IPv6 looks at these before any rule does, and never again.
    const martian =
      packet.family === 6 && input !== stack.loopback ? this.#martian(stack, input, packet) : undefined;
    if (martian !== undefined) return martian;
    const passage = this.#trail.passage('prerouting', stack, packet, { input });
    if (stack.hooks.prerouting.run(passage) === 'drop') return this.#trail.stopped(stack, passage);
    // What the host sent itself still knows its way, and is not looked at again.
    if (input === stack.loopback) return this.#input(stack, input, packet);
    return this.#route(stack, input, packet);
  }

  /** The routing decision for what came in (ip_route_input_slow in net/ipv4/route.c). */
  #route(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    const { destination, family } = packet;
    const martian = family === 4 ? this.#martian(stack, input, packet) : undefined;
    if (martian !== undefined) return martian;
    // Where a rule has led it; ::1 is looked for on the interface it came in by (rt6_need_strict in net/ipv6/route.c).
    if (family === 6 && destination.isLoopback) {
      const detail = `${destination} cannot be reached by ${input.name}`;
      if (packet.content === 'error') return this.#trail.lose('martianDestination', detail);
      return this.#trail.refuse(stack, packet, 'net', 'martianDestination', detail);
    }
    const way = stack.routing.find(flowOf(packet, input.name));
    const forwards = stack.forwards(family);
    switch (way?.kind) {
      case 'local':
        return this.#judged(stack, input, packet, OWN) ?? this.#input(stack, input, packet);
      case 'unicast':
        if (!forwards) return this.#trail.lose('notForwarding', `${stack.name} forwards nothing`, way.text);
        return this.#judged(stack, input, packet, way.interface) ?? this.#forward(stack, input, packet, way);
      case 'broadcast':
        return this.#trail.lose('broadcastDestination', `${destination} is a broadcast address`, way.text);
      case 'blackhole':
        return this.#trail.lose('blackholeRoute', `${destination} leads nowhere`, way.text);
      default: {
        const reason = reasonOf(way);
        const detail = `no way to ${destination}`;
        // A host of IPv6 tells the sender even if it forwards nothing (ip6_pkt_discard in net/ipv6/route.c).
        const tells = forwards || family === 6;
        if (!tells || packet.content === 'error') return this.#trail.lose(reason, detail, way?.text);
        const code = way?.kind === 'unreachable' ? way.code : 'net';
        return this.#trail.refuse(stack, packet, code, reason, detail, way?.text);
      }
    }
  }

  /** Addresses that cannot come by a link. */
  #martian(stack: Stack, input: StackInterface, { source, destination }: Packet): Lost | undefined {
    const isMartian = (addr: Packet['source']) => addr.isLoopback && !routesLoopback(stack, addr);
    if (isMartian(source) || source.isMulticast) {
      return this.#trail.lose('martianSource', `${source} cannot come in by ${input.name}`);
    }
    if (isMartian(destination)) {
      return this.#trail.lose('martianDestination', `${destination} cannot be reached by ${input.name}`);
    }
    return undefined;
  }

  /** @param output by which it would leave; {@link OWN} for what stays */
  #judged(stack: Stack, input: StackInterface, packet: Packet, output: string): Lost | undefined {
    const judgement = judgeSource(stack, input, packet, output);
    return judgement && this.#trail.lose(judgement.reason, judgement.detail, judgement.rule);
  }

  #forward(stack: Stack, input: StackInterface, packet: Packet, way: Way): Arrival {
    if (packet.ttl <= 1) return this.#expired(stack, packet);
    packet.ttl -= 1;
    const output = this.#outOf(stack, way);
    let found: Way | undefined = way;
    const reroute = (): Ruling => {
      found = stack.routing.find(flowOf(packet, OWN));
      return this.#outOf(stack, found) === undefined ? 'drop' : 'accept';
    };
    const passage = this.#trail.passage('forward', stack, packet, { input, output, reroute });
    if (stack.hooks.forward.run(passage) === 'drop') return this.#trail.stopped(stack, passage);
    return this.#postrouting(stack, packet, found, input);
  }

  /** The sender is told, as of a host that cannot be reached (ip_forward in net/ipv4/ip_forward.c, icmp_err_convert). */
  #expired(stack: Stack, packet: Packet): Arrival {
    const detail = 'its time to live is over';
    if (packet.content === 'error') return this.#trail.lose('timeToLiveExceeded', detail);
    return this.#trail.refuse(stack, packet, 'host', 'timeToLiveExceeded', detail);
  }

  #input(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    const passage = this.#trail.passage('input', stack, packet, { input });
    const ruling = stack.hooks.input.run(passage);
    if (ruling === 'drop') return this.#trail.stopped(stack, passage);
    if (ruling === 'stolen') return this.#sendOn(stack, packet);
    if (packet.inner !== undefined) return this.#links.decapsulate(stack, packet, packet.inner);
    return { kind: 'delivered', stack, packet };
  }
}

/** Why a lookup without an interface to leave by came to nothing. */
function reasonOf(way: Way | undefined): Reason {
  switch (way?.kind) {
    case 'blackhole':
      return 'blackholeRoute';
    case 'unreachable':
      return 'unreachableRoute';
    case 'broadcast':
      return 'broadcastDestination';
    default:
      return 'noRoute';
  }
}

/** Whether no route out is found for such a source (__mkroute_output in net/ipv4/route.c); IPv6 leaves it to the receiver. */
const staysInside = (stack: Stack, { family, source }: Packet): boolean =>
  family === 4 && source.isLoopback && !routesLoopback(stack, source);

/** Only IPv4 can be told to (ip6_rcv_core in net/ipv6/ip6_input.c drops ::1 from a link whatever is set). */
function routesLoopback({ host }: Stack, { family }: Packet['source']): boolean {
  return family === 4 && host.sysctls.routeLocalnet === true;
}
