import type { Addr, Protocol } from '../ip/ip.ts';
import type { World } from '../world/world.ts';
import { Choices } from './choices.ts';
import { ConnectionTable } from './connection-table.ts';
import type { Reason, Step } from './outcome.ts';
import { Packet } from './packet.ts';
import { type HookName, Passage, type Refusal, type Ruling, Unmodelled } from './passage.ts';
import { Stage } from './stack.ts';
import { transportOf } from './tuple.ts';

/** The first packet of a connection as it stands at a hook of a host. */
export interface ExecuteRequest {
  readonly host: string;
  readonly hook: HookName;
  readonly protocol: Protocol;
  readonly source: Addr;
  readonly sourcePort: number;
  readonly destination: Addr;
  readonly destinationPort: number;
  readonly mark?: number;
  /** The interface it came in by, where the hook knows one. */
  readonly input?: string;
  /** The interface it leaves by, where the hook knows one. */
  readonly output?: string;
}

/** What the host's rules do to it under one run of random choices. */
export interface Execution {
  readonly probability: number;
  readonly ruling: Ruling | 'unknown';
  /** Why it was dropped. */
  readonly reason?: Reason;
  /** What the sender is told of that, if anything. */
  readonly refusal?: Refusal;
  readonly source: Addr;
  readonly sourcePort: number;
  readonly destination: Addr;
  readonly destinationPort: number;
  readonly mark: number;
  readonly steps: readonly Step[];
}

/**
 * Runs all that a host has at one hook: connection tracking, tables by their priorities, NAT and IPVS. No routing, no other
 * hook: for the whole way see {@link walk}. Throws {@link Fault} FE011 if there is no such host.
 */
export function execute(world: World, request: ExecuteRequest): readonly Execution[] {
  const stage = new Stage(world);
  const choices = new Choices();
  const executions: Execution[] = [];
  do {
    const found = executeOnce(stage, request, choices);
    executions.push({ probability: choices.probability, ...found });
  } while (choices.advance());
  return executions;
}

function executeOnce(
  stage: Stage,
  request: ExecuteRequest,
  choices: Choices,
): Omit<Execution, 'probability'> {
  const stack = stage.stack(request.host);
  const packet = new Packet(transportOf(request.protocol), 'request', request);
  packet.mark = request.mark ?? 0;
  const connections = new ConnectionTable();
  // The hooks before this one would have begun its connection.
  if (request.hook !== 'prerouting' && request.hook !== 'output') connections.track(packet);
  const interfaceOf = (name: string | undefined) =>
    name === undefined ? undefined : stack.interfaces.get(name);
  const passage = new Passage({
    stack,
    state: { connections, lists: new Map(), virtualConnections: [] },
    choices,
    hook: request.hook,
    packet,
    steps: [],
    input: interfaceOf(request.input),
    output: interfaceOf(request.output),
  });
  const ruling = rule(() => stack.hooks[request.hook].run(passage), passage);
  const { source, sourcePort, destination, destinationPort, mark } = packet;
  return {
    ruling,
    ...(passage.reason === undefined ? {} : { reason: passage.reason }),
    ...(passage.refusal === undefined ? {} : { refusal: passage.refusal }),
    source,
    sourcePort,
    destination,
    destinationPort,
    mark,
    steps: passage.steps,
  };
}

function rule(run: () => Ruling, passage: Passage): Execution['ruling'] {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Unmodelled)) throw error;
    passage.reason = 'unmodelled';
    passage.note('unknown', error.message, error.rule, error.place);
    return 'unknown';
  }
}
