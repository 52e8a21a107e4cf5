/** Events are told and forgotten: without an end they would come to be most of what is stored. */
import { errorFields, type Log } from '../fault/log.ts';
import { RESOURCES } from '../kube/resources.ts';
import type { Registry } from './registry/registry.ts';
import { type AnyObject, decode, prefixOf } from './registry/stored.ts';

/** Upstream's --event-ttl. */
const KEPT_MS = 3_600_000;
const LOOK_EVERY_MS = 60_000;

/** Looks each minute; returns how to stop. */
export function expireEvents(registry: Registry, log: Log): () => void {
  const timer = setInterval(() => {
    removeOldEvents(registry).catch((error: unknown) => log.error('old Events stay', errorFields(error)));
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/** Removes Events that were last seen more than an hour ago. One that is seen again meanwhile stays. */
export async function removeOldEvents(registry: Registry): Promise<void> {
  const { entries } = await registry.store.list(prefixOf(RESOURCES.events));
  const before = registry.now() - KEPT_MS;
  const old = entries.filter((entry) => lastSeen(decode(entry)) < before);
  await Promise.all(old.map(({ key, modRevision }) => registry.store.commit([{ key, expect: modRevision }])));
}

/** The newest of the times an Event carries, in milliseconds. */
function lastSeen({ metadata, eventTime, lastTimestamp, series }: AnyObject): number {
  const { lastObservedTime } = (series ?? {}) as { lastObservedTime?: unknown };
  const times = [metadata.creationTimestamp, eventTime, lastTimestamp, lastObservedTime];
  return Math.max(...times.map((time) => (typeof time === 'string' ? Date.parse(time) : 0)));
}
