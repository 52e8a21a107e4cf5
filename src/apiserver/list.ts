/** Lists, whole or in pages, as lists, Tables or metadata. */
import { apiVersionOf } from '../kube/resources.ts';
import { type ListMeta, tableOf } from '../kube/table/table.ts';
import { type Entry, Gone, type Page } from '../store/store.ts';
import { type Answer, type Call, includeObjectOf, wantedOf } from './call.ts';
import { METADATA_LIST, TABLE } from './negotiate.ts';
import { type Selection, selectionOf } from './registry/selection.ts';
import { decode, prefixOf, textOf } from './registry/stored.ts';
import { badRequest, expired, tooLargeResourceVersion } from './status.ts';

interface Listed {
  readonly entries: readonly Entry[];
  readonly metadata: ListMeta;
}

export async function handleList(call: Call): Promise<Answer> {
  const { resource } = call.route;
  const wanted = wantedOf(call);
  const { entries, metadata } = await listed(call);
  if (wanted.as === TABLE.as) {
    const options = { now: call.registry.now(), includeObject: includeObjectOf(call), metadata };
    return { code: 200, body: tableOf(resource, entries.map(decode), options), wanted };
  }
  if (wanted.as === METADATA_LIST.as) {
    const items = entries.map((entry) => ({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: decode(entry).metadata,
    }));
    const body = { kind: METADATA_LIST.as, apiVersion: 'meta.k8s.io/v1', metadata, items };
    return { code: 200, body, wanted };
  }
  const head = { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata };
  const body = `${JSON.stringify(head).slice(0, -1)},"items":[${entries.map(textOf).join(',')}]}`;
  return { code: 200, body, wanted };
}

/** The query parameter resourceVersion as a number; 0 and absence both mean "any". Throws BadRequest. */
export function askedVersion({ query }: Call): number {
  const text = query.get('resourceVersion') ?? '';
  if (text !== '' && !/^\d+$/.test(text)) {
    throw badRequest(
      `resourceVersion: Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`,
    );
  }
  return Number(text);
}

async function listed(call: Call): Promise<Listed> {
  const { query, route, registry } = call;
  const version = askedVersion(call);
  if (version > registry.store.revision) throw tooLargeResourceVersion(version, registry.store.revision);
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest('limit: Invalid value: must not be negative');
  const token = query.get('continue') ?? '';
  const exact = query.get('resourceVersionMatch') === 'Exact' ? { revision: version } : {};
  const start = token === '' ? exact : parseContinue(token);
  const selection = selectionOf(route.resource, query);
  const pick = { prefix: prefixOf(route.resource, route.namespace), limit, selection };
  try {
    return await readPages(call, pick, start);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    throw expired(
      token === ''
        ? error.message
        : 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
    );
  }
}

interface Pick {
  readonly prefix: string;
  readonly limit: number;
  readonly selection: Selection | undefined;
}

interface Start {
  readonly revision?: number;
  readonly after?: string;
}

/** Reads on until the page is full: a selector may leave little of what the store returns. */
async function readPages({ registry }: Call, pick: Pick, start: Start): Promise<Listed> {
  const { prefix, limit, selection } = pick;
  const entries: Entry[] = [];
  let at: Start = start;
  for (;;) {
    const room = limit === 0 ? {} : { limit: limit - entries.length };
    const page: Page = await registry.store.list(prefix, { ...at, ...room });
    for (const entry of page.entries) {
      if (selection === undefined || selection(decode(entry))) entries.push(entry);
    }
    const last = page.entries.at(-1)?.key ?? at.after ?? '';
    at = { revision: page.revision, after: last };
    const resourceVersion = String(page.revision);
    if (page.remaining === 0) return { entries, metadata: { resourceVersion } };
    if (entries.length === limit) {
      const remaining = selection === undefined ? { remainingItemCount: page.remaining } : {};
      return { entries, metadata: { resourceVersion, continue: formatContinue(at), ...remaining } };
    }
  }
}

/** Opaque to clients; upstream's is JSON in base64url too. */
const formatContinue = (at: Start): string => Buffer.from(JSON.stringify(at)).toString('base64url');

function parseContinue(token: string): Start {
  try {
    const { revision, after } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as Start;
    if (Number.isInteger(revision) && typeof after === 'string') return { revision: Number(revision), after };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw badRequest('continue key is not valid: it was not made by this server');
}
