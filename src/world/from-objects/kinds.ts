import { Fault } from '../../fault/fault.ts';
import { Addr, Endpoint, type Port, type Protocol, portOf } from '../../ip/ip.ts';
import type { BalancerListener } from '../policy.ts';
import type { Listener } from '../world.ts';
import type { FieldPath, Manifest } from './manifests.ts';

/*
 * What a cloud knows and Kubernetes does not, as kinds of their own in the group fairlead.dev/v1alpha1:
 *
 *   kind: LoadBalancer   spec: {addresses: [{type, address}], keepClientAddress, listeners: [{protocol, port, members}]}
 *                        a listener may have lastPort, keepClientAddress, ends: HTTP | HTTPS | TLS, and proxyProtocol
 *   kind: NatGateway     spec: {addresses: [{type: public, address}], dnat: [{address, protocol, port, to: {address, port}}]}
 *   kind: Host           spec: {addresses: [{type, address}], listeners: [{protocol, port, address}]}
 *
 * `type` is private or public, public once a family. Members and `to` are addresses with ports.
 */
export const FAIRLEAD_API = 'fairlead.dev/v1alpha1';

/** Those of the family that is written first, and of the other one. */
export interface CloudAddresses extends OneFamily {
  readonly dual?: OneFamily;
}

interface OneFamily {
  readonly private?: Addr;
  readonly public?: Addr;
  /** Further private ones. */
  readonly others?: readonly Addr[];
}

/** All of them, with their type. */
export function listAddresses({ dual, ...first }: CloudAddresses): OneFamily[] {
  return dual === undefined ? [first] : [first, dual];
}

/** A balancer as the cloud knows it; the listeners of the cluster's Services come on top. */
export interface LoadBalancer {
  readonly name: string;
  readonly addresses: CloudAddresses;
  /** Whatever the Service's cloud does unless said. */
  readonly keepClientAddress?: boolean;
  readonly listeners: readonly BalancerListener[];
}

export interface NatGateway {
  readonly name: string;
  readonly address?: Addr;
  readonly dnat: readonly {
    readonly elastic: Addr;
    readonly protocol: Protocol;
    readonly port: Port;
    readonly to: Endpoint;
  }[];
}

/** A machine that is no node. */
export interface HostObject {
  readonly name: string;
  readonly addresses: CloudAddresses;
  readonly listeners: readonly Listener[];
}

/** Throws {@link Fault} FE006 that names file and line. */
export function readLoadBalancer(manifest: Manifest): LoadBalancer {
  const spec = specOf(manifest);
  const keep = spec.at('keepClientAddress').flag();
  return {
    name: nameOf(manifest),
    addresses: readAddresses(spec),
    ...(keep === undefined ? {} : { keepClientAddress: keep }),
    listeners: spec.at('listeners').items((listener) => ({
      protocol: listener.at('protocol').protocol(),
      port: listener.at('port').port(),
      members: listener.at('members').items((member) => member.endpoint()),
      ...handlingOf(listener),
    })),
  };
}

function handlingOf(listener: Field): Omit<BalancerListener, 'protocol' | 'port' | 'members'> {
  const [last, ends] = [listener.at('lastPort'), listener.at('ends')];
  const keep = listener.at('keepClientAddress').flag();
  return {
    ...(last.isThere ? { lastPort: last.port() } : {}),
    // A balancer that ends connections opens its own.
    ...(ends.isThere ? { ends: ends.oneOf(['HTTP', 'HTTPS', 'TLS']), keepClientAddress: false } : {}),
    ...(keep === undefined ? {} : { keepClientAddress: keep }),
    ...(listener.at('proxyProtocol').flag() === true ? { proxyProtocol: true } : {}),
  };
}

/** Throws {@link Fault} FE006 that names file and line. */
export function readNatGateway(manifest: Manifest): NatGateway {
  const spec = specOf(manifest);
  const { public: address } = readAddresses(spec);
  return {
    name: nameOf(manifest),
    ...(address === undefined ? {} : { address }),
    dnat: spec.at('dnat').items((entry) => ({
      elastic: entry.at('address').addr() ?? address ?? entry.at('address').required(),
      protocol: entry.at('protocol').protocol(),
      port: entry.at('port').port(),
      to: entry.at('to').endpoint(),
    })),
  };
}

/** Throws {@link Fault} FE006 that names file and line. */
export function readHost(manifest: Manifest): HostObject {
  const spec = specOf(manifest);
  const addresses = readAddresses(spec);
  if (addresses.private === undefined && addresses.public === undefined) spec.at('addresses').required();
  return {
    name: nameOf(manifest),
    addresses,
    listeners: spec.at('listeners').items((listener) => {
      const addr = listener.at('address').addr();
      const at = { protocol: listener.at('protocol').protocol(), port: listener.at('port').port() };
      return addr === undefined ? at : { ...at, addr };
    }),
  };
}

const nameOf = (manifest: Manifest): string =>
  new Field(manifest, ['metadata', 'name'], at(manifest.value, ['metadata', 'name'])).text();

const specOf = (manifest: Manifest): Field => new Field(manifest, ['spec'], manifest.value.spec);

function readAddresses(spec: Field): CloudAddresses {
  const found = spec.at('addresses').items((one) => ({
    type: one.at('type').oneOf(['private', 'public']),
    address: one.at('address').addr() ?? one.at('address').required(),
  }));
  const [first = {}, second] = [...Map.groupBy(found, ({ address }) => address.family).values()].map(
    (some): OneFamily => {
      const of = (type: string) => some.find((one) => one.type === type)?.address;
      const [own, elastic] = [of('private'), of('public')];
      const others = some.filter(({ type, address }) => type === 'private' && address !== own);
      return {
        ...(others.length === 0 ? {} : { others: others.map(({ address }) => address) }),
        ...(own === undefined ? {} : { private: own }),
        ...(elastic === undefined ? {} : { public: elastic }),
      };
    },
  );
  return second === undefined ? first : { ...first, dual: second };
}

function at(value: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[step] : undefined,
    value,
  );
}

/** A value of a manifest that knows where it stands. */
class Field {
  readonly #manifest: Manifest;
  readonly #path: FieldPath;
  readonly #value: unknown;

  constructor(manifest: Manifest, path: FieldPath, value: unknown) {
    this.#manifest = manifest;
    this.#path = path;
    this.#value = value ?? undefined;
  }

  get isThere(): boolean {
    return this.#value !== undefined;
  }

  at(name: string): Field {
    if (this.#value !== undefined && (typeof this.#value !== 'object' || Array.isArray(this.#value))) {
      throw this.#wrong('is no map', 'write keys and values');
    }
    return new Field(this.#manifest, [...this.#path, name], at(this.#value, [name]));
  }

  items<T>(read: (item: Field) => T): T[] {
    if (this.#value === undefined) return [];
    if (!Array.isArray(this.#value)) throw this.#wrong('is no list', 'write a list');
    return this.#value.map((item: unknown, index) =>
      read(new Field(this.#manifest, [...this.#path, index], item)),
    );
  }

  text(): string {
    if (typeof this.#value === 'string' && this.#value !== '') return this.#value;
    throw this.#value === undefined ? this.#missing() : this.#wrong('is no text', 'put it into quotes');
  }

  oneOf<const T extends string>(choices: readonly T[]): T {
    const found = choices.find((choice) => choice === this.#value);
    if (found !== undefined) return found;
    throw this.#wrong(`is '${String(this.#value)}'`, `write ${choices.join(' or ')}`);
  }

  flag(): boolean | undefined {
    if (this.#value === undefined || typeof this.#value === 'boolean') return this.#value;
    throw this.#wrong('is neither true nor false', 'write true or false');
  }

  protocol(): Protocol {
    if (this.#value === undefined) return 'TCP';
    return this.oneOf(['TCP', 'UDP', 'SCTP']);
  }

  port(): Port {
    if (this.#value === undefined) throw this.#missing();
    return this.#read(() => portOf(Number(this.#value)));
  }

  addr(): Addr | undefined {
    return this.#value === undefined ? undefined : this.#read(() => Addr.parse(String(this.#value)));
  }

  endpoint(): Endpoint {
    return new Endpoint(this.at('address').addr() ?? this.at('address').required(), this.at('port').port());
  }

  required(): never {
    throw this.#missing();
  }

  #read<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Fault('FE006', `${this.#where()}: ${error.message}`, error.cure);
    }
  }

  #missing(): Fault {
    return new Fault('FE006', `${this.#where()} is missing`, 'write it');
  }

  #wrong(what: string, cure: string): Fault {
    return new Fault('FE006', `${this.#where()} ${what}`, cure);
  }

  #where(): string {
    const name = this.#path.reduce<string>(
      (text, step) =>
        typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`,
      '',
    );
    return `${this.#manifest.place(this.#path)}: ${name} of the ${String(this.#manifest.value.kind)}`;
  }
}
