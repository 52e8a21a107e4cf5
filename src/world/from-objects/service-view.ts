import { Addr } from '../../ip/ip.ts';
import { keyOf, type Service } from '../../kube/objects.ts';
import { type ClusterProfile, isAtLeast } from '../profile.ts';
import { balancerNameOf, CLOUD_FACTS, holds } from './cloud-facts.ts';
import type { Inventory, Problem } from './inventory.ts';

/** A Service as the cluster would show it. */
export interface ServiceView {
  /** With addresses and ports, and with what kube-proxy must not capture marked so. */
  readonly service: Service;
  /** The object it was made of. */
  readonly source: Service;
  /** What the cloud has for it, whether kube-proxy is told of it or not. */
  readonly cloudAddresses: readonly Addr[];
}

/** What an entry of status.loadBalancer.ingress holds; `ipMode` is of KEP-1860. */
interface Ingress {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ipMode?: string;
}

/** The first node port of the API server's default range. */
const FIRST_NODE_PORT = 30000;

/**
 * Fills in what the API server and the cloud's controller would write, and says what it has taken for granted: manifests
 * come from repositories as well as from clusters.
 */
export function viewServices(
  inventory: Inventory,
  profile: ClusterProfile,
): { readonly views: readonly ServiceView[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const allocator = new Allocator(inventory.services, profile);
  const views = inventory.services.map((service): ServiceView => {
    const note = (message: string) =>
      problems.push({ place: inventory.place(service), message: `service '${keyOf(service)}' ${message}` });
    const allocated = allocator.fill(service, note);
    const ingress = ingressOf(inventory, profile, allocated);
    const cloudAddresses = ingress.flatMap(({ ip }) =>
      ip !== undefined && Addr.isAddr(ip) ? [Addr.parse(ip)] : [],
    );
    const seen = ingress.map((one) => withMode(one, allocated, profile));
    const status = {
      ...allocated.status,
      loadBalancer: { ...allocated.status?.loadBalancer, ingress: seen },
    };
    return {
      service: ingress.length === 0 ? allocated : { ...allocated, status },
      source: service,
      cloudAddresses,
    };
  });
  return { views, problems };
}

/** The addresses the cloud has given the Service, or would give it by what is known of its balancer. */
function ingressOf(inventory: Inventory, profile: ClusterProfile, service: Service): readonly Ingress[] {
  if (service.spec?.type !== 'LoadBalancer') return [];
  const written: readonly Ingress[] = service.status?.loadBalancer?.ingress ?? [];
  const name = balancerNameOf(service, profile.cloud);
  const known = inventory.balancers.find((balancer) => balancer.name === name)?.addresses;
  const ofBalancer = [known?.private, known?.public].flatMap((addr) => addr ?? []);
  if (written.some(({ ip }) => ip !== undefined)) return written;
  if (ofBalancer.length > 0) return [...written, ...ofBalancer.map(({ text }) => ({ ip: text }))];
  const { loadBalancerIP } = service.spec;
  return loadBalancerIP === undefined ? written : [...written, { ip: loadBalancerIP }];
}

/** ipMode Proxy is what keeps kube-proxy from capturing an address; where a cloud does so by other means it comes to the same. */
function withMode(ingress: Ingress, service: Service, profile: ClusterProfile): Ingress {
  const { ipMode, ...plain } = ingress;
  if (ingress.ip === undefined) return ingress;
  if (holds(CLOUD_FACTS[profile.cloud].notCaptured, service, profile)) return { ...plain, ipMode: 'Proxy' };
  // KEP-1860 is on by default since 1.30; before, the field means nothing.
  return ipMode === undefined || isAtLeast(profile.kubernetesVersion, 1, 30) ? ingress : plain;
}

/** Gives out what no Service has. */
class Allocator {
  readonly #profile: ClusterProfile;
  readonly #addresses: Set<string>;
  readonly #ports: Set<number>;

  constructor(services: readonly Service[], profile: ClusterProfile) {
    this.#profile = profile;
    this.#addresses = new Set(services.flatMap(({ spec }) => spec?.clusterIP ?? []));
    this.#ports = new Set(
      services.flatMap(({ spec }) => (spec?.ports ?? []).flatMap((port) => port.nodePort ?? [])),
    );
  }

  fill(service: Service, note: (message: string) => void): Service {
    const { spec = {} } = service;
    if (spec.type === 'ExternalName') return service;
    let filled = spec;
    if (!spec.clusterIP) {
      const clusterIP = this.#address();
      note(`has no clusterIP: ${clusterIP} is assumed`);
      filled = { ...filled, clusterIP };
    }
    const exposed =
      spec.type === 'NodePort' ||
      (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    if (exposed && (spec.ports ?? []).some((port) => !port.nodePort)) {
      const ports = (spec.ports ?? []).map((port) =>
        port.nodePort ? port : { ...port, nodePort: this.#port() },
      );
      note(`has no nodePort: ${ports.map((port) => port.nodePort).join(', ')} is assumed`);
      filled = { ...filled, ports };
    }
    return filled === spec ? service : { ...service, spec: filled };
  }

  /** From the end of the range, where the API server gives out last. */
  #address(): string {
    let addr = this.#profile.serviceCIDR.last.plus(-1);
    while (this.#addresses.has(addr.text)) addr = addr.plus(-1);
    this.#addresses.add(addr.text);
    return addr.text;
  }

  #port(): number {
    let port = FIRST_NODE_PORT;
    while (this.#ports.has(port)) port += 1;
    this.#ports.add(port);
    return port;
  }
}
