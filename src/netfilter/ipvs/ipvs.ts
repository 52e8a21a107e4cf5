import type { Endpoint, Protocol } from '../../ip/ip.ts';

/** The virtual servers of a host: what `ipvsadm -Sn` prints. */
export interface IpvsTable {
  readonly kind: 'IpvsTable';
  readonly servers: readonly VirtualServer[];
  /** Lines about foreign virtual servers that are no address and port: those of a firewall mark (`-f`). */
  readonly unmodelled?: readonly string[];
}
export const IpvsTable = (
  servers: readonly VirtualServer[],
  unmodelled: readonly string[] = [],
): IpvsTable => ({ kind: 'IpvsTable', servers, ...(unmodelled.length === 0 ? {} : { unmodelled }) });

/** `-A -t 10.0.0.1:80 -s rr`, and its destinations. */
export interface VirtualServer {
  readonly kind: 'VirtualServer';
  readonly protocol: Protocol;
  readonly endpoint: Endpoint;
  /** `rr` unless somebody chose another: see ipvsadm(8). */
  readonly scheduler: string;
  /** `-p`: how long a client stays with its destination, in seconds. */
  readonly persistentSeconds?: number;
  readonly destinations: readonly RealServer[];
  /** Options of a foreign virtual server that are kept and not modelled: `-M`, `-b`, `--pe`, `-o`. */
  readonly unmodelled?: readonly string[];
}
export const VirtualServer = (
  protocol: Protocol,
  endpoint: Endpoint,
  destinations: readonly RealServer[],
  rest: Partial<Pick<VirtualServer, 'scheduler' | 'persistentSeconds' | 'unmodelled'>> = {},
): VirtualServer => ({ kind: 'VirtualServer', protocol, endpoint, scheduler: 'rr', ...rest, destinations });

/** What tells virtual servers apart: `TCP 10.0.0.1:80`. */
export const virtualServerKey = ({
  protocol,
  endpoint,
}: Pick<VirtualServer, 'protocol' | 'endpoint'>): string => `${protocol} ${endpoint}`;

/** `-a … -r 172.16.1.10:80 -m -w 1`. */
export interface RealServer {
  readonly kind: 'RealServer';
  readonly endpoint: Endpoint;
  /** `-m`, `-g` and `-i`; only masquerading rewrites addresses. */
  readonly forwarding: 'masq' | 'gate' | 'tunnel';
  /** 0 gets no new connections. */
  readonly weight: number;
  /** Options of a foreign destination that are kept and not modelled: thresholds, kinds of tunnels. */
  readonly unmodelled?: readonly string[];
}
export const RealServer = (
  endpoint: Endpoint,
  forwarding: RealServer['forwarding'] = 'masq',
  weight = 1,
): RealServer => ({ kind: 'RealServer', endpoint, forwarding, weight });

/** The table as `ipvsadm -R` takes it. */
export const printIpvsTable = ({ servers, unmodelled = [] }: IpvsTable): string =>
  [...servers.flatMap(printVirtualServer), ...unmodelled].map((line) => `${line}\n`).join('');

/** A virtual server as `ipvsadm -Sn` prints it, a line each with its destinations. */
export function printVirtualServer(server: VirtualServer): string[] {
  const which = printWhich(server);
  return [
    `-A ${which} ${printServerOptions(server)}`,
    ...server.destinations.map((one) => `-a ${which} -r ${one.endpoint} ${printDestinationOptions(one)}`),
  ];
}

const SERVICE_FLAGS = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const;
const FORWARDING_FLAGS = { masq: '-m', gate: '-g', tunnel: '-i' } as const;

/** `-t 10.0.0.1:80` */
export const printWhich = ({ protocol, endpoint }: Pick<VirtualServer, 'protocol' | 'endpoint'>): string =>
  `${SERVICE_FLAGS[protocol]} ${endpoint}`;

/** `-s rr -p 10800` */
export function printServerOptions({ scheduler, persistentSeconds, unmodelled = [] }: VirtualServer): string {
  const persistent = persistentSeconds === undefined ? [] : ['-p', persistentSeconds];
  return ['-s', scheduler, ...persistent, ...unmodelled].join(' ');
}

/** `-m -w 1` */
export const printDestinationOptions = ({ forwarding, weight, unmodelled = [] }: RealServer): string =>
  [FORWARDING_FLAGS[forwarding], '-w', weight, ...unmodelled].join(' ');
