import type { Addr, Endpoint, Family, Port, Prefix, Protocol } from '../ip/ip.ts';
import type { NodeFacts, ProxyConfig } from './config.ts';
import type { TrafficPolicy } from './endpoints.ts';

/** What a node has to forward: the one thing every mode compiles. */
export interface ForwardingPlan {
  readonly node: NodeFacts;
  readonly config: ProxyConfig;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, ServicePlan>;
  /** What was left out, and why. */
  readonly problems: readonly Problem[];
}

/** A Service, or a part of one, that has no rules. */
export interface Problem {
  /** `namespace/name`. */
  readonly service: string;
  readonly message: string;
}

/** The ports of one Service, a family and port each. */
export interface ServicePlan {
  /** `namespace/name`. */
  readonly name: string;
  readonly ports: readonly PortPlan[];
  /** With externalTrafficPolicy Local on a LoadBalancer: where the balancer asks whether to send to this node. */
  readonly healthCheck?: HealthCheck;
}

export interface HealthCheck {
  readonly port: Port;
  /** Ready ones of this node. A balancer asks in the family it sends in, and an endpoint that has both counts in each. */
  readonly localEndpoints: Readonly<Record<Family, number>>;
}

export interface PortPlan {
  /** As kube-proxy names it: `namespace/name`, then `:port` if the port has a name. */
  readonly name: string;
  readonly family: Family;
  readonly protocol: Protocol;
  /** clusterIP and port; the port is that of the external addresses too. */
  readonly clusterIP: Endpoint;
  readonly nodePort?: Port;
  readonly externalIPs: readonly Addr[];
  readonly loadBalancerIPs: readonly Addr[];
  /** Who may use the load balancer's addresses; everybody if undefined. */
  readonly sourceRanges?: readonly Prefix[];
  /** sessionAffinity ClientIP: how long a client that is silent stays with its endpoint. */
  readonly affinitySeconds?: number;
  readonly internal: TrafficPolicy;
  readonly external: TrafficPolicy;
  /** Where policy Cluster sends. */
  readonly cluster: readonly PlannedEndpoint[];
  /** Where policy Local sends; empty unless one of the policies is Local. */
  readonly local: readonly PlannedEndpoint[];
  /**
   * Who serves and is given nothing new here, since he is ending or a policy or a hint prefers others: of UDP alone, whose flows
   * stay where they are as connections do.
   */
  readonly spared?: readonly Endpoint[];
  /** Some endpoint exists, here or elsewhere: without one, clients are refused; with one elsewhere, Local drops. */
  readonly anyEndpoints: boolean;
}

export interface PlannedEndpoint {
  readonly endpoint: Endpoint;
  /** On this node: such an endpoint may dial itself. */
  readonly local: boolean;
}
