import type { Clock } from '../../client/clock.ts';
import type { EventRecorder } from '../../client/event-recorder.ts';
import type { Log } from '../../fault/log.ts';
import type { Addr } from '../../ip/ip.ts';
import type { PodNetwork } from '../../lab/pod-network.ts';
import type { AddressPool } from '../ipam.ts';
import type { Product } from '../product.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { StatusWriter } from '../status-writer.ts';
import type { ClusterNames } from './pod-files.ts';
import type { Sources } from './sources.ts';

/** What the pods of one node share. */
export interface NodeContext {
  readonly runtime: ContainerRuntime;
  readonly network: PodNetwork;
  readonly pool: AddressPool;
  readonly sources: Sources;
  readonly events: EventRecorder;
  readonly statuses: StatusWriter;
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeName: string;
  readonly nodeIP: Addr;
  readonly names: ClusterNames;
  readonly product: Product;
  /** User ids other than 0 exist: not in an unprivileged user's namespace. */
  readonly manyUsers: boolean;
  /** Folders of pods, by uid. */
  readonly podsDir: string;
  /** Milliseconds between the start of a deletion and SIGTERM; see {@link ./pod-termination.ts}. */
  readonly stopDelayMs: number;
}
