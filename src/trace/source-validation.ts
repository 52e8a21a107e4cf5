import type { Reason } from './outcome.ts';
import type { Packet } from './packet.ts';
import type { Stack, StackInterface } from './stack.ts';

export interface Judgement {
  readonly reason: Extract<Reason, 'martianSource' | 'reversePathFilter'>;
  readonly detail: string;
  readonly rule?: string;
}

/**
 * Whether a host believes the source of what came in (fib_validate_source in net/ipv4/fib_frontend.c): its own address it
 * never does; with rp_filter the way back has to lead out where the packet came in. `undefined`: it does. The mark counts
 * for nothing here (src_valid_mark is 0), and the packet is looked at as PREROUTING has left it. IPv6 believes every source,
 * its own addresses as well (ip6_rcv_finish and ip6_forward ask for none); who wants more has rules for it.
 * @param output by which it would leave, which the rules of routing take for where the way back comes in
 */
export function judgeSource(
  stack: Stack,
  input: StackInterface,
  packet: Packet,
  output: string,
): Judgement | undefined {
  const { source, destination } = packet;
  if (source.family === 6) return undefined;
  const { rpFilter } = input;
  const { routing, host } = stack;
  if (rpFilter === 0 && host.routingRules.length === 0) {
    return routing.isLocal(source) ? martian(stack, packet) : undefined;
  }
  const back = routing.find({ to: source, from: destination, mark: 0, input: output });
  switch (back?.kind) {
    case 'local':
    case 'broadcast':
      return martian(stack, packet);
    case 'unicast': {
      if (back.interface === input.name) return undefined;
      const isAddressed = input.is.addresses.length > 0;
      return rpFilter === 1 || (rpFilter === 2 && !isAddressed)
        ? filtered(input, packet, back.text)
        : undefined;
    }
    default:
      return rpFilter === 0 ? undefined : filtered(input, packet, back?.text);
  }
}

const martian = ({ name }: Stack, { source }: Packet): Judgement => ({
  reason: 'martianSource',
  detail: `${source} is an address of ${name} itself`,
});

function filtered(
  { name, rpFilter }: StackInterface,
  { source }: Packet,
  back: string | undefined,
): Judgement {
  const detail = `rp_filter=${rpFilter} of ${name}: the way back to ${source} is another`;
  return { reason: 'reversePathFilter', detail, ...(back === undefined ? {} : { rule: back }) };
}
