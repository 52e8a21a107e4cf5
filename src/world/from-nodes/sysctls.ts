import { Fault } from '../../fault/fault.ts';
import type { RpFilter, Sysctls } from '../world.ts';
import type { DumpFolder } from './dump-folder.ts';
import { AGAIN, linesOf } from './items.ts';

export interface SysctlFacts {
  readonly sysctls: Sysctls;
  /** By interface. */
  readonly rpFilter: ReadonlyMap<string, RpFilter>;
  /** Settings that are taken to be other than they are. */
  readonly notes: readonly { readonly place: string; readonly message: string }[];
}

/** What the World takes these to be everywhere. */
const TAKEN: readonly (readonly [RegExp, string])[] = [
  [/^net\.ipv4\.conf\..*\.(accept_local|src_valid_mark)$/, '0'],
  // Every interface may pass 127.0.0.0/8, or none.
  [/^net\.ipv4\.conf\.(?!all\.|default\.).*\.route_localnet$/, '0'],
  [/^net\.ipv4\.vs\.conntrack$/, '1'],
];

/** What `sysctl -a` prints; `undefined` if it was not asked. Throws {@link Fault} FE006 for a line that is none of its. */
export function readSysctls(folder: DumpFolder): SysctlFacts | undefined {
  const lines = linesOf(folder, 'sysctl.txt');
  if (lines === undefined) return undefined;
  const values = new Map<string, string>();
  const notes: { place: string; message: string }[] = [];
  for (const { line, place } of lines) {
    const [, key, value] = /^([\w./-]+) = (.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) {
      throw new Fault('FE006', `${place}: '${line}' is not what sysctl prints`, AGAIN);
    }
    values.set(key, value);
    const taken = TAKEN.find(([pattern]) => pattern.test(key))?.[1];
    if (taken !== undefined && taken !== value) {
      notes.push({ place, message: `${line} is not modelled: taken for ${taken}` });
    }
  }
  const isOn = (key: string) => Number(values.get(key) ?? 0) !== 0;
  const filters = new Map(
    [...values].flatMap(([key, value]): (readonly [string, RpFilter])[] => {
      const [, name] = /^net\.ipv4\.conf\.(.*)\.rp_filter$/.exec(key) ?? [];
      // sysctl swaps the dot and the slash, so that an interface's dot is no separator.
      return name === undefined ? [] : [[name.replaceAll('/', '.'), rpFilterOf(value)]];
    }),
  );
  return {
    sysctls: {
      ipForward: isOn('net.ipv4.ip_forward'),
      ...(isOn('net.ipv6.conf.all.forwarding') ? { ipv6Forwarding: true } : {}),
      rpFilter: filters.get('all') ?? 0,
      bridgeNfCallIptables: isOn('net.bridge.bridge-nf-call-iptables'),
      ...(isOn('net.bridge.bridge-nf-call-ip6tables') ? { bridgeNfCallIp6tables: true } : {}),
      ...(isOn('net.ipv4.conf.all.route_localnet') ? { routeLocalnet: true } : {}),
    },
    rpFilter: filters,
    notes,
  };
}

function rpFilterOf(text: string): RpFilter {
  return text === '1' ? 1 : text === '2' ? 2 : 0;
}
