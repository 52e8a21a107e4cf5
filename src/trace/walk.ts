import type { Addr, Port } from '../ip/ip.ts';
import { hostOf, type World } from '../world/world.ts';
import { Choices, type Weigh } from './choices.ts';
import { Journey } from './journey.ts';
import type {
  DecidingStep,
  Hop,
  Outcome,
  Reason,
  Step,
  Verdict,
  WalkEndpoint,
  WalkRequest,
} from './outcome.ts';
import { Packet } from './packet.ts';
import { type Refusal, Unmodelled } from './passage.ts';
import { OWN } from './routing.ts';
import { type Stack, Stage } from './stack.ts';
import { type Arrival, type Delivered, type Lost, type Refused, Trail } from './trail.ts';
import { endText, isSameTuple, reversed, type Tuple, transportOf } from './tuple.ts';

/** More runs than a Service of any use has endpoints. */
const MOST_BRANCHES = 4096;
/** A port of Linux' range for clients; which one makes no difference. */
const CLIENT_PORT = 40000;

const stages = new WeakMap<World, Stage>();

/**
 * Walks the client's first packet and the answer through the World. What a World means is worked out once and kept for as
 * long as the World is. Throws {@link Fault} FE011 if there is no such client.
 *
 * @param weigh of what hosts choose; every alternative is followed unless said
 */
export function walk(world: World, request: WalkRequest, weigh?: Weigh): readonly Outcome[] {
  hostOf(world, request.from);
  const stage = stages.get(world) ?? new Stage(world);
  stages.set(world, stage);
  const choices = new Choices(weigh);
  const outcomes: Outcome[] = [];
  do {
    if (outcomes.length === MOST_BRANCHES) return [...outcomes, givenUp(outcomes)];
    const found = new Walk(stage, request, choices).run();
    outcomes.push({ probability: choices.probability, ...found });
  } while (choices.advance());
  return outcomes;
}

function givenUp(outcomes: readonly Outcome[]): Outcome {
  const probability = 1 - outcomes.reduce((sum, one) => sum + one.probability, 0);
  return { probability, verdict: 'unknown', reason: 'tooManyBranches', hops: [] };
}

type Found = Omit<Outcome, 'probability'>;

/** One run: the request there and the answer back. */
class Walk {
  readonly #trail: Trail;
  readonly #journey: Journey;
  readonly #client: Stack;
  readonly #request: WalkRequest;
  /** The connection as the client's socket has it. */
  #dialled: Tuple | undefined;
  #endpoint: WalkEndpoint | undefined;
  #sourceSeen: Addr | undefined;

  constructor(stage: Stage, request: WalkRequest, choices: Choices) {
    this.#trail = new Trail(stage, choices);
    this.#journey = new Journey(this.#trail);
    this.#client = stage.stack(request.from);
    this.#request = request;
  }

  run(): Found {
    try {
      return this.#run();
    } catch (error) {
      if (!(error instanceof Unmodelled)) throw error;
      const host = this.#trail.hops.at(-1)?.host ?? this.#client.name;
      const { message: detail, rule, place } = error;
      const step: Step = {
        kind: 'unknown',
        detail,
        ...(rule === undefined ? {} : { rule }),
        ...(place === undefined ? {} : { place }),
        changes: [],
      };
      const deciding = { host, step };
      this.#trail.hops.at(-1)?.steps.push(deciding.step);
      return this.#found('unknown', 'unmodelled', deciding);
    }
  }

  #run(): Found {
    const source = this.#source();
    if (!('addr' in source)) return source;
    const { to, port, protocol } = this.#request;
    const sourcePort = port === CLIENT_PORT ? CLIENT_PORT + 1 : CLIENT_PORT;
    this.#dialled = { source: source.addr, sourcePort, destination: to, destinationPort: port };
    const packet = new Packet(transportOf(protocol), 'request', this.#dialled);
    const arrival = this.#journey.send(this.#client, packet, 'forward');
    switch (arrival.kind) {
      case 'delivered':
        return this.#delivered(arrival);
      case 'refused':
        if (this.#isTold(arrival)) return this.#found('refused', arrival.reason, arrival.deciding);
        return this.#tell(arrival);
      case 'lost':
        return this.#found(this.#isTold(arrival) ? 'refused' : 'timeout', arrival.reason, arrival.deciding);
    }
  }

  /** A program is told at once where its host knows no way, and of a datagram its own host's rules drop (EPERM). */
  #isTold({ where }: Lost | Refused): boolean {
    return where === 'no way' || (where === 'own host' && this.#request.protocol === 'UDP');
  }

  /** The address the client's socket has: the one it binds, or the one the route says (ip_route_connect). */
  #source(): { readonly addr: Addr } | Found {
    const { source, to } = this.#request;
    const { routing, name } = this.#client;
    const refuse = (reason: Reason, detail: string, rule?: string): Found => {
      const step = { kind: 'drop', detail, changes: [], ...(rule === undefined ? {} : { rule }) } as const;
      return this.#found('refused', reason, { host: name, step });
    };
    if (source !== undefined) {
      if (routing.isLocal(source)) return { addr: source };
      return refuse('sourceNotLocal', `${source} is no address of ${name}`);
    }
    if (to.isMulticast) return refuse('broadcastDestination', `${to} is a multicast address`);
    const way = routing.find({ to, from: undefined, mark: 0, input: OWN });
    switch (way?.kind) {
      case 'local':
        return { addr: way.source };
      case 'unicast': {
        const addr = way.source ?? routing.sourceFor(way.interface, way.via ?? to, to);
        return addr === undefined
          ? refuse('noRoute', `${name} has no address to send from`, way.text)
          : { addr };
      }
      case 'broadcast':
        return refuse('broadcastDestination', `${to} is a broadcast address`, way.text);
      case 'blackhole':
        return refuse('blackholeRoute', `${to} leads nowhere`, way.text);
      case 'unreachable':
        return refuse('unreachableRoute', `no way to ${to}`, way.text);
      default:
        return refuse('noRoute', `no way to ${to}`);
    }
  }

  #delivered(arrival: Delivered): Found {
    const { stack, packet } = arrival;
    this.#endpoint = {
      ip: packet.destination,
      port: packet.destinationPort as Port,
      host: stack.name,
    };
    this.#sourceSeen = packet.source;
    const { protocol, destination, destinationPort } = packet;
    if (!stack.listens(protocol, destination, destinationPort)) return this.#notListening(arrival);
    this.#note('deliver', `to the process at ${protocol} ${endText(destination, destinationPort)}`);
    const answer = new Packet(protocol, 'answer', reversed(packet));
    return this.#returned(this.#journey.send(stack, answer, 'reply'), answer, 'answered');
  }

  #note(kind: 'deliver', detail: string): DecidingStep {
    const hop = this.#trail.hops.at(-1);
    const step = { kind, detail, changes: [] } as const;
    hop?.steps.push(step);
    return { host: hop?.host ?? this.#client.name, step };
  }

  #notListening({ stack, packet }: Delivered): Found {
    const where = endText(packet.destination, packet.destinationPort);
    const deciding = this.#note('deliver', `nothing listens at ${packet.protocol} ${where}`);
    // UDP lets go of the connection before it complains (udp_rcv); TCP answers with a packet of its own.
    packet.untrack();
    const refusal: Refusal = packet.protocol === 'udp' ? 'port' : 'reset';
    if (refusal === 'reset' && isLostOnItsLink(packet)) return this.#found('timeout', 'noListener', deciding);
    return this.#tell({
      kind: 'refused',
      stack,
      packet,
      refusal,
      reason: 'noListener',
      deciding,
      where: 'network',
    });
  }

  /** Sends the RST or ICMP error, and sees what the client makes of it. */
  #tell({ stack, packet, refusal, reason, deciding }: Refused): Found {
    const told = refusal === 'reset' ? resetFor(packet) : errorFor(stack, packet, refusal);
    return this.#returned(this.#journey.send(stack, told, 'reply'), told, reason, deciding);
  }

  /** What the client makes of what comes back. */
  #returned(arrival: Arrival, sent: Packet, reason: Reason, deciding?: DecidingStep): Found {
    if (arrival.kind !== 'delivered') return this.#found('timeout', arrival.reason, arrival.deciding);
    const { stack, packet } = arrival;
    const where = `${packet} came to ${stack.name}`;
    if (stack !== this.#client) {
      return this.#found(
        'timeout',
        'replyMisdelivered',
        this.#note('deliver', `${where}, which did not ask`),
      );
    }
    if (!this.#isExpected(packet)) return this.#unexpected(packet, sent);
    if (packet.content !== 'answer') {
      const verdict = this.#heeds(packet) ? 'refused' : 'timeout';
      return this.#found(verdict, reason, deciding);
    }
    return this.#confirmed() ?? this.#found('reached', reason, this.#choosing());
  }

  #isExpected(packet: Packet): boolean {
    const dialled = this.#dialled;
    return dialled !== undefined && isSameTuple(packet.quote ?? reversed(packet), dialled);
  }

  /** A datagram's sender is not told of a host or network that may come back (udp_err, icmp_err_convert). */
  #heeds({ quote }: Packet): boolean {
    if (this.#request.protocol !== 'UDP') return true;
    return quote?.code !== 'host' && quote?.code !== 'net';
  }

  #unexpected(packet: Packet, sent: Packet): Found {
    const { to, port } = this.#request;
    const detail = `the client dialled ${endText(to, port)} and takes nothing from ${endText(packet.source, packet.sourcePort)}`;
    const deciding = this.#note('deliver', detail);
    const untouched = isSameTuple(packet, sent);
    return this.#found('timeout', untouched ? 'replyNotTranslated' : 'replySourceMismatch', deciding);
  }

  /**
   * What the client sends once it has the answer. It goes the way of the first packet, but rules may tell it from that one,
   * and a host that has not seen the answer takes it for invalid. `undefined`: it gets through, and nothing of it is told.
   */
  #confirmed(): Found | undefined {
    const { protocol } = this.#request;
    const dialled = this.#dialled;
    if (protocol !== 'TCP' || dialled === undefined) return undefined;
    const isTracked = [...this.#trail.states].some(({ connections }) => connections.all.length > 0);
    if (!isTracked) return undefined;
    const told = this.#trail.hops.length;
    const packet = new Packet('tcp', 'confirm', dialled);
    const arrival = this.#journey.send(this.#client, packet, 'forward');
    if (arrival.kind === 'delivered' && arrival.stack.name === this.#endpoint?.host) {
      this.#trail.hops.splice(told);
      return undefined;
    }
    if (arrival.kind === 'delivered') {
      return this.#found('timeout', 'handshakeInvalid', this.#note('deliver', 'it is not who answered'));
    }
    const reason = packet.state === 'invalid' ? 'handshakeInvalid' : arrival.reason;
    // A program that waits for its connection is told of an error that comes right after it (SO_ERROR, sk_err_soft).
    if (arrival.kind === 'refused') return this.#tell({ ...arrival, reason });
    return this.#found('timeout', reason, arrival.deciding);
  }

  /** The last step that gave the request another destination. */
  #choosing(): DecidingStep | undefined {
    for (const { host, direction, steps } of this.#trail.hops.toReversed()) {
      if (direction === 'reply') continue;
      const step = steps.findLast(({ changes }) => changes.some(({ field }) => field === 'destination'));
      if (step !== undefined) return { host, step };
    }
    return undefined;
  }

  #found(verdict: Verdict, reason: Reason, deciding?: DecidingStep): Found {
    const hops: readonly Hop[] = this.#trail.hops;
    return {
      verdict,
      reason,
      hops,
      ...(this.#endpoint === undefined ? {} : { endpoint: this.#endpoint }),
      ...(this.#sourceSeen === undefined ? {} : { sourceSeen: this.#sourceSeen }),
      ...(deciding === undefined ? {} : { deciding }),
    };
  }
}

/**
 * A RST to ::1 is sent by the interface of the address that was dialled, if that is not ::1 itself (rt6_need_strict in
 * tcp_v6_send_response, net/ipv6/tcp_ipv6.c), and so leaves the host.
 */
const isLostOnItsLink = ({ family, source, destination }: Packet): boolean =>
  family === 6 && source.isLoopback && !destination.isLoopback;

/** A RST belongs to the connection of what it answers (nf_ct_attach in nf_reject_ipv4.c). */
function resetFor(packet: Packet): Packet {
  const reset = new Packet(packet.protocol, 'reset', reversed(packet));
  reset.connection = packet.connection;
  reset.isReply = !packet.isReply;
  reset.state = packet.connection === undefined ? 'unseen' : 'established';
  return reset;
}

/** The error comes from the address that was asked for if that is the host's own (icmp_send in net/ipv4/icmp.c). */
function errorFor({ routing }: Stack, packet: Packet, code: Exclude<Refusal, 'reset'>): Packet {
  const { source, sourcePort, destination, destinationPort, protocol } = packet;
  const way = routing.find({ to: source, from: undefined, mark: 0, input: OWN });
  const chosen =
    way?.kind === 'unicast'
      ? (way.source ?? routing.sourceFor(way.interface, way.via ?? source, source))
      : way?.kind === 'local'
        ? way.source
        : undefined;
  const from = routing.isLocal(destination) ? destination : (chosen ?? destination);
  const quote = { source, sourcePort, destination, destinationPort, protocol, code };
  const tuple = { source: from, sourcePort: 0, destination: source, destinationPort: 0 };
  const error = new Packet(protocol, 'error', tuple, { quote });
  error.connection = packet.connection;
  error.isReply = !packet.isReply;
  error.state = packet.connection === undefined ? 'unseen' : 'related';
  return error;
}
