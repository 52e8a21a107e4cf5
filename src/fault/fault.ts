/**
 * Faults: what goes wrong while Fairlead runs, said in one sentence with the cure.
 *
 * Promises: every fault carries a stable code of {@link FAULTS}; each code has a page in docs/errors; the message names
 * the thing that is wrong and the cure is something its reader can do.
 * Refuses: to carry a verdict about a packet. Why a connection fails is a cause (FLnnn, room `diagnose`), not a fault.
 *
 * @example throw new Fault('FE001', "the tool 'nft' is missing", 'apt-get install nftables');
 */
export const FAULTS = {
  FE001: 'a tool is missing',
  FE002: 'a command failed',
  FE003: 'a wait ran out',
  FE004: 'no permission to make namespaces',
  FE005: 'a port is already taken',
  FE006: 'a value cannot be parsed',
  FE007: 'the store cannot be opened',
  FE008: 'the Kubernetes API cannot be reached',
  FE009: 'the cluster already runs',
  FE010: 'no cluster runs',
  FE011: 'a World cannot exist',
  FE012: 'no pod address is left',
  FE013: 'a name matches nothing',
  FE014: 'no fitting kernel',
  FE015: 'the kernel has no IPVS',
  FE016: 'the configuration has changed',
} as const;

export type FaultCode = keyof typeof FAULTS;

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  /** What the reader can do about it; one sentence or one command. */
  readonly cure: string;

  constructor(code: FaultCode, message: string, cure: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.cure = cure;
  }

  /** One line for standard error. */
  override toString(): string {
    return `${this.code}: ${this.message} (${this.cure})`;
  }
}
