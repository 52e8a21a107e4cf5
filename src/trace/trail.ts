import type { Choices } from './choices.ts';
import { ConnectionTable } from './connection-table.ts';
import type { DecidingStep, Direction, Reason, Step } from './outcome.ts';
import type { Packet } from './packet.ts';
import { type HookName, type HostState, Passage, type Refusal } from './passage.ts';
import type { Stack, Stage } from './stack.ts';

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

/** What one walk has come by: its hops and their steps, and what the hosts came to know of its packets. */
export class Trail {
  readonly stage: Stage;
  readonly choices: Choices;
  readonly hops: OpenHop[] = [];
  readonly #states = new Map<Stack, HostState>();
  #direction: Direction = 'forward';
  /** How many links the packet has crossed. */
  links = 0;
  /** The packet has not yet left the kernel's call by which it was sent. */
  isLeaving = false;

  constructor(stage: Stage, choices: Choices) {
    this.stage = stage;
    this.choices = choices;
  }

  get states(): Iterable<HostState> {
    return this.#states.values();
  }

  #state(stack: Stack): HostState {
    let state = this.#states.get(stack);
    if (state === undefined) {
      state = { connections: new ConnectionTable(), lists: new Map(), virtualConnections: [] };
      this.#states.set(stack, state);
    }
    return state;
  }

  /** Another packet sets out. */
  begin(stack: Stack, packet: Packet, direction: Direction): void {
    this.#direction = direction;
    this.links = 0;
    this.isLeaving = true;
    this.enter(stack);
    this.note('send', packet.toString());
  }

  enter(stack: Stack): void {
    this.hops.push({ host: stack.name, direction: this.#direction, steps: [] });
  }

  get #hop(): OpenHop {
    const hop = this.hops.at(-1);
    if (hop === undefined) throw new Error('a packet is always at some host');
    return hop;
  }

  note(kind: Step['kind'], detail: string, rule?: string): void {
    this.#hop.steps.push(
      rule === undefined ? { kind, detail, changes: [] } : { kind, detail, rule, changes: [] },
    );
  }

  #lastStep(): DecidingStep {
    const { host, steps } = this.#hop;
    return { host, step: steps.at(-1) ?? { kind: 'drop', detail: 'dropped', changes: [] } };
  }

  lose(reason: Reason, detail: string, rule?: string, where: Lost['where'] = 'network'): Lost {
    this.note('drop', detail, rule);
    return { kind: 'lost', reason, deciding: this.#lastStep(), where };
  }

  /** A host that forwards tells the sender. */
  refuse(
    stack: Stack,
    packet: Packet,
    refusal: Refusal,
    reason: Reason,
    detail: string,
    rule?: string,
  ): Refused {
    this.note('drop', detail, rule);
    return { kind: 'refused', stack, packet, refusal, reason, deciding: this.#lastStep(), where: 'network' };
  }

  passage(
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
  stopped(stack: Stack, passage: Passage): Arrival {
    const { packet, refusal, reason = 'droppedByRule' } = passage;
    const deciding = this.#lastStep();
    // Nobody is told of a RST or an error that was refused (RFC 1122 3.2.2).
    const mayTell = packet.content !== 'error' && packet.content !== 'reset';
    const where = this.isLeaving ? 'own host' : 'network';
    if (refusal === undefined || !mayTell) return { kind: 'lost', reason, deciding, where };
    return { kind: 'refused', stack, packet, refusal, reason, deciding, where };
  }
}
