import type { ConfigMap, Event, Lease, Namespace, Secret, ServiceAccount } from '../objects.ts';
import { ageOf, nameOf, sinceText, UNKNOWN } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, type Printer, wide } from './column.ts';

const sizeOf = (map: object | undefined): number => Object.keys(map ?? {}).length;

export const namespacePrinter: Printer<Namespace> = {
  columns: [NAME_COLUMN, column('Status', 'Active, or Terminating while it is emptied.'), AGE_COLUMN],
  cells: (namespace, now) => [nameOf(namespace), namespace.status?.phase ?? '', ageOf(namespace, now)],
};

export const configMapPrinter: Printer<ConfigMap> = {
  columns: [NAME_COLUMN, column('Data', 'How many keys there are.', 'string'), AGE_COLUMN],
  cells: (map, now) => [nameOf(map), sizeOf(map.data) + sizeOf(map.binaryData), ageOf(map, now)],
};

export const secretPrinter: Printer<Secret> = {
  columns: [
    NAME_COLUMN,
    column('Type', 'What the keys mean.'),
    column('Data', 'How many keys there are.', 'string'),
    AGE_COLUMN,
  ],
  cells: (secret, now) => [nameOf(secret), secret.type ?? '', sizeOf(secret.data), ageOf(secret, now)],
};

export const serviceAccountPrinter: Printer<ServiceAccount> = {
  columns: [NAME_COLUMN, column('Secrets', 'How many secrets its pods may use.'), AGE_COLUMN],
  cells: (account, now) => [nameOf(account), (account.secrets ?? []).length, ageOf(account, now)],
};

export const leasePrinter: Printer<Lease> = {
  columns: [NAME_COLUMN, column('Holder', 'Who holds the lease.'), AGE_COLUMN],
  cells: (lease, now) => [nameOf(lease), lease.spec?.holderIdentity ?? '', ageOf(lease, now)],
};

export const eventPrinter: Printer<Event> = {
  columns: [
    column('Last Seen', 'When it last happened.'),
    column('Type', 'Normal or Warning.'),
    column('Reason', 'What happened, in one word.'),
    column('Object', 'What it happened to.'),
    wide('Subobject', 'The part it happened to.'),
    wide('Source', 'Who reports it.'),
    column('Message', 'What happened, in a sentence.'),
    wide('First Seen', 'When it first happened.'),
    wide('Count', 'How often it happened.'),
    { ...NAME_COLUMN, priority: 1 },
  ],
  cells: (event, now) => {
    const { firstSeen, lastSeen, count } = seenOf(event, now);
    const { kind = '', name, fieldPath = '' } = event.involvedObject ?? {};
    return [
      lastSeen,
      event.type ?? '',
      event.reason ?? '',
      name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase(),
      fieldPath,
      sourceText(event),
      (event.message ?? '').trim(),
      firstSeen,
      count,
      nameOf(event),
    ];
  },
};

/** Old reporters count in the event itself, new ones in its series. */
function seenOf(event: Event, now: number): { firstSeen: string; lastSeen: string; count: number } {
  const firstSeen = sinceText(event.firstTimestamp ?? event.eventTime, now);
  if (event.series !== undefined) {
    const lastSeen = sinceText(event.series.lastObservedTime, now);
    return { firstSeen, lastSeen, count: event.series.count ?? 0 };
  }
  const last = sinceText(event.lastTimestamp, now);
  return { firstSeen, lastSeen: last === UNKNOWN ? firstSeen : last, count: event.count || 1 };
}

function sourceText({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || '';
  const host = source?.host || reportingInstance || '';
  return host === '' ? component : `${component}, ${host}`;
}
