import type { Addr } from '../ip/ip.ts';
import type { Choices } from './choices.ts';
import type { ConnectionTable } from './connection-table.ts';
import type { Change, ChangedField, Reason, Step } from './outcome.ts';
import type { ErrorCode, Packet } from './packet.ts';
import type { Routing } from './routing.ts';
import { endText, type Transport } from './tuple.ts';

export { Unmodelled } from './unmodelled.ts';

export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** What a hook does with a packet. `stolen`: IPVS has taken it and sends it on itself. */
export type Ruling = 'accept' | 'drop' | 'stolen';

/** As much of a host as its rules can see. */
export interface HostView {
  readonly name: string;
  readonly routing: Routing;
}

export interface InterfaceView {
  readonly name: string;
}

/** An entry of IPVS' own connection table: client, virtual server and the destination that was chosen. */
export interface VirtualConnection {
  readonly protocol: Transport;
  readonly client: Addr;
  readonly clientPort: number;
  readonly virtual: Addr;
  readonly virtualPort: number;
  readonly destination: Addr;
  readonly destinationPort: number;
}

/** What one host has come to know in the course of a walk. */
export interface HostState {
  readonly connections: ConnectionTable;
  /** What dynamic sets and `recent` lists have been given, by table and name. */
  readonly lists: Map<string, Set<string>>;
  readonly virtualConnections: VirtualConnection[];
}

/** What the sender is told of a packet that was refused. */
export type Refusal = 'reset' | ErrorCode;

/** One packet at one hook of one host: what rules read, and where they leave their mark. */
export class Passage {
  readonly stack: HostView;
  readonly state: HostState;
  readonly choices: Choices;
  readonly hook: HookName;
  readonly packet: Packet;
  readonly input: InterfaceView | undefined;
  /** By which it leaves as the hook is begun: rules see this one even where an earlier rule has led it elsewhere (nf_hook_state). */
  readonly output: InterfaceView | undefined;
  /** The bridge's ports, where a bridge calls the hook. */
  readonly inputPort: InterfaceView | undefined;
  readonly outputPort: InterfaceView | undefined;
  readonly steps: Step[];
  refusal: Refusal | undefined = undefined;
  reason: Reason | undefined = undefined;
  changes: Change[] = [];
  /** Finds the way anew once source, destination or mark have changed (ip_route_me_harder); only at the output and forward hooks. */
  readonly reroute: ((passage: Passage) => Ruling) | undefined;
  /** The next hop, for what takes the address of the interface it leaves by; only at the postrouting hook. */
  readonly nextHop: Addr | undefined;

  constructor(
    at: Pick<Passage, 'stack' | 'state' | 'choices' | 'hook' | 'packet' | 'steps'> & {
      readonly input?: InterfaceView | undefined;
      readonly output?: InterfaceView | undefined;
      readonly inputPort?: InterfaceView | undefined;
      readonly outputPort?: InterfaceView | undefined;
      readonly reroute?: Passage['reroute'];
      readonly nextHop?: Addr | undefined;
    },
  ) {
    this.stack = at.stack;
    this.state = at.state;
    this.choices = at.choices;
    this.hook = at.hook;
    this.packet = at.packet;
    this.steps = at.steps;
    this.input = at.input;
    this.output = at.output;
    this.inputPort = at.inputPort;
    this.outputPort = at.outputPort;
    this.reroute = at.reroute;
    this.nextHop = at.nextHop;
  }

  /** Notes a step with all that has changed since the last one. */
  note(kind: Step['kind'], detail: string, rule?: string, place?: string): Step {
    const { changes } = this;
    const step: Step = {
      kind,
      detail,
      ...(rule === undefined ? {} : { rule }),
      ...(place === undefined ? {} : { place }),
      changes,
    };
    this.changes = [];
    this.steps.push(step);
    return step;
  }

  change(field: ChangedField, from: string, to: string): void {
    if (from !== to) this.changes.push({ field, from, to });
  }

  rewriteSource(source: Packet['source'], port: number): void {
    const { packet } = this;
    this.change('source', endText(packet.source, packet.sourcePort), endText(source, port));
    packet.source = source;
    packet.sourcePort = port;
  }

  rewriteDestination(destination: Packet['destination'], port: number): void {
    const { packet } = this;
    this.change(
      'destination',
      endText(packet.destination, packet.destinationPort),
      endText(destination, port),
    );
    packet.destination = destination;
    packet.destinationPort = port;
  }

  setMark(mark: number): void {
    this.change('mark', hex(this.packet.mark), hex(mark));
    this.packet.mark = mark;
  }

  setConnectionMark(mark: number): void {
    const { connection } = this.packet;
    if (connection === undefined) return;
    this.change('connection mark', hex(connection.mark), hex(mark));
    connection.mark = mark;
  }

  /** A list that packets fill, empty at first. */
  list(name: string): Set<string> {
    const list = this.state.lists.get(name) ?? new Set<string>();
    this.state.lists.set(name, list);
    return list;
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
