import { Addr, Mac } from '../../ip/ip.ts';
import type { DumpFolder } from './dump-folder.ts';
import { type Item, itemsOf } from './items.ts';

/** Who has an address on a link, as a host knows or believes. */
export interface NeighbourFact {
  readonly device: string;
  readonly addr: Addr;
  readonly mac: Mac;
  /** Somebody wrote it, and it stays; the others were asked for and may be asked for again. */
  readonly isPermanent: boolean;
}

/** Behind which port of a bridge an Ethernet address is, or behind which machine that of a tunnel. */
export interface ForwardingFact {
  readonly device: string;
  readonly mac: Mac;
  /** Only of tunnels. */
  readonly remote?: Addr;
}

export function readNeighbours(folder: DumpFolder): readonly NeighbourFact[] {
  return (itemsOf(folder, 'neigh.json') ?? []).flatMap((item) => {
    const mac = macOf(item, 'lladdr');
    const states = item.texts('state');
    const text = item.needed('dst', item.text('dst'));
    const isKnown = !states.includes('FAILED') && !states.includes('INCOMPLETE');
    if (mac === undefined || !isKnown || !Addr.isAddr(text)) return [];
    const device = item.needed('dev', item.text('dev'));
    return [{ device, addr: Addr.parse(text), mac, isPermanent: states.includes('PERMANENT') }];
  });
}

export function readForwarding(folder: DumpFolder): readonly ForwardingFact[] {
  return (itemsOf(folder, 'fdb.json') ?? []).flatMap((item) => {
    const mac = macOf(item, 'mac');
    const device = item.needed('ifname', item.text('ifname'));
    const remote = item.text('dst');
    if (mac === undefined || isForMany(mac)) return [];
    if (remote === undefined) return [{ device, mac }];
    return Addr.isAddr(remote) ? [{ device, mac, remote: Addr.parse(remote) }] : [];
  });
}

function macOf(item: Item, name: string): Mac | undefined {
  const text = item.text(name);
  return text === undefined || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? undefined : Mac.parse(text);
}

/** The lowest bit of the first byte (IEEE 802.3, 3.2.3). */
const isForMany = ({ text }: Mac): boolean => (Number.parseInt(text.slice(0, 2), 16) & 1) === 1;
