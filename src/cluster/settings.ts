import { readFileSync } from 'node:fs';
import { Fault } from '../fault/fault.ts';
import type { NodeNetworkConfig } from '../lab/node-network.ts';
import type { ProfileSpec } from '../world/profile.ts';

/**
 * What the supervisor tells each daemon, as JSON in a file of the cage. Addresses are text here, as in every file; the
 * daemon's command parses them.
 */
export interface ControlPlaneSettings {
  readonly profile: ProfileSpec;
  readonly dataDir: string;
  readonly kubeconfig: string;
  /** What clients outside connect to: the supervisor's relay. */
  readonly publicServer: string;
  /** Where the API server answers inside the cluster. */
  readonly address: string;
  readonly port: number;
  /** Where objects of the cluster itself come from. */
  readonly clusterDomain: string;
}

export interface KubeletSettings {
  readonly node: string;
  readonly nodeIP: string;
  readonly externalIP?: string;
  readonly podCIDR: string;
  readonly socket: string;
  readonly network: NodeNetworkConfig;
  readonly clusterDns: string;
  readonly clusterDomain: string;
}

export interface ProxySettings {
  readonly node: string;
  readonly nodeIP: string;
  readonly profile: ProfileSpec;
}

/** Paths inside the cage; its /run/fairlead is a tmpfs that ends with it. */
export const RUN = '/run/fairlead';
export const ADMIN_SOCKET = `${RUN}/admin.sock`;
export const TLS_SOCKET = `${RUN}/apiserver.sock`;
export const kubeletSocket = (node: string): string => `${RUN}/kubelet-${node}.sock`;

/** Reads a settings file of the supervisor's own making. */
export function readSettings<T>(file: string | undefined, daemon: string): T {
  if (file === undefined) {
    throw new Fault('FE006', `${daemon} needs --config`, 'fairlead up writes it and starts the daemon');
  }
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}
