import {
  type IpvsTable,
  printDestinationOptions,
  printServerOptions,
  printVirtualServer,
  printWhich,
  type RealServer,
  type VirtualServer,
  virtualServerKey,
} from './ipvs.ts';

/** What leads from a table to another; each part prints to what `ipvsadm -R` takes. */
export interface IpvsDifference {
  /** New and changed virtual servers and destinations. */
  readonly growing: string;
  /** Destinations that are to go, while their virtual server stays. */
  readonly retired: readonly RetiredDestination[];
  /** Virtual servers that are to go with all their destinations. */
  readonly removed: readonly VirtualServer[];
}

export interface RetiredDestination {
  readonly server: VirtualServer;
  readonly destination: RealServer;
}

export function differenceOfIpvsTables(before: IpvsTable, after: IpvsTable): IpvsDifference {
  const old = new Map(before.servers.map((server) => [virtualServerKey(server), server]));
  const growing: string[] = [];
  const retired: RetiredDestination[] = [];
  for (const server of after.servers) {
    const known = old.get(virtualServerKey(server));
    old.delete(virtualServerKey(server));
    if (known === undefined) growing.push(...printVirtualServer(server));
    else if (known !== server) {
      growing.push(...edits(known, server));
      const kept = new Set(server.destinations.map(({ endpoint }) => endpoint.text));
      for (const destination of known.destinations) {
        if (!kept.has(destination.endpoint.text)) retired.push({ server, destination });
      }
    }
  }
  return { growing: growing.map((line) => `${line}\n`).join(''), retired, removed: [...old.values()] };
}

function edits(known: VirtualServer, server: VirtualServer): string[] {
  const which = printWhich(server);
  const options = printServerOptions(server);
  const lines = printServerOptions(known) === options ? [] : [`-E ${which} ${options}`];
  const had = new Map(known.destinations.map((one) => [one.endpoint.text, printDestinationOptions(one)]));
  for (const destination of server.destinations) {
    const { text } = destination.endpoint;
    const wanted = printDestinationOptions(destination);
    if (had.get(text) !== wanted) lines.push(`${had.has(text) ? '-e' : '-a'} ${which} -r ${text} ${wanted}`);
  }
  return lines;
}

/** Lets a destination end what it has and get nothing new. */
export const printQuiesce = ({ server, destination }: RetiredDestination): string =>
  `-e ${printWhich(server)} -r ${destination.endpoint} ${printDestinationOptions({ ...destination, weight: 0 })}\n`;

export const printDeleteDestination = ({ server, destination }: RetiredDestination): string =>
  `-d ${printWhich(server)} -r ${destination.endpoint}\n`;

export const printDeleteServer = (server: VirtualServer): string => `-D ${printWhich(server)}\n`;
