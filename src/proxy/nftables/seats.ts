import { type NftTable, printNftKey } from '../../netfilter/netfilter.ts';
import type { PlannedEndpoint, PortPlan, ServicePlan } from '../plan.ts';
import { type ElementGroup, SlotGroup, slotValue } from './element-group.ts';

/** The values of slots 0, 1, …, as their maps print them. */
type Seats = readonly string[];

/**
 * A plan whose endpoints sit where they sat: who stays keeps its slot, and the others, first of all those whose slot is no
 * more, fill the holes. So an endpoint that goes costs the kernel its own slot and the last one, however many there are.
 * What a packet gets is the same in any order: a slot is drawn at random.
 */
export function seatedAs(plan: ServicePlan, standing: ServicePlan | undefined): ServicePlan {
  if (standing === undefined) return plan;
  return reseated(plan, (port, list) => {
    const same = (one: PortPlan) =>
      one.name === port.name && one.family === port.family && one.protocol === port.protocol;
    return standing.ports.find(same)?.[list].map(seatOf);
  });
}

/** The plan with its endpoints in the slots that a table, the kernel's, has them in. */
export function seatedAsIn(plan: ServicePlan, groups: readonly ElementGroup[], table: NftTable): ServicePlan {
  return reseated(plan, (port, list) => {
    const group = groups.find((one) => one instanceof SlotGroup && one.endpoints === port[list]);
    return group instanceof SlotGroup ? seatsIn(table, group) : undefined;
  });
}

function seatsIn(table: NftTable, group: SlotGroup): Seats {
  const elements = table.sets.get(group.set)?.elements;
  const seats: string[] = [];
  for (;;) {
    const value = elements?.get(group.keyOf(seats.length))?.value;
    if (value === undefined || !('of' in value)) return seats;
    seats.push(printNftKey(value));
  }
}

type Lists = 'cluster' | 'local';

/** The same plan where nothing moves. */
function reseated(
  plan: ServicePlan,
  seatsOf: (port: PortPlan, list: Lists) => Seats | undefined,
): ServicePlan {
  const ports = plan.ports.map((port) => {
    // With session affinity endpoints have chains in place of slots.
    if (port.affinitySeconds !== undefined) return port;
    const cluster = inSeats(port.cluster, seatsOf(port, 'cluster'));
    const local = inSeats(port.local, seatsOf(port, 'local'));
    return cluster === port.cluster && local === port.local ? port : { ...port, cluster, local };
  });
  return ports.every((port, at) => port === plan.ports[at]) ? plan : { ...plan, ports };
}

function inSeats(endpoints: readonly PlannedEndpoint[], seats: Seats = []): readonly PlannedEndpoint[] {
  const count = endpoints.length;
  if (seats.length === 0 || endpoints.every((one, at) => at >= seats.length || seatOf(one) === seats[at])) {
    return endpoints;
  }
  const unseated = new Map(endpoints.map((one) => [seatOf(one), one]));
  const seated = Array.from({ length: count }, (_, at): PlannedEndpoint | undefined => {
    const seat = seats[at] ?? '';
    const stays = unseated.get(seat);
    unseated.delete(seat);
    return stays;
  });
  const rest = unseated.values();
  return seated.flatMap((one) => one ?? rest.next().value ?? []);
}

const seatOf = ({ endpoint }: PlannedEndpoint): string => printNftKey(slotValue(endpoint));
