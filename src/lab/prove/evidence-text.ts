import type { Evidence, SeenPacket } from './evidence.ts';
import { textOf } from './expectation.ts';

/** For a person: what was seen, packet after packet, and what the hosts on the way kept of it. */
export function evidenceText({ answer, packets, connections, rules }: Evidence): string {
  const hosts = Math.max(0, ...packets.map(({ host }) => host.length));
  const links = Math.max(0, ...packets.map((one) => one.interface.length));
  const ways = untilConnected(packets).map(
    (one) =>
      `${one.host.padEnd(hosts)}  ${one.interface.padEnd(links)} ${one.direction.padEnd(3)}  ${one.text}`,
  );
  const more = packets.length - ways.length;
  return [
    `seen: ${answer === undefined ? 'no answer' : textOf(answer)}`,
    ...indented(ways.length === 0 ? ['no packet on any link'] : ways),
    ...indented(more === 0 ? [] : [`and ${more} more of the connection that stands`]),
    ...byHost('connections (conntrack -L)', connections),
    ...byHost('rules that counted it', rules),
    '',
  ].join('\n');
}

/** Once the client has its SYN+ACK, what follows goes the same way. */
function untilConnected(packets: readonly SeenPacket[]): readonly SeenPacket[] {
  const client = packets[0]?.host;
  const end = packets.findIndex(
    ({ host, direction, text }) => host === client && direction === 'in' && text.startsWith('tcp SYN+ACK'),
  );
  return end < 0 ? packets : packets.slice(0, end + 1);
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

function byHost(title: string, lines: ReadonlyMap<string, readonly string[]>): string[] {
  if (lines.size === 0) return [];
  const blocks = [...lines].flatMap(([host, some]) => [host, ...indented(some)]);
  return [`${title}:`, ...indented(blocks)];
}
