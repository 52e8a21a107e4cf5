import { Fault } from '../../fault/fault.ts';
import { Addr, type Protocol, parsePort } from '../../ip/ip.ts';
import type { Listener } from '../world.ts';
import type { DumpFolder } from './dump-folder.ts';
import { AGAIN, linesOf } from './items.ts';

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** What `ss -Hlntu` prints; `undefined` if it was not asked. Throws {@link Fault} FE006 for a line that is none of its. */
export function readListeners(folder: DumpFolder): readonly Listener[] | undefined {
  const lines = linesOf(folder, 'ss.txt');
  return lines === undefined ? undefined : listenersIn(lines);
}

/** The same of its lines, each with where it stands. */
export function listenersIn(lines: Iterable<{ readonly line: string; readonly place: string }>): Listener[] {
  return [...lines].flatMap(({ line, place }) => {
    const [kind = '', , , , local = ''] = line.split(/\s+/);
    // Its heading, where nobody asked it to leave that out.
    if (kind === 'Netid') return [];
    const protocol = PROTOCOLS[kind];
    const [, at = '', port = ''] = /^(.*):(\d+)$/.exec(local) ?? [];
    const text = at.replace(/%.*$/, '').replace(/^\[(.*?)\]?$/, '$1');
    if (protocol === undefined || port === '' || (text !== '*' && !Addr.isAddr(text))) {
      throw new Fault('FE006', `${place}: '${line}' is not what ss -Hlntu prints`, AGAIN);
    }
    const listener = { protocol, port: parsePort(port) };
    // A star is a socket of both families.
    return [text === '*' ? listener : { ...listener, addr: Addr.parse(text) }];
  });
}
