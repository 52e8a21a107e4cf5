import type { Choices } from './choices.ts';
import { ConnectionTable } from './connection-table.ts';
import { portTowards, resolve } from './link.ts';
import type { DecidingStep, Direction, Reason, Step } from './outcome.ts';
import { Packet } from './packet.ts';
import { type HookName, type HostState, Passage, type Refusal, type Ruling, Unmodelled } from './passage.ts';
import type { Flow, Way } from './routing.ts';
import { judgeSource } from './source-validation.ts';
import type { Stack, StackInterface, Stage } from './stack.ts';

/** Where a packet ends. */
export type Arrival = Delivered | Refused | Lost;

/** It came to the processes of a host. */
export interface Delivered {
  readonly kind: 'delivered';
  readonly stack: Stack;
  readonly packet: Packet;
}

/** A host would not have it, and tells the sender. */
export interface Refused {
  readonly kind: 'refused';
  readonly stack: Stack;
  readonly packet: Packet;
  readonly refusal: Refusal;
  readonly reason: Reason;
  readonly deciding: DecidingStep;
  readonly where: Where;
}

export interface Lost {
  readonly kind: 'lost';
  readonly reason: Reason;
  readonly deciding: DecidingStep;
  readonly where: Where;
}

/**
 * Where a packet ended, for whether its maker is told at once: its host knows `no way` for it, its host's rules stopped it
 * on its way out (`own host`), or later.
 */
export type Where = 'no way' | 'own host' | 'network';

/** A hop that is still being filled. */
export interface OpenHop {
  readonly host: string;
  readonly direction: Direction;
  readonly steps: Step[];
}

/** More links than a packet ever crosses in a World that makes sense. */
const MOST_LINKS = 64;
/** VXLAN takes a source port from a hash of what it carries; which one makes no difference. */
const VXLAN_SOURCE_PORT = 50000;

/**
 * The ways of the packets of one walk: the path of a packet through the kernel, host after host, as a chain of calls that
 * ends where the packet does. What hosts come to know on the way (connections, lists) stays for the packets that follow.
 */
export class Journey {
  readonly stage: Stage;
  readonly choices: Choices;
  readonly hops: OpenHop[] = [];
  readonly #states = new Map<Stack, HostState>();
  /** What a tunnel has given back to its own host. */
  readonly #rounds = new Set<Packet>();
  #direction: Direction = 'forward';
  #links = 0;
  /** The packet has not yet left the kernel's call by which it was sent. */
  #isLeaving = false;

  constructor(stage: Stage, choices: Choices) {
    this.stage = stage;
    this.choices = choices;
  }

  get states(): Iterable<HostState> {
    return this.#states.values();
  }

  /** Sends what a process or the kernel of a host has made (ip_local_out in net/ipv4/ip_output.c). */
  send(stack: Stack, packet: Packet, direction: Direction): Arrival {
    this.#direction = direction;
    this.#links = 0;
    this.#isLeaving = true;
    this.#enter(stack);
    this.#note('send', packet.toString());
    const way = stack.routing.find({ to: packet.destination, from: packet.source, mark: packet.mark });
    return this.#output(stack, packet, way);
  }

  #state(stack: Stack): HostState {
    let state = this.#states.get(stack);
    if (state === undefined) {
      state = { connections: new ConnectionTable(), lists: new Map(), virtualConnections: [] };
      this.#states.set(stack, state);
    }
    return state;
  }

  #enter(stack: Stack): void {
    this.hops.push({ host: stack.name, direction: this.#direction, steps: [] });
  }

  get #hop(): OpenHop {
    const hop = this.hops.at(-1);
    if (hop === undefined) throw new Error('a packet is always at some host');
    return hop;
  }

  #note(kind: Step['kind'], detail: string, rule?: string): void {
    this.#hop.steps.push(
      rule === undefined ? { kind, detail, changes: [] } : { kind, detail, rule, changes: [] },
    );
  }

  #lastStep(): DecidingStep {
    const { host, steps } = this.#hop;
    return { host, step: steps.at(-1) ?? { kind: 'drop', detail: 'dropped', changes: [] } };
  }

  #lose(reason: Reason, detail: string, rule?: string, where: Lost['where'] = 'network'): Lost {
    this.#note('drop', detail, rule);
    return { kind: 'lost', reason, deciding: this.#lastStep(), where };
  }

  /** A host that forwards tells the sender. */
  #refuse(
    stack: Stack,
    packet: Packet,
    refusal: Refusal,
    reason: Reason,
    detail: string,
    rule?: string,
  ): Refused {
    this.#note('drop', detail, rule);
    return { kind: 'refused', stack, packet, refusal, reason, deciding: this.#lastStep(), where: 'network' };
  }

  #passage(
    hook: HookName,
    stack: Stack,
    packet: Packet,
    more: Pick<
      ConstructorParameters<typeof Passage>[0],
      'input' | 'output' | 'inputPort' | 'outputPort' | 'reroute' | 'nextHop'
    >,
  ): Passage {
    const { choices } = this;
    return new Passage({
      stack,
      state: this.#state(stack),
      choices,
      hook,
      packet,
      steps: this.#hop.steps,
      ...more,
    });
  }

  /** What follows from a rule that did not let the packet pass. */
  #stopped(stack: Stack, passage: Passage): Arrival {
    const { packet, refusal, reason = 'droppedByRule' } = passage;
    const deciding = this.#lastStep();
    // Nobody is told of a RST or an error that was refused (RFC 1122 3.2.2).
    const mayTell = packet.content !== 'error' && packet.content !== 'reset';
    const where = this.#isLeaving ? 'own host' : 'network';
    if (refusal === undefined || !mayTell) return { kind: 'lost', reason, deciding, where };
    return { kind: 'refused', stack, packet, refusal, reason, deciding, where };
  }

  #output(stack: Stack, packet: Packet, first: Way | undefined): Arrival {
    let way = first;
    const out = this.#outOf(stack, way);
    if (out === undefined) return this.#noWayOut(packet, way);
    const reroute = (passage: Passage): Ruling => {
      way = stack.routing.find({ to: packet.destination, from: packet.source, mark: packet.mark });
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
      passage.output = output;
      return 'accept';
    };
    const passage = this.#passage('output', stack, packet, { output: out, reroute });
    const ruling = stack.hooks.output.run(passage);
    if (ruling === 'drop') return this.#stopped(stack, passage);
    if (ruling === 'stolen') return this.#sendOn(stack, packet);
    return this.#postrouting(stack, packet, way, undefined);
  }

  #outOf(stack: Stack, way: Way | undefined): StackInterface | undefined {
    if (way?.kind === 'local') return stack.loopback;
    return way?.kind === 'unicast' ? stack.interfaces.get(way.interface) : undefined;
  }

  #noWayOut(packet: Packet, way: Way | undefined): Lost {
    return this.#lose(reasonOf(way), `no way to ${packet.destination}`, way?.text, 'no way');
  }

  /**
   * IPVS sends on what it has rewritten by the output hook, whichever hook it took it from (ip_vs_nat_xmit). The way is that
   * of the destination alone (do_output_route4). Whoever sent the packet has been told that all is well (NF_STOLEN): what
   * becomes of it from here on is not its call's any more (ip_vs_nat_send_or_cont).
   */
  #sendOn(stack: Stack, packet: Packet): Arrival {
    packet.balanced = true;
    this.#isLeaving = false;
    const way = stack.routing.find({ to: packet.destination, from: undefined, mark: 0 });
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
    this.#note('route', `by ${output.name}`, way?.text);
    const passage = this.#passage('postrouting', stack, packet, { input, output, nextHop });
    if (stack.hooks.postrouting.run(passage) === 'drop') return this.#stopped(stack, passage);
    this.#isLeaving = false;
    if (output === stack.loopback) return this.#receive(stack, output, packet);
    return this.#transmit(stack, output, nextHop, packet, input === undefined ? undefined : way);
  }

  /** @param forwarded the way of what came in by another interface */
  #transmit(
    stack: Stack,
    output: StackInterface,
    nextHop: Packet['destination'],
    packet: Packet,
    forwarded: Way | undefined,
  ): Arrival {
    this.#follow(output);
    const mac = resolve(this.stage, output, nextHop);
    if (mac === undefined) {
      followPorts(output);
      return this.#lose('noNeighbour', `nobody on the link of ${output.name} has ${nextHop}`);
    }
    switch (output.is.kind) {
      case 'vxlan':
        return this.#encapsulate(stack, output, mac, packet, forwarded);
      case 'bridge':
        return this.#switchTo(output, undefined, mac, packet);
      default:
        return this.#cross(output, mac, packet);
    }
  }

  /** Goes on only by what is modelled. */
  #follow({ name, is: { unmodelled } }: StackInterface): void {
    if (unmodelled !== undefined) throw new Unmodelled(`${name}: ${unmodelled}`);
  }

  /** The frame leaves by a link and comes in at its other end. */
  #cross(output: StackInterface, mac: string, packet: Packet): Arrival {
    this.#follow(output);
    const end = this.stage.peerOf(output);
    if (end === undefined) return this.#lose('noLink', `nothing is at the other end of ${output.name}`);
    this.#links += 1;
    if (this.#links > MOST_LINKS) return this.#lose('loop', `the packet has crossed ${MOST_LINKS} links`);
    packet.forget();
    if (end.is.kind === 'veth' && end.is.bridge !== undefined)
      return this.#bridge(end, end.is.bridge, mac, packet);
    this.#enter(end.stack);
    this.#note('receive', `${packet} on ${end.name}`);
    this.#follow(end);
    if (mac !== end.mac) {
      return this.#lose('otherHost', `the frame is for ${mac}, and ${end.name} is ${end.mac}`);
    }
    return this.#receive(end.stack, end, packet);
  }

  /** A frame comes in by a port of a bridge: for the host itself, or to be switched (net/bridge/br_input.c). */
  #bridge(port: StackInterface, name: string, mac: string, packet: Packet): Arrival {
    const { stack } = port;
    const bridge = stack.interfaces.get(name);
    this.#enter(stack);
    this.#note('receive', `${packet} on ${port.name} of ${name}`);
    this.#follow(port);
    if (bridge === undefined) return this.#lose('noLink', `there is no bridge ${name}`);
    if (stack.filtersSwitched(packet.family)) return this.#filterSwitched(bridge, port, mac, packet);
    if (mac === bridge.mac || mac === port.mac) return this.#receive(stack, bridge, packet);
    return this.#switchTo(bridge, port, mac, packet);
  }

  #switchTo(bridge: StackInterface, from: StackInterface | undefined, mac: string, packet: Packet): Arrival {
    const port = portTowards(this.stage, bridge, mac);
    if (port === undefined) followPorts(bridge);
    if (port === undefined || port === from) {
      return this.#notSwitched(bridge, port, mac);
    }
    if (from !== undefined) {
      this.#note(
        'switch',
        `from ${from.name} to ${port.name}: the rules of ${bridge.stack.name} do not see it`,
      );
    }
    return this.#cross(port, mac, packet);
  }

  /** A bridge sends nothing back by the port it came by (should_deliver in net/bridge/br_forward.c). */
  #notSwitched(bridge: StackInterface, port: StackInterface | undefined, whom: string): Lost {
    if (port === undefined) return this.#lose('noNeighbour', `no port of ${bridge.name} leads to ${whom}`);
    return this.#lose('noHairpin', `${whom} is behind ${port.name}, by which it came to ${bridge.name}`);
  }

  /**
   * With br_netfilter what comes in by a bridge passes the hooks of IP as well (net/bridge/br_netfilter_hooks.c). What
   * PREROUTING has given another destination on the bridge is switched there, whomever the frame was for.
   */
  #filterSwitched(bridge: StackInterface, from: StackInterface, mac: string, packet: Packet): Arrival {
    const { stack } = bridge;
    const before = packet.destination.text;
    const first = this.#passage('prerouting', stack, packet, { input: bridge, inputPort: from });
    if (stack.hooks.prerouting.run(first) === 'drop') return this.#stopped(stack, first);
    let towards: string | undefined = mac;
    if (packet.destination.text !== before) {
      const way = stack.routing.find({ to: packet.destination, from: packet.source, mark: packet.mark });
      if (way?.kind !== 'unicast' || way.interface !== bridge.name) return this.#route(stack, bridge, packet);
      towards = resolve(this.stage, bridge, way.via ?? packet.destination);
    }
    if (towards === bridge.mac || towards === from.mac) return this.#route(stack, bridge, packet);
    const port = towards === undefined ? undefined : portTowards(this.stage, bridge, towards);
    if (port === undefined) followPorts(bridge);
    if (port === undefined || towards === undefined || port === from) {
      return this.#notSwitched(bridge, port, packet.destination.text);
    }
    const ends = { input: bridge, output: bridge, inputPort: from, outputPort: port };
    for (const hook of ['forward', 'postrouting'] as const) {
      const passage = this.#passage(hook, stack, packet, { ...ends, nextHop: packet.destination });
      if (stack.hooks[hook].run(passage) === 'drop') return this.#stopped(stack, passage);
    }
    this.#note('switch', `from ${from.name} to ${port.name}, by the rules of ${stack.name} (br_netfilter)`);
    return this.#cross(port, towards, packet);
  }

  /** What comes up to IP (ip_rcv in net/ipv4/ip_input.c, ip6_rcv_core in net/ipv6/ip6_input.c). */
  #receive(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    // IPv6 looks at these before any rule does, and never again.
    const martian =
      packet.family === 6 && input !== stack.loopback ? this.#martian(stack, input, packet) : undefined;
    if (martian !== undefined) return martian;
    const passage = this.#passage('prerouting', stack, packet, { input });
    if (stack.hooks.prerouting.run(passage) === 'drop') return this.#stopped(stack, passage);
    // What the host sent itself still knows its way, and is not looked at again.
    if (input === stack.loopback) return this.#input(stack, input, packet);
    return this.#route(stack, input, packet);
  }

  /** The routing decision for what came in (ip_route_input_slow in net/ipv4/route.c). */
  #route(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    const { source, destination, family } = packet;
    const martian = family === 4 ? this.#martian(stack, input, packet) : undefined;
    if (martian !== undefined) return martian;
    // Where a rule has led it; ::1 is looked for on the interface it came in by (rt6_need_strict in net/ipv6/route.c).
    if (family === 6 && destination.isLoopback) {
      const detail = `${destination} cannot be reached by ${input.name}`;
      if (packet.content === 'error') return this.#lose('martianDestination', detail);
      return this.#refuse(stack, packet, 'net', 'martianDestination', detail);
    }
    const way = stack.routing.find({ to: destination, from: source, mark: packet.mark });
    const forwards = stack.forwards(family);
    switch (way?.kind) {
      case 'local':
        return this.#judged(stack, input, packet) ?? this.#input(stack, input, packet);
      case 'unicast':
        if (!forwards) return this.#lose('notForwarding', `${stack.name} forwards nothing`, way.text);
        return this.#judged(stack, input, packet) ?? this.#forward(stack, input, packet, way);
      case 'broadcast':
        return this.#lose('broadcastDestination', `${destination} is a broadcast address`, way.text);
      case 'blackhole':
        return this.#lose('blackholeRoute', `${destination} leads nowhere`, way.text);
      default: {
        const reason = reasonOf(way);
        const detail = `no way to ${destination}`;
        // A host of IPv6 tells the sender even if it forwards nothing (ip6_pkt_discard in net/ipv6/route.c).
        const tells = forwards || family === 6;
        if (!tells || packet.content === 'error') return this.#lose(reason, detail, way?.text);
        const code = way === undefined ? 'net' : 'host';
        return this.#refuse(stack, packet, code, reason, detail, way?.text);
      }
    }
  }

  /** Addresses that cannot come by a link. */
  #martian(stack: Stack, input: StackInterface, { source, destination }: Packet): Lost | undefined {
    const isMartian = (addr: Packet['source']) => addr.isLoopback && !routesLoopback(stack, addr);
    if (isMartian(source) || source.isMulticast) {
      return this.#lose('martianSource', `${source} cannot come in by ${input.name}`);
    }
    if (isMartian(destination)) {
      return this.#lose('martianDestination', `${destination} cannot be reached by ${input.name}`);
    }
    return undefined;
  }

  #judged(stack: Stack, input: StackInterface, packet: Packet): Lost | undefined {
    const judgement = judgeSource(stack, input, packet);
    return judgement && this.#lose(judgement.reason, judgement.detail, judgement.rule);
  }

  #forward(stack: Stack, input: StackInterface, packet: Packet, way: Way): Arrival {
    if (packet.ttl <= 1) return this.#expired(stack, packet);
    packet.ttl -= 1;
    const output = this.#outOf(stack, way);
    let found: Way | undefined = way;
    const reroute = (passage: Passage): Ruling => {
      found = stack.routing.find({ to: packet.destination, from: packet.source, mark: packet.mark });
      const other = this.#outOf(stack, found);
      if (other !== undefined) passage.output = other;
      return other === undefined ? 'drop' : 'accept';
    };
    const passage = this.#passage('forward', stack, packet, { input, output, reroute });
    if (stack.hooks.forward.run(passage) === 'drop') return this.#stopped(stack, passage);
    return this.#postrouting(stack, packet, found, input);
  }

  /** The sender is told, as of a host that cannot be reached (ip_forward in net/ipv4/ip_forward.c, icmp_err_convert). */
  #expired(stack: Stack, packet: Packet): Arrival {
    const detail = 'its time to live is over';
    if (packet.content === 'error') return this.#lose('timeToLiveExceeded', detail);
    return this.#refuse(stack, packet, 'host', 'timeToLiveExceeded', detail);
  }

  #input(stack: Stack, input: StackInterface, packet: Packet): Arrival {
    const passage = this.#passage('input', stack, packet, { input });
    const ruling = stack.hooks.input.run(passage);
    if (ruling === 'drop') return this.#stopped(stack, passage);
    if (ruling === 'stolen') return this.#sendOn(stack, packet);
    if (packet.inner !== undefined) return this.#decapsulate(stack, packet, packet.inner);
    return { kind: 'delivered', stack, packet };
  }

  /** Into a UDP packet of this host's own, which keeps the mark but not the connection (vxlan_xmit_one). */
  #encapsulate(
    stack: Stack,
    device: StackInterface,
    mac: string,
    packet: Packet,
    forwarded: Way | undefined,
  ): Arrival {
    if (device.is.kind !== 'vxlan') throw new Error(`${device.name} is no VXLAN device`);
    const { forwarding, local, port, vni, underlay } = device.is;
    const entry = forwarding.find((each) => each.mac.text === mac);
    if (entry === undefined)
      return this.#lose('noForwardingEntry', `${device.name} does not know where ${mac} is`);
    this.#note(
      'encapsulate',
      `vni ${vni} to ${entry.remote} by ${underlay}`,
      `${mac} dev ${device.name} dst ${entry.remote}`,
    );
    const way = stack.routing.find({ to: entry.remote, from: local, mark: packet.mark });
    if (way?.kind === 'local') return this.#bypass(stack, device, packet, forwarded);
    packet.untrack();
    const tuple = {
      source: local,
      sourcePort: VXLAN_SOURCE_PORT,
      destination: entry.remote,
      destinationPort: port,
    };
    const outer = new Packet('udp', 'request', tuple, { inner: packet });
    outer.mark = packet.mark;
    return this.#output(stack, outer, way);
  }

  /**
   * A tunnel that leads to an address of its own host: the packet comes in again by the device it left by, and still knows
   * its way (vxlan_encap_bypass in drivers/net/vxlan/vxlan_core.c, skb_valid_dst in ip_rcv_finish_core). What the host
   * forwards it forwards again, by the same way, until its time is over; what it has sent itself, IPVS included, has a way
   * that takes nothing in (dst_discard). With IPv6 that way forwards as well (ip6_rt_init_dst in net/ipv6/route.c).
   */
  #bypass(stack: Stack, device: StackInterface, packet: Packet, forwarded: Way | undefined): Arrival {
    const isAgain = this.#rounds.has(packet);
    this.#rounds.add(packet);
    const again = forwarded ?? (packet.family === 6 ? stack.routing.find(flowOf(packet)) : undefined);
    if (again === undefined) {
      return this.#lose('tunnelToItself', `${device.name} leads to ${stack.name} itself`);
    }
    // The rules have seen it go round once: to them every further round is the same.
    if (isAgain) packet.ttl = 1;
    this.#note('receive', `${packet} on ${device.name}`);
    const passage = this.#passage('prerouting', stack, packet, { input: device });
    if (stack.hooks.prerouting.run(passage) === 'drop') return this.#stopped(stack, passage);
    return this.#forward(stack, device, packet, again);
  }

  #decapsulate(stack: Stack, outer: Packet, inner: Packet): Arrival {
    const device = [...stack.interfaces.values()].find(
      ({ is }) => is.kind === 'vxlan' && is.port === outer.destinationPort,
    );
    if (device === undefined) return this.#lose('noListener', 'no VXLAN device takes it');
    inner.forget();
    inner.mark = outer.mark;
    this.#note('decapsulate', `${inner} on ${device.name}`);
    return this.#receive(stack, device, inner);
  }
}

/** What no known port of a bridge leads to may be behind one that is not. */
function followPorts(bridge: StackInterface): void {
  if (bridge.is.kind !== 'bridge') return;
  const unknown = bridge.stack.portsOf(bridge.name).find(({ is }) => is.unmodelled !== undefined);
  if (unknown !== undefined) {
    throw new Unmodelled(`it may be behind ${unknown.name} of ${bridge.name}: ${unknown.is.unmodelled}`);
  }
}

const flowOf = ({ destination, source, mark }: Packet): Flow => ({ to: destination, from: source, mark });

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
