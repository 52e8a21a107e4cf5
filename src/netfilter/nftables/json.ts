import { Fault } from '../../fault/fault.ts';

/** What JSON.parse gives for an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (json: unknown): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

export function asObject(json: unknown): JsonObject {
  if (!isObject(json)) throw unexpected('an object', json);
  return json;
}

export function asArray(json: unknown): readonly unknown[] {
  if (!Array.isArray(json)) throw unexpected('a list', json);
  return json;
}

export function asText(json: unknown): string {
  if (typeof json !== 'string') throw unexpected('a text', json);
  return json;
}

export function asNumber(json: unknown): number {
  if (typeof json !== 'number') throw unexpected('a number', json);
  return json;
}

function unexpected(wanted: string, json: unknown): Fault {
  const shown = JSON.stringify(json)?.slice(0, 80);
  return new Fault('FE006', `nft -j: ${wanted} was expected, not ${shown}`, 'see libnftables-json(5)');
}
