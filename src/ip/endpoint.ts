import { Fault } from '../fault/fault.ts';
import { Addr } from './addr.ts';

/** The transport protocols of a Service port, as Kubernetes spells them. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** A port number from 1 to 65535; only {@link parsePort} and {@link portOf} make one. */
export type Port = number & { readonly Port: unique symbol };

/** Throws {@link Fault} FE006 outside 1 to 65535. */
export function portOf(value: number): Port {
  if (!Number.isInteger(value) || value < 1 || value > 65535) {
    throw new Fault('FE006', `${value} is not a port`, 'use 1 to 65535');
  }
  return value as Port;
}

/** Shape: decimal, no sign, no leading zero. Throws {@link Fault} FE006. */
export function parsePort(text: string): Port {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Fault('FE006', `'${text}' is not a port`, 'use 1 to 65535');
  return portOf(Number(text));
}

/** An address and a port as an immutable value. `text` is canonical: `192.0.2.1:80` or `[2001:db8::1]:80`. */
export class Endpoint {
  readonly addr: Addr;
  readonly port: Port;

  constructor(addr: Addr, port: Port) {
    this.addr = addr;
    this.port = port;
  }

  /** Made when it is asked for: a cluster has many endpoints, and few are shown. */
  get text(): string {
    return this.addr.family === 4 ? `${this.addr.text}:${this.port}` : `[${this.addr.text}]:${this.port}`;
  }

  static parse(text: string): Endpoint {
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
    const addr = match?.[1] ?? match?.[2];
    if (match?.[3] === undefined || addr === undefined) {
      throw new Fault(
        'FE006',
        `'${text}' is not an endpoint`,
        'write it like 192.0.2.1:80 or [2001:db8::1]:80',
      );
    }
    return new Endpoint(Addr.parse(addr), parsePort(match[3]));
  }

  equals(other: Endpoint): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}
