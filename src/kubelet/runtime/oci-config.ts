import type { Container, PodSpec } from '../../kube/objects.ts';

/** A mount of the OCI runtime specification 1.0, config.md, "Mounts". */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export const bind = (source: string, destination: string, mode: 'ro' | 'rw'): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', mode],
});

/** What a container's config.json is made from. */
export interface OciInput {
  readonly argv: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly spec: PodSpec;
  readonly container: Container;
  readonly hostname: string;
  /** A name below /run/netns; none for hostNetwork: the container stays in the agent's own namespace. */
  readonly netns?: string;
  /** After those every container has. */
  readonly mounts: readonly OciMount[];
}

/** containerd's and CRI-O's default set: what a root process keeps without being able to harm the machine. */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
  'CAP_AUDIT_WRITE',
];

/** privileged: the lab's network is the pod's to change, the machine is not, so not every capability there is. */
const PRIVILEGED = [...CAPABILITIES, 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_SYS_RESOURCE'];

/** Files of the machine that are nobody's business in a pod; those that do not exist are passed over. */
const MASKED = [
  '/etc/shadow',
  '/etc/gshadow',
  '/etc/ssl/private',
  '/etc/ssh',
  '/proc/kcore',
  '/proc/keys',
  '/proc/sysrq-trigger',
  '/sys/firmware',
];

/**
 * config.json of a container: namespaces of its own for mounts, processes, IPC and host name, the pod's network namespace;
 * no cgroup (there may be none to write to), so limits do not hold.
 */
export function ociConfig(input: OciInput): unknown {
  const { container, spec } = input;
  const capabilities = capabilitiesOf(container);
  const security = container.securityContext;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: container.tty === true,
      user: {
        uid: security?.runAsUser ?? spec.securityContext?.runAsUser ?? 0,
        gid: security?.runAsGroup ?? spec.securityContext?.runAsGroup ?? 0,
      },
      args: input.argv,
      env: input.env,
      cwd: container.workingDir === undefined || container.workingDir === '' ? '/' : container.workingDir,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      noNewPrivileges: security?.allowPrivilegeEscalation === false,
    },
    root: { path: 'rootfs', readonly: security?.readOnlyRootFilesystem === true },
    hostname: input.hostname,
    mounts: [...BASE_MOUNTS, ...input.mounts],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        ...(input.netns === undefined ? [] : [{ type: 'network', path: `/run/netns/${input.netns}` }]),
      ],
      maskedPaths: MASKED,
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys'],
    },
  };
}

const tmpfs = (destination: string, ...options: string[]): OciMount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', ...options],
});

const BASE_MOUNTS: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
  },
  tmpfs('/dev/shm', 'noexec', 'mode=1777', 'size=64m'),
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

function capabilitiesOf(container: Container): readonly string[] {
  const security = container.securityContext;
  if (security?.privileged === true) return PRIVILEGED;
  const named = (list: readonly string[] | undefined) =>
    (list ?? []).map((one) => (one.startsWith('CAP_') ? one : `CAP_${one}`));
  const drop = new Set(named(security?.capabilities?.drop));
  const kept = drop.has('CAP_ALL') ? [] : CAPABILITIES.filter((one) => !drop.has(one));
  const added = named(security?.capabilities?.add);
  return [...new Set([...kept, ...(added.includes('CAP_ALL') ? PRIVILEGED : added)])];
}
