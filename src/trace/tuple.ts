import type { Addr, Protocol } from '../ip/ip.ts';

export type Transport = 'tcp' | 'udp' | 'sctp' | 'icmp';

export const transportOf = (protocol: Protocol): Transport =>
  protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'sctp';

/** Two ends of a conversation, as header fields. */
export interface Tuple {
  source: Addr;
  sourcePort: number;
  destination: Addr;
  destinationPort: number;
}

/** As {@link Endpoint} prints it; a port 0 is left out. */
export function endText(addr: Addr, port: number): string {
  if (port === 0) return addr.text;
  return addr.family === 4 ? `${addr.text}:${port}` : `[${addr.text}]:${port}`;
}

/** The other direction of the same conversation. */
export const reversed = (tuple: Readonly<Tuple>): Tuple => ({
  source: tuple.destination,
  sourcePort: tuple.destinationPort,
  destination: tuple.source,
  destinationPort: tuple.sourcePort,
});

export const isSameTuple = (a: Readonly<Tuple>, b: Readonly<Tuple>): boolean =>
  a.sourcePort === b.sourcePort &&
  a.destinationPort === b.destinationPort &&
  a.source.text === b.source.text &&
  a.destination.text === b.destination.text;
