import type { Endpoint, Protocol } from '../../ip/ip.ts';

/** The virtual servers of a host: what `ipvsadm -Sn` prints. */
export interface IpvsTable {
  readonly kind: 'IpvsTable';
  readonly servers: readonly VirtualServer[];
}
export const IpvsTable = (servers: readonly VirtualServer[]): IpvsTable => ({ kind: 'IpvsTable', servers });

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
}
export const VirtualServer = (
  protocol: Protocol,
  endpoint: Endpoint,
  destinations: readonly RealServer[],
  rest: { readonly scheduler?: string; readonly persistentSeconds?: number } = {},
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
}
export const RealServer = (
  endpoint: Endpoint,
  forwarding: RealServer['forwarding'] = 'masq',
  weight = 1,
): RealServer => ({ kind: 'RealServer', endpoint, forwarding, weight });

/** The table as `ipvsadm -R` takes it. */
export const printIpvsTable = ({ servers }: IpvsTable): string =>
  servers
    .flatMap(printVirtualServer)
    .map((line) => `${line}\n`)
    .join('');

/** A virtual server as `ipvsadm -Sn` prints it, a line each with its destinations. */
export function printVirtualServer(server: VirtualServer): string[] {
  const which = `-${server.protocol === 'TCP' ? 't' : server.protocol === 'UDP' ? 'u' : '-sctp-service'} ${server.endpoint}`;
  const persistent = server.persistentSeconds === undefined ? '' : ` -p ${server.persistentSeconds}`;
  const flag = { masq: '-m', gate: '-g', tunnel: '-i' } as const;
  return [
    `-A ${which} -s ${server.scheduler}${persistent}`,
    ...server.destinations.map(
      ({ endpoint, forwarding, weight }) => `-a ${which} -r ${endpoint} ${flag[forwarding]} -w ${weight}`,
    ),
  ];
}
