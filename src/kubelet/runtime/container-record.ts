/** One attempt to run a container, as the agent keeps it in the container's folder so that the next agent can adopt it. */
export interface ContainerRecord {
  /** 32 hexadecimal digits, the id crun and conmon know it by. */
  readonly id: string;
  readonly podUid: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** How many attempts came before. */
  readonly attempt: number;
  readonly image: string;
  /** What stands for the image. */
  readonly workload: string;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** The wait before this attempt, in milliseconds. */
  readonly backoffMs: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly exit?: ContainerExit;
}

export interface ContainerExit {
  readonly code: number;
  /** Completed, Error, StartError, ContainerStatusUnknown. */
  readonly reason: string;
  readonly message: string;
  readonly finishedAt: number;
}

/** A container that has started and not ended. */
export const isRunning = (record: ContainerRecord | undefined): record is ContainerRecord =>
  record !== undefined && record.startedAt !== undefined && record.exit === undefined;

/** containerStatuses[].containerID */
export const containerIdOf = (record: ContainerRecord): string => `crun://${record.id}`;
