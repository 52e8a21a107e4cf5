import { portTowards, resolve } from './neighbour.ts';
import { Packet } from './packet.ts';
import { Unmodelled } from './passage.ts';
import { flowOf, OWN, type Way } from './routing.ts';
import type { Stack, StackInterface } from './stack.ts';
import type { Arrival, Lost, Trail } from './trail.ts';

/** More links than a packet ever crosses in a World that makes sense. */
const MOST_LINKS = 64;
/** VXLAN takes a source port from a hash of what it carries; which one makes no difference. */
const VXLAN_SOURCE_PORT = 50000;

/** Where a link hands a packet on to. */
export interface InternetLayer {
  /** What came in by a link. */
  receive(stack: Stack, input: StackInterface, packet: Packet): Arrival;
  /** What came in and has passed PREROUTING. */
  route(stack: Stack, input: StackInterface, packet: Packet): Arrival;
  /** What came in and knows its way. */
  forward(stack: Stack, input: StackInterface, packet: Packet, way: Way): Arrival;
  /** What the host itself has made. */
  output(stack: Stack, packet: Packet, way: Way | undefined): Arrival;
}

/** The links between hosts: neighbours, bridges with and without br_netfilter, VXLAN. */
export class LinkLayer {
  readonly #trail: Trail;
  readonly #above: InternetLayer;
  /** What a tunnel has given back to its own host. */
  readonly #rounds = new Set<Packet>();

  constructor(trail: Trail, above: InternetLayer) {
    this.#trail = trail;
    this.#above = above;
  }

  /** @param forwarded the way of what came in by another interface */
  transmit(
    stack: Stack,
    output: StackInterface,
    nextHop: Packet['destination'],
    packet: Packet,
    forwarded: Way | undefined,
  ): Arrival {
    this.#follow(output);
    const mac = resolve(this.#trail.stage, output, nextHop);
    if (mac === undefined) {
      followPorts(output);
      return this.#trail.lose('noNeighbour', `nobody on the link of ${output.name} has ${nextHop}`);
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
    const end = this.#trail.stage.peerOf(output);
    if (end === undefined) return this.#trail.lose('noLink', `nothing is at the other end of ${output.name}`);
    this.#trail.links += 1;
    if (this.#trail.links > MOST_LINKS)
      return this.#trail.lose('loop', `the packet has crossed ${MOST_LINKS} links`);
    packet.forget();
    if (end.is.kind === 'veth' && end.is.bridge !== undefined)
      return this.#bridge(end, end.is.bridge, mac, packet);
    this.#trail.enter(end.stack);
    this.#trail.note('receive', `${packet} on ${end.name}`);
    this.#follow(end);
    if (mac !== end.mac) {
      return this.#trail.lose('otherHost', `the frame is for ${mac}, and ${end.name} is ${end.mac}`);
    }
    return this.#above.receive(end.stack, end, packet);
  }

  /** A frame comes in by a port of a bridge: for the host itself, or to be switched (net/bridge/br_input.c). */
  #bridge(port: StackInterface, name: string, mac: string, packet: Packet): Arrival {
    const { stack } = port;
    const bridge = stack.interfaces.get(name);
    this.#trail.enter(stack);
    this.#trail.note('receive', `${packet} on ${port.name} of ${name}`);
    this.#follow(port);
    if (bridge === undefined) return this.#trail.lose('noLink', `there is no bridge ${name}`);
    if (stack.filtersSwitched(packet.family)) return this.#filterSwitched(bridge, port, mac, packet);
    if (mac === bridge.mac || mac === port.mac) return this.#above.receive(stack, bridge, packet);
    return this.#switchTo(bridge, port, mac, packet);
  }

  #switchTo(bridge: StackInterface, from: StackInterface | undefined, mac: string, packet: Packet): Arrival {
    const port = portTowards(this.#trail.stage, bridge, mac);
    if (port === undefined) followPorts(bridge);
    if (port === undefined || port === from) {
      return this.#notSwitched(bridge, port, mac);
    }
    if (from !== undefined) {
      this.#trail.note(
        'switch',
        `from ${from.name} to ${port.name}: the rules of ${bridge.stack.name} do not see it`,
      );
    }
    return this.#cross(port, mac, packet);
  }

  /** A bridge sends nothing back by the port it came by (should_deliver in net/bridge/br_forward.c). */
  #notSwitched(bridge: StackInterface, port: StackInterface | undefined, whom: string): Lost {
    if (port === undefined)
      return this.#trail.lose('noNeighbour', `no port of ${bridge.name} leads to ${whom}`);
    return this.#trail.lose(
      'noHairpin',
      `${whom} is behind ${port.name}, by which it came to ${bridge.name}`,
    );
  }

  /**
   * With br_netfilter what comes in by a bridge passes the hooks of IP as well (net/bridge/br_netfilter_hooks.c). What
   * PREROUTING has given another destination on the bridge is switched there, whomever the frame was for.
   */
  #filterSwitched(bridge: StackInterface, from: StackInterface, mac: string, packet: Packet): Arrival {
    const { stack } = bridge;
    const before = packet.destination.text;
    const first = this.#trail.passage('prerouting', stack, packet, { input: bridge, inputPort: from });
    if (stack.hooks.prerouting.run(first) === 'drop') return this.#trail.stopped(stack, first);
    let towards: string | undefined = mac;
    if (packet.destination.text !== before) {
      const way = stack.routing.find(flowOf(packet, bridge.name));
      if (way?.kind !== 'unicast' || way.interface !== bridge.name)
        return this.#above.route(stack, bridge, packet);
      towards = resolve(this.#trail.stage, bridge, way.via ?? packet.destination);
    }
    if (towards === bridge.mac || towards === from.mac) return this.#above.route(stack, bridge, packet);
    const port = towards === undefined ? undefined : portTowards(this.#trail.stage, bridge, towards);
    if (port === undefined) followPorts(bridge);
    if (port === undefined || towards === undefined || port === from) {
      return this.#notSwitched(bridge, port, packet.destination.text);
    }
    const ends = { input: bridge, output: bridge, inputPort: from, outputPort: port };
    for (const hook of ['forward', 'postrouting'] as const) {
      const passage = this.#trail.passage(hook, stack, packet, { ...ends, nextHop: packet.destination });
      if (stack.hooks[hook].run(passage) === 'drop') return this.#trail.stopped(stack, passage);
    }
    this.#trail.note(
      'switch',
      `from ${from.name} to ${port.name}, by the rules of ${stack.name} (br_netfilter)`,
    );
    return this.#cross(port, towards, packet);
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
      return this.#trail.lose('noForwardingEntry', `${device.name} does not know where ${mac} is`);
    this.#trail.note(
      'encapsulate',
      `vni ${vni} to ${entry.remote} by ${underlay}`,
      `${mac} dev ${device.name} dst ${entry.remote}`,
    );
    const way = stack.routing.find({ to: entry.remote, from: local, mark: packet.mark, input: OWN });
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
    return this.#above.output(stack, outer, way);
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
    const again =
      forwarded ?? (packet.family === 6 ? stack.routing.find(flowOf(packet, device.name)) : undefined);
    if (again === undefined) {
      return this.#trail.lose('tunnelToItself', `${device.name} leads to ${stack.name} itself`);
    }
    // The rules have seen it go round once: to them every further round is the same.
    if (isAgain) packet.ttl = 1;
    this.#trail.note('receive', `${packet} on ${device.name}`);
    const passage = this.#trail.passage('prerouting', stack, packet, { input: device });
    if (stack.hooks.prerouting.run(passage) === 'drop') return this.#trail.stopped(stack, passage);
    return this.#above.forward(stack, device, packet, again);
  }

  decapsulate(stack: Stack, outer: Packet, inner: Packet): Arrival {
    const device = [...stack.interfaces.values()].find(
      ({ is }) => is.kind === 'vxlan' && is.port === outer.destinationPort,
    );
    if (device === undefined) return this.#trail.lose('noListener', 'no VXLAN device takes it');
    inner.forget();
    inner.mark = outer.mark;
    this.#trail.note('decapsulate', `${inner} on ${device.name}`);
    return this.#above.receive(stack, device, inner);
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
