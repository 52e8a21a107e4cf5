/**
 * The messages about cluster IPs and node ports. Which of them are free only the API server knows, as it allocates them;
 * what it says when one is not stands here beside the other validation messages
 * (upstream: pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/{ipallocator,portallocator}).
 */
import { type FieldError, invalid } from './field-error.ts';

const IP_IN_USE = 'provided IP is already allocated';
const PORT_IN_USE = 'provided port is already allocated';

const addressError = (address: string, asked: readonly string[], why: string): FieldError =>
  invalid('spec.clusterIPs', asked, `failed to allocate IP ${address}: ${why}`);

/** The address is a Service's already. `asked` is the list it stands in. */
export const clusterIPInUse = (address: string, asked: readonly string[] = [address]): FieldError =>
  addressError(address, asked, IP_IN_USE);

/** The address lies outside every service range of its family. */
export const clusterIPOutOfRange = (
  address: string,
  ranges: readonly string[],
  asked: readonly string[] = [address],
): FieldError =>
  addressError(
    address,
    asked,
    `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${ranges.join(',')}`,
  );

/** What an internal error (HTTP 500) says when no address, or no node port, is left: nothing is wrong with the Service. */
export const NO_CLUSTER_IP_LEFT = 'failed to allocate a serviceIP: range is full';
export const NO_NODE_PORT_LEFT = 'failed to allocate a nodePort: range is full';

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
