import type { Exec, Output } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import { Addr } from '../ip/ip.ts';
import {
  type IpSet,
  type IpvsTable,
  parseIpsetSave,
  parseIpvsadmSave,
  printWhich,
  type RetiredDestination,
  type VirtualServer,
  virtualServerKey,
} from '../netfilter/netfilter.ts';
import { IPVS_INTERFACE, IPVS_SYSCTLS } from '../proxy/proxy.ts';
import { type IpvsSettings, STRICT_ARP } from './ipvs-settings.ts';

/** From here on one listing of everything is cheaper than one for each virtual server. */
const MANY_LISTINGS = 8;

/** The addresses of a host, those of kube-ipvs0 apart from all others. */
export interface HostAddresses {
  readonly bound: readonly Addr[];
  readonly others: readonly Addr[];
}

/** ipvsadm(8), ipset(8) and ip(8), as far as the proxy needs them. */
export class IpvsTool {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  /** Makes kube-ipvs0 and sets sysctls and timeouts. Throws {@link Fault} FE015 where the kernel cannot. */
  async prepare({ strictARP = false, timeouts }: IpvsSettings): Promise<void> {
    await requireIpvs(this.#exec);
    if (!(await this.hasInterface())) {
      const args = ['link', 'add', IPVS_INTERFACE, 'type', 'dummy'];
      const made = await this.#exec.run({ file: 'ip', args, accept: [0, 1, 2] });
      if (made.code !== 0) throw withoutIpvs(`the running kernel offers no dummy (${made.stderr.trim()})`);
    }
    const wanted = { ...IPVS_SYSCTLS, ...(strictARP ? STRICT_ARP : {}) };
    const settings = Object.entries(wanted).map(([name, value]) => `${name}=${value}`);
    await this.#exec.run({ file: 'sysctl', args: ['-qw', ...settings] });
    if (timeouts === undefined) return;
    const seconds = [timeouts.tcp, timeouts.tcpFin, timeouts.udp].map(String);
    await this.#exec.run({ file: 'ipvsadm', args: ['--set', ...seconds] });
  }

  async servers(): Promise<IpvsTable> {
    return parseIpvsadmSave((await this.#exec.run({ file: 'ipvsadm', args: ['-Sn'] })).stdout);
  }

  /** Does nothing with an empty text. ipvsadm goes on after a line it refuses. */
  async program(text: string): Promise<void> {
    if (text === '') return;
    const { stderr } = await this.#exec.run({
      file: 'ipvsadm',
      args: ['-R'],
      stdin: text,
      timeoutMs: 120_000,
    });
    // ipvsadm 1.31 ends with 0 whatever became of the lines.
    if (stderr.trim() !== '')
      throw new Fault('FE002', `ipvsadm -R refused a line: ${stderr.trim()}`, 'see its message');
  }

  /** How many connections each destination of these has, open or waiting to be forgotten, by {@link keyOfRetired}. */
  async connections(servers: readonly VirtualServer[]): Promise<ReadonlyMap<string, number>> {
    const listings =
      servers.length > MANY_LISTINGS
        ? [await this.#exec.run({ file: 'ipvsadm', args: ['-Ln'] })]
        : await Promise.all(servers.map((server) => this.#list(server)));
    const connections = new Map<string, number>();
    let server = '';
    for (const line of listings.flatMap(({ stdout }) => stdout.split('\n'))) {
      const [first = '', at = '', , , active, inactive] = line.trim().split(/\s+/);
      if (/^(TCP|UDP|SCTP)$/.test(first)) server = `${first} ${at}`;
      else if (first === '->') connections.set(`${server} ${at}`, Number(active) + Number(inactive));
    }
    return connections;
  }

  async hasServer(server: VirtualServer): Promise<boolean> {
    return (await this.#list(server)).code === 0;
  }

  /** Fails where there is no such virtual server. */
  #list(server: VirtualServer): Promise<Output> {
    const args = ['-Ln', ...printWhich(server).split(' ')];
    return this.#exec.run({ file: 'ipvsadm', args, accept: [0, 1, 2, 255] });
  }

  async setNames(): Promise<ReadonlySet<string>> {
    const { stdout } = await this.#exec.run({ file: 'ipset', args: ['list', '-n'] });
    return new Set(stdout.split('\n'));
  }

  async sets(): Promise<IpSet[]> {
    return parseIpsetSave((await this.#exec.run({ file: 'ipset', args: ['save'] })).stdout);
  }

  /** Does nothing with an empty text. */
  async fill(text: string): Promise<void> {
    const args = ['-exist', 'restore'];
    if (text !== '') await this.#exec.run({ file: 'ipset', args, stdin: text, timeoutMs: 120_000 });
  }

  async addresses(): Promise<HostAddresses> {
    const { stdout } = await this.#exec.run({ file: 'ip', args: ['-j', 'addr', 'show'] });
    const links = JSON.parse(stdout) as {
      ifname?: string;
      addr_info?: { family?: string; local?: string }[];
    }[];
    const of = (some: typeof links) =>
      some.flatMap(({ addr_info = [] }) =>
        addr_info.flatMap(({ family, local }) =>
          local !== undefined && family?.startsWith('inet') ? [Addr.parse(local)] : [],
        ),
      );
    return {
      bound: of(links.filter(({ ifname }) => ifname === IPVS_INTERFACE)),
      others: of(links.filter(({ ifname }) => ifname !== IPVS_INTERFACE)),
    };
  }

  async bind(verb: 'add' | 'del', addresses: readonly Addr[]): Promise<void> {
    if (addresses.length === 0) return;
    const lines = addresses.map(({ text, family }) =>
      family === 4
        ? `addr ${verb} ${text}/32 dev ${IPVS_INTERFACE}`
        : `addr ${verb} ${text}/128 dev ${IPVS_INTERFACE}${verb === 'add' ? ' nodad' : ''}`,
    );
    const stdin = `${lines.join('\n')}\n`;
    await this.#exec.run({ file: 'ip', args: ['-batch', '-'], stdin, timeoutMs: 120_000 });
  }

  async hasInterface(): Promise<boolean> {
    const args = ['link', 'show', IPVS_INTERFACE];
    return (await this.#exec.run({ file: 'ip', args, accept: [0, 1] })).code === 0;
  }

  /** Takes kube-ipvs0 with all its addresses; whether it was there. */
  async removeInterface(): Promise<boolean> {
    const args = ['link', 'del', IPVS_INTERFACE];
    return (await this.#exec.run({ file: 'ip', args, accept: [0, 1] })).code === 0;
  }
}

/** An address for documentation (RFC 5737), and the port that kube-proxy tries its scheduler at. */
const TRIAL = '-t 198.51.100.1:20000';

export const keyOfRetired = ({ server, destination }: RetiredDestination): string =>
  `${virtualServerKey(server)} ${destination.endpoint}`;

/**
 * Throws {@link Fault} FE015 where the kernel has no IPVS or not the scheduler, FE001 where its tools are missing. A
 * scheduler is tried, as its module may load on demand or be built in.
 */
export async function requireIpvs(exec: Exec, scheduler?: string): Promise<void> {
  // Asking loads the module where the kernel has it.
  const { code } = await exec.run({ file: 'ipvsadm', args: ['-Ln'], accept: [0, 1, 2, 255] });
  if (code !== 0) throw withoutIpvs('the running kernel offers no ip_vs');
  const sets = await exec.run({ file: 'ipset', args: ['list', '-n'], accept: [0, 1] });
  if (sets.code !== 0) throw withoutIpvs(`the running kernel offers no ip_set (${sets.stderr.trim()})`);
  if (scheduler === undefined) return;
  const stdin = `-A ${TRIAL} -s ${scheduler}\n-D ${TRIAL}\n`;
  const { stderr } = await exec.run({ file: 'ipvsadm', args: ['-R'], stdin });
  if (stderr.trim() !== '') throw withoutIpvs(`the running kernel offers no ip_vs_${scheduler}`);
}

/** @param reason a clause such as "the running kernel offers no ip_vs, dummy" */
export const withoutIpvs = (reason: string): Fault =>
  new Fault(
    'FE015',
    `the proxy mode ipvs needs a kernel with IPVS, and ${reason}`,
    "as root 'modprobe -a ip_vs ip_vs_rr dummy ip_set', a kernel that has them (Debian's linux-image-amd64), or --proxy-mode nftables",
  );
