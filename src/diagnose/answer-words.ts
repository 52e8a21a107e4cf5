import { Addr, Endpoint, portOf } from '../ip/ip.ts';
import type { Answer, AnsweredOutcome } from './answer.ts';

/** The words for an answer, however it is drawn. */

/** Outcomes that differ in nothing but the endpoint. */
export interface Group {
  readonly first: AnsweredOutcome;
  readonly all: readonly AnsweredOutcome[];
}

export function groupsOf(outcomes: readonly AnsweredOutcome[]): Group[] {
  const likeness = ({ outcome, cause }: AnsweredOutcome) =>
    [
      outcome.verdict,
      outcome.reason,
      cause?.code,
      outcome.verdict === 'reached' ? '' : outcome.deciding?.host,
    ].join();
  return [...Map.groupBy(outcomes, likeness).values()].flatMap((all) => {
    const first = all.reduce((best, one) => (one.probability > best.probability ? one : best));
    return [{ first, all }];
  });
}

export const shareOf = ({ all }: Group): number => all.reduce((sum, { probability }) => sum + probability, 0);

/** Who asked for what. */
export function questionText({ question: { client, target } }: Answer): string {
  const [address] = target.addresses;
  const dialled =
    target.addresses.length === 1 && address !== undefined
      ? new Endpoint(address, target.port).text
      : `${target.addresses.length} addresses, port ${target.port}`;
  const where = target.name.replace('[', '').startsWith(`${address}`)
    ? ''
    : ` (${dialled}/${target.protocol})`;
  return `${client.name} → ${target.name}${where}`;
}

/** What becomes of a group; nothing where it is alone and would but repeat the verdict. */
export function groupText(group: Group, isOneOfSeveral: boolean): string[] {
  const { verdict } = group.first.outcome;
  const said = `${isOneOfSeveral ? `${percent(shareOf(group))} ` : ''}${verdict}${endpointText(group.all)}`;
  return isOneOfSeveral || said !== verdict ? [said] : [];
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

function endpointText(all: readonly AnsweredOutcome[]): string {
  const names = new Set(
    all.flatMap(({ endpoint }) =>
      endpoint === undefined
        ? []
        : [
            `${endpoint.pod ?? 'a process'} at ${new Endpoint(Addr.parse(endpoint.ip), portOf(endpoint.port))}${endpoint.node === undefined ? '' : ` on ${endpoint.node}`}`,
          ],
    ),
  );
  if (names.size === 0) return '';
  const [only] = names;
  const sources = new Set(all.flatMap(({ outcome }) => outcome.sourceSeen?.text ?? []));
  const seen = sources.size === 0 ? '' : `, which sees ${[...sources].join(' or ')}`;
  return names.size === 1 ? `: ${only}${seen}` : `: any of ${names.size} endpoints${seen}`;
}
