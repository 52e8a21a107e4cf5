import type { Container } from '../../kube/objects.ts';

/**
 * Images are not pulled: nothing may be downloaded, and a lab for Services needs few programs. An image's name picks what
 * of this machine stands for it.
 */
export interface Workload {
  readonly kind: 'nginx' | 'shell' | 'responder' | 'fairlead';
  /** As an image's ENTRYPOINT and CMD: the pod's command replaces both, its args the second. */
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What stands for the image, as the end of a sentence in the pod's events. */
  readonly standIn: string;
}

/** What asks a workload to end. The image of nginx declares STOPSIGNAL SIGQUIT: nginx first answers what is under way. */
export const stopSignalOf = (kind: string): 'SIGTERM' | 'SIGQUIT' =>
  kind === 'nginx' ? 'SIGQUIT' : 'SIGTERM';

/** Where the product's own files are inside a container. */
export const PRODUCT_DIR = '/usr/lib/fairlead';

/** TypeScript runs as it is in a checkout; an installation has compiled files. */
const MAIN = `src/cli/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The shell is dash: it expands parameters in PS1, which makes the prompt that of the documents, `/ # `. */
const PROMPT = { PS1: '$PWD # ' };

/** The shell is dash: it expands parameters in PS1, which makes the prompt that of the documents, `/ # `. */
const ENV = { PATH, PS1: '$PWD # ', HOME: '/root' };

interface Rule {
  /** Against the image's repository without registry host, tag and digest. */
  readonly matches: RegExp;
  readonly why: string;
  /** The program without which the rule does not hold. */
  readonly needs?: string;
  readonly workload: (repository: string) => Workload;
}

/** First match wins. */
const RULES: readonly Rule[] = [
  {
    matches: /^(library\/)?nginx$|^nginxinc\/nginx-unprivileged$/,
    why: 'the documents curl its stock page, so it has to be the real one',
    needs: 'nginx',
    workload: () => ({
      kind: 'nginx',
      entrypoint: [],
      cmd: ['nginx', '-g', 'daemon off;'],
      env: { PATH, ...PROMPT },
      standIn: "the machine's own nginx stands for it",
    }),
  },
  {
    matches: /^curlimages\/curl$/,
    why: 'its entrypoint is curl: arguments alone are arguments of curl',
    workload: () => shell({ entrypoint: ['curl'], cmd: ['--help'] }),
  },
  {
    matches:
      /^(library\/)?(busybox|alpine|debian|ubuntu|bash|perl)$|dnsutils|netshoot|network-multitool|jessie-dnsutils/,
    why: 'client pods: a shell with curl, nslookup and dig',
    workload: () => shell({ entrypoint: [], cmd: ['sh'] }),
  },
  {
    matches: /^fairlead\/(?!responder$)[a-z-]+$/,
    why: "the product's own daemons run as pods, with in-cluster credentials",
    workload: (repository) => ({
      kind: 'fairlead',
      entrypoint: [`${PRODUCT_DIR}/node`, `${PRODUCT_DIR}/${MAIN}`, repository.slice('fairlead/'.length)],
      cmd: [],
      env: { ...ENV, NODE_NO_WARNINGS: '1' },
      standIn: "the product's own program stands for it",
    }),
  },
];

const SERVER_ONLY = /agnhost|http-echo|echoserver|echo-server|whoami|httpbin|^fairlead\/responder$|hello/;

/**
 * @param isProgram tells whether a word names a program of this machine: it decides whether the arguments of an image we
 *   know nothing about are a command (`kubectl run x --image=any -- sh`) or options of a server.
 */
export function workloadOf(container: Container, isProgram: (word: string) => boolean): Workload {
  const repository = repositoryOf(container.image ?? '');
  const rule = RULES.find(
    ({ matches, needs }) => matches.test(repository) && (needs === undefined || isProgram(needs)),
  );
  if (rule !== undefined) return rule.workload(repository);
  const [first] = container.command ?? [];
  if (first !== undefined) return shell({ entrypoint: [], cmd: ['sh'] });
  const [argument] = container.args ?? [];
  if (argument !== undefined && !SERVER_ONLY.test(repository) && isProgram(argument)) {
    return shell({ entrypoint: [], cmd: ['sh'] });
  }
  return {
    kind: 'responder',
    entrypoint: ['perl', `${PRODUCT_DIR}/responder.pl`],
    cmd: [],
    env: ENV,
    standIn: 'a responder stands for it, which answers HTTP, TCP and UDP on its ports',
  };
}

function shell(start: Pick<Workload, 'entrypoint' | 'cmd'>): Workload {
  return {
    kind: 'shell',
    ...start,
    env: { PATH, ...PROMPT, HOME: '/root' },
    standIn: "a shell with the machine's own programs stands for it",
  };
}

/** What runs: upstream's table of command and args against ENTRYPOINT and CMD. The responder takes no arguments of its image. */
export function argvOf(container: Container, workload: Workload): readonly string[] {
  if (container.command !== undefined && container.command.length > 0) {
    return [...container.command, ...(container.args ?? [])];
  }
  if (workload.kind === 'responder') return workload.entrypoint;
  const args = container.args ?? [];
  return [...workload.entrypoint, ...(args.length > 0 ? args : workload.cmd)];
}

/** The image's repository without the registry's host, tag and digest: `docker.io/library/nginx:1` is `library/nginx`. */
export function repositoryOf(image: string): string {
  const [named = ''] = image.split('@');
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  const untagged = colon < 0 ? named : named.slice(0, colon);
  const [host = '', ...rest] = untagged.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(host) || host === 'localhost');
  return (isHost ? rest.join('/') : untagged).toLowerCase();
}
