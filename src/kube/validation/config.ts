/** ConfigMaps, Secrets and their size limit, which keeps etcd's records small. */
import type { ConfigMap, Secret } from '../objects.ts';
import { checkFormat } from './checks.ts';
import { type FieldError, forbidden, invalid, required, tooLong } from './field-error.ts';
import { bytesOf, configKey } from './formats.ts';
import { checkImmutable, same } from './same.ts';

const MAX_BYTES = 1024 * 1024;

/** The bytes a base64 text stands for. */
const decodedBytes = (base64: string): number => Math.floor((base64.replace(/[\s=]/g, '').length * 3) / 4);

export function checkConfigMap({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...checkFormat(`data[${key}]`, key, configKey));
    if (Object.hasOwn(binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    bytes += bytesOf(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...checkFormat(`binaryData[${key}]`, key, configKey));
    bytes += decodedBytes(value);
  }
  // Upstream reports the total at the empty path.
  return bytes > MAX_BYTES ? [...errors, tooLong('', MAX_BYTES)] : errors;
}

/** Keys that a type promises to its readers (core/v1 types.go). */
const NEEDED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};
const ACCOUNT_TOKEN = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';

export function checkSecret(secret: Secret): FieldError[] {
  const { data = {}, type = '' } = secret;
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...checkFormat(`data[${key}]`, key, configKey));
    bytes += decodedBytes(value);
  }
  if (bytes > MAX_BYTES) errors.push(tooLong('data', MAX_BYTES));
  for (const key of NEEDED_KEYS[type] ?? []) {
    if (!Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
  }
  if (type === ACCOUNT_TOKEN && !secret.metadata?.annotations?.[ACCOUNT_NAME]) {
    errors.push(required(`metadata.annotations[${ACCOUNT_NAME}]`));
  }
  if (type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data)) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  return errors;
}

const FROZEN = 'field is immutable when `immutable` is set';

export function checkConfigMapUpdate(now: ConfigMap, old: ConfigMap): FieldError[] {
  if (old.immutable !== true) return [];
  const errors = checkThaw(now.immutable);
  for (const key of ['data', 'binaryData'] as const) {
    if (!same(now[key], old[key])) errors.push(forbidden(key, FROZEN));
  }
  return errors;
}

export function checkSecretUpdate(now: Secret, old: Secret): FieldError[] {
  const errors = checkImmutable('type', now.type, old.type);
  if (old.immutable !== true) return errors;
  errors.push(...checkThaw(now.immutable));
  if (!same(now.data, old.data)) errors.push(forbidden('data', FROZEN));
  return errors;
}

const checkThaw = (immutable: boolean | undefined): FieldError[] =>
  immutable === true ? [] : [forbidden('immutable', FROZEN)];
