import { Addr, type Family, type Prefix } from '../../ip/ip.ts';
import { keyOf, type Service } from '../../kube/objects.ts';
import { type ClusterProfile, familyText, isAtLeast, rangesOf } from '../profile.ts';
import { canonicalService } from './canonical.ts';
import { balancerNameOf, CLOUD_FACTS, holds } from './cloud-facts.ts';
import type { Inventory, Problem } from './inventory.ts';
import { listAddresses } from './kinds.ts';

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
    const allocated = canonicalService(allocator.fill(service, note));
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
  const ofBalancer = (known === undefined ? [] : listAddresses(known)).flatMap((one) =>
    [one.private, one.public].flatMap((addr) => addr ?? []),
  );
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

type Spec = NonNullable<Service['spec']>;

const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);

/** Gives out what no Service has. */
class Allocator {
  readonly #addresses: Set<string>;
  readonly #ranges: readonly Prefix[];
  readonly #ports: Set<number>;

  constructor(services: readonly Service[], profile: ClusterProfile) {
    this.#ranges = rangesOf(profile).map(({ serviceCIDR }) => serviceCIDR);
    this.#addresses = new Set(
      services.flatMap(({ spec }) => [spec?.clusterIP ?? [], spec?.clusterIPs ?? []].flat()),
    );
    this.#ports = new Set(
      services.flatMap(({ spec }) => (spec?.ports ?? []).flatMap((port) => port.nodePort ?? [])),
    );
  }

  fill(service: Service, note: (message: string) => void): Service {
    const { spec = {} } = service;
    if (spec.type === 'ExternalName') return service;
    let filled = this.#withAddresses(spec, note);
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

  /** An address of each of its families, and the families of those; as it is where nothing of it is to be filled in. */
  #withAddresses(spec: Spec, note: (message: string) => void): Spec {
    const wanted = this.#familiesFor(spec);
    if (spec.clusterIP === 'None') {
      return wanted.length < 2 && wanted[0] === 4 ? spec : { ...spec, ipFamilies: wanted.map(familyText) };
    }
    const given = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
    const has = (family: Family) => given.some((text) => text.includes(':') === (family === 6));
    const assumed = wanted
      .filter((family) => !has(family))
      .flatMap((family) => {
        const clusterIP = this.#address(family);
        const what = given.length === 0 ? 'clusterIP' : `clusterIP of ${familyText(family)}`;
        if (clusterIP !== undefined) note(`has no ${what}: ${clusterIP} is assumed`);
        return clusterIP ?? [];
      });
    const all = [...given, ...assumed];
    const [first] = all;
    if (first === undefined || (assumed.length === 0 && all.length === 1)) return spec;
    return {
      ...spec,
      clusterIP: first,
      clusterIPs: all,
      ipFamilies: all.map((text) => (text.includes(':') ? 'IPv6' : 'IPv4')),
    };
  }

  /** As the API server would choose them (ipFamilyPolicy, KEP-563). */
  #familiesFor({ ipFamilies = [], ipFamilyPolicy, clusterIP }: Spec): Family[] {
    const cluster = this.#ranges.map(({ family }) => family);
    const said = ipFamilies.map((one): Family => (one === 'IPv6' ? 6 : 4));
    const first = said[0] ?? (clusterIP && clusterIP !== 'None' ? familyOf(clusterIP) : cluster[0]) ?? 4;
    const isDual = ipFamilyPolicy === 'PreferDualStack' || ipFamilyPolicy === 'RequireDualStack';
    const others = isDual ? cluster.filter((family) => family !== first) : [];
    return [...new Set([first, ...said, ...others])];
  }

  /** From the end of the range, where the API server gives out last; none of a family that the cluster does not have. */
  #address(family: Family): string | undefined {
    const range = this.#ranges.find((one) => one.family === family);
    if (range === undefined) return undefined;
    let addr = range.last.plus(-1);
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
