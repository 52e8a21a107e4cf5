import { Connection } from './connection.ts';
import type { Packet } from './packet.ts';
import { isSameTuple, reversed, type Transport, type Tuple } from './tuple.ts';
import { Unmodelled } from './unmodelled.ts';

/** The connections one host knows. A walk makes few, so they are looked through. */
export class ConnectionTable {
  readonly #connections: Connection[] = [];
  /** The conversations that rules have left out, as far as more of them follows. */
  readonly #leftOut: Tuple[] = [];

  get all(): readonly Connection[] {
    return this.#connections;
  }

  /** A rule has said that no connection is to be kept of a packet. Throws {@link Unmodelled} for half a connection. */
  leaveOut(packet: Packet): void {
    if (packet.connection !== undefined) return;
    packet.state = 'untracked';
    if (!isOfStream(packet)) return;
    if (this.find('tcp', packet) !== undefined) throw halfTracked(packet);
    this.#leftOut.push(reversed(packet));
  }

  add(connection: Connection): void {
    this.#connections.push(connection);
  }

  find(
    protocol: Transport,
    tuple: Readonly<Tuple>,
  ): { connection: Connection; isReply: boolean } | undefined {
    for (const connection of this.#connections) {
      if (connection.protocol !== protocol) continue;
      if (isSameTuple(connection.original, tuple)) return { connection, isReply: false };
      if (isSameTuple(connection.reply, tuple)) return { connection, isReply: true };
    }
    return undefined;
  }

  /**
   * What the hook of connection tracking does: finds the packet's connection or begins one. Only what can begin a TCP or
   * SCTP connection does; an answer that nobody asked for is invalid (nf_conntrack_proto_tcp.c), a datagram never is.
   */
  track(packet: Packet): void {
    if (packet.connection !== undefined || packet.state === 'untracked') return;
    if (this.#isHalfLeftOut(packet)) throw halfTracked(packet);
    if (packet.content === 'error') {
      this.#trackError(packet);
      return;
    }
    const found = this.find(packet.protocol, packet);
    if (found === undefined) this.#begin(packet);
    else this.#continue(packet, found.connection, found.isReply);
  }

  #isHalfLeftOut(packet: Packet): boolean {
    if (this.#leftOut.length === 0 || !isOfStream(packet)) return false;
    const back = reversed(packet);
    return this.#leftOut.some((one) => isSameTuple(one, packet) || isSameTuple(one, back));
  }

  #trackError(packet: Packet): void {
    const { quote } = packet;
    // The error travels against the packet it quotes, in the direction of its answer.
    const found = quote && this.find(quote.protocol, reversed(quote));
    if (found === undefined) {
      packet.state = 'invalid';
      return;
    }
    packet.connection = found.connection;
    packet.state = 'related';
    packet.isReply = found.isReply;
  }

  #begin(packet: Packet): void {
    const mayBegin =
      packet.protocol === 'udp' || packet.content === 'request' || packet.content === 'confirm';
    if (!mayBegin) {
      packet.state = 'invalid';
      return;
    }
    packet.connection = new Connection(packet.protocol, packet);
    packet.state = 'new';
    packet.isReply = false;
  }

  #continue(packet: Packet, connection: Connection, isReply: boolean): void {
    // An ACK where the SYN has not been answered as far as this host saw.
    if (packet.content === 'confirm' && !connection.seenReply && packet.protocol !== 'udp') {
      packet.state = 'invalid';
      return;
    }
    if (isReply) connection.seenReply = true;
    packet.connection = connection;
    packet.isReply = isReply;
    packet.state = connection.seenReply ? 'established' : 'new';
  }

  /** What the last hook of a packet's way through the host does: from now on others find the connection. */
  confirm(packet: Packet): void {
    const { connection } = packet;
    if (connection === undefined || connection.confirmed || packet.content === 'error') return;
    connection.confirmed = true;
    this.#connections.push(connection);
  }
}

/** Whether more follows of its TCP connection; after a RST nothing does. */
const isOfStream = ({ protocol, content }: Packet): boolean => protocol === 'tcp' && content !== 'reset';

/**
 * Of a TCP connection whose packets are tracked in one direction only the kernel takes up some later packet as if it began
 * one (nf_conntrack_tcp_loose), and asks the rules of NAT about it.
 */
const halfTracked = (packet: Packet): Unmodelled =>
  new Unmodelled(`a connection that is tracked in one direction only is not modelled: ${packet}`);
