import { type Exec, HERE, type Place } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import type { ProxyMode } from '../../world/profile.ts';
import { openCage } from '../cage.ts';

export type Kernel = 'host' | 'vm';

/** What a World may ask of a kernel beyond what every kernel has that can run containers. */
export type KernelFeature = 'ip_vs' | 'dummy' | 'ip_set' | 'sctp';

/** kube-proxy's IPVS mode binds every Service address to the dummy link kube-ipvs0 and matches in ipsets. */
export function featuresOf(proxyMode: ProxyMode): readonly KernelFeature[] {
  return proxyMode === 'ipvs' ? ['ip_vs', 'dummy', 'ip_set'] : [];
}

/** What shows that a kernel has it: something that is tried, for a module may load on demand or be built in. */
const TRIALS: Readonly<Record<KernelFeature, { readonly file: string; readonly args: readonly string[] }>> = {
  ip_vs: { file: 'genl', args: ['ctrl', 'get', 'name', 'IPVS'] },
  dummy: { file: 'ip', args: ['link', 'add', 'trial', 'type', 'dummy'] },
  ip_set: { file: 'ipset', args: ['create', 'trial', 'hash:ip,port'] },
  sctp: { file: 'perl', args: ['-MSocket', '-e', 'exit !socket my $trial, PF_INET, SOCK_STREAM, 132'] },
};

export interface KernelDecision {
  readonly kernel: Kernel;
  /** One clause, such as "the running kernel offers no ip_vs, dummy". */
  readonly reason: string;
}

/**
 * Which kernel a World is built on. `auto` takes the running one if it offers all that is needed, which is tried in
 * namespaces that are thrown away. Throws {@link Fault} FE014 if the host's was asked for and lacks something.
 */
export async function chooseKernel(
  needs: readonly KernelFeature[],
  wish: Kernel | 'auto' = 'auto',
  from: Place = HERE,
): Promise<KernelDecision> {
  if (wish === 'vm') return { kernel: 'vm', reason: 'asked for' };
  if (needs.length === 0) {
    return { kernel: 'host', reason: wish === 'host' ? 'asked for' : 'every kernel offers what is needed' };
  }
  const missing = await missingFeatures(needs, from);
  const list = missing.join(', ');
  if (missing.length === 0)
    return { kernel: 'host', reason: `the running kernel offers ${needs.join(', ')}` };
  if (wish === 'auto') return { kernel: 'vm', reason: `the running kernel offers no ${list}` };
  const cure = `--kernel vm, or as root: modprobe -a ${list}`;
  throw new Fault('FE014', `the running kernel offers no ${list}`, cure);
}

async function missingFeatures(needs: readonly KernelFeature[], from: Place): Promise<KernelFeature[]> {
  const cage = await openCage({ from });
  try {
    const answers = await Promise.all(needs.map((feature) => offers(cage.exec(), feature)));
    return needs.filter((_, at) => answers[at] === false);
  } finally {
    await cage.close();
  }
}

/** Every exit code but that of a tool that is missing, which says nothing about the kernel. */
const ANSWERS = Array.from({ length: 256 }, (_, code) => code).filter((code) => code !== 127);

async function offers(exec: Exec, feature: KernelFeature): Promise<boolean> {
  return (await exec.run({ ...TRIALS[feature], accept: ANSWERS })).code === 0;
}
