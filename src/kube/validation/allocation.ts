/**
 * The messages about cluster IPs and node ports. Which of them are free only the API server knows, as it allocates them;
 * what it says when one is not stands here beside the other validation messages
 * (upstream: pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/{ipallocator,portallocator}).
 */
import { type FieldError, invalid } from './field-error.ts';

const IP_IN_USE = 'provided IP is already allocated';
const PORT_IN_USE = 'provided port is already allocated';

/** The address is a Service's already. `at` is its place in spec.clusterIPs. */
export const clusterIPInUse = (address: string, at = 0): FieldError =>
  invalid(`spec.clusterIPs[${at}]`, [address], `failed to allocate IP ${address}: ${IP_IN_USE}`);

/** The address lies outside every service range. */
export const clusterIPOutOfRange = (address: string, ranges: readonly string[], at = 0): FieldError =>
  invalid(
    `spec.clusterIPs[${at}]`,
    [address],
    `failed to allocate IP ${address}: the provided IP (${address}) is not in the valid range. The range of valid IPs is ${ranges.join(',')}`,
  );

/** No address is left in the service ranges. */
export const clusterIPsExhausted = (): FieldError =>
  invalid('spec.clusterIPs', [], 'failed to allocate a service IP: range is full');

/** The port is another Service's already; `field` as in `spec.ports[1].nodePort` or `spec.healthCheckNodePort`. */
export const nodePortInUse = (field: string, port: number): FieldError => invalid(field, port, PORT_IN_USE);

/** The port lies outside --service-node-port-range, given as `30000-32767`. */
export const nodePortOutOfRange = (field: string, port: number, range: string): FieldError =>
  invalid(field, port, `provided port is not in the valid range. The range of valid ports is ${range}`);

/** A family that no service range has. */
export const familyNotConfigured = (family: string, at: number): FieldError =>
  invalid(`spec.ipFamilies[${at}]`, family, 'not configured on this cluster');

/** RequireDualStack where the service ranges are of one family. */
export const dualStackNotConfigured = (): FieldError =>
  invalid(
    'spec.ipFamilyPolicy',
    'RequireDualStack',
    'this cluster is not configured for dual-stack services',
  );
