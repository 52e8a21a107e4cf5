import { RESOURCES } from '../../kube/resources.ts';
import { type FieldError, invalid, toStatus } from '../../kube/validation/validation.ts';
import type { TokenClaims, TokenSigner, TokenSubject } from '../auth/tokens.ts';
import { type Answer, type Call, decodedBody, keyOf, methodOf } from '../call.ts';
import { timestamp } from '../registry/metadata.ts';
import type { Registry } from '../registry/registry.ts';
import { decode, storeKeyOf } from '../registry/stored.ts';
import { conflict, methodNotAllowed, StatusError } from '../status.ts';

const TOKEN_REQUEST = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } as const;

interface TokenRequestSpec {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
}

/** POST serviceaccounts/NAME/token (authentication.k8s.io/v1 TokenRequest). */
export async function handleToken(call: Call, signer: TokenSigner): Promise<Answer> {
  if (methodOf(call) !== 'POST') throw methodNotAllowed();
  const key = keyOf(call);
  const { object } = await decodedBody(call, TOKEN_REQUEST);
  const { metadata } = decode(await call.registry.get(key));
  const {
    audiences = [],
    expirationSeconds = 3600,
    boundObjectRef,
  } = (object.spec ?? {}) as TokenRequestSpec;
  checkSeconds(expirationSeconds);
  const pod = await boundPod(call, boundObjectRef);
  const { namespace = '', name = '', uid = '' } = metadata;
  const subject: TokenSubject = { namespace, name, uid, ...(pod === undefined ? {} : { pod }) };
  const now = call.registry.now();
  const token = signer.issue(subject, audiences, expirationSeconds, now);
  const status = { token, expirationTimestamp: timestamp(now + expirationSeconds * 1000) };
  const made = { name, namespace, creationTimestamp: timestamp(now) };
  const spec = { ...object.spec, audiences, expirationSeconds };
  const body = { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', metadata: made, spec, status };
  return { code: 201, body };
}

function checkSeconds(seconds: number): void {
  const field = 'spec.expirationSeconds';
  const refuse = (error: FieldError) =>
    StatusError.from(toStatus({ ...RESOURCES.serviceaccounts, ...TOKEN_REQUEST }, '', [error]));
  if (seconds < 600) throw refuse(invalid(field, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > 2 ** 32)
    throw refuse(invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
}

/** A token can end with a pod: it is refused once the pod is gone. */
async function boundPod(call: Call, ref: TokenRequestSpec['boundObjectRef']): Promise<TokenSubject['pod']> {
  if (ref?.kind !== 'Pod') return undefined;
  const { namespace } = call.route;
  const { metadata } = decode(
    await call.registry.get({ resource: RESOURCES.pods, namespace, name: ref.name ?? '' }),
  );
  const { name = '', uid = '' } = metadata;
  if (ref.uid !== undefined && ref.uid !== '' && ref.uid !== uid) {
    const why = `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict(RESOURCES.pods, name, why);
  }
  return { name, uid };
}

/** Whether what a token was bound to is still the same. */
export async function isStillBound(
  registry: Registry,
  claims: TokenClaims['kubernetes.io'],
): Promise<boolean> {
  const { namespace, serviceaccount, pod } = claims;
  const uidOf = async (resource: (typeof RESOURCES)['pods' | 'serviceaccounts'], name: string) => {
    const entry = await registry.store.get(storeKeyOf({ resource, namespace, name }));
    return entry === undefined ? undefined : decode(entry).metadata.uid;
  };
  if ((await uidOf(RESOURCES.serviceaccounts, serviceaccount.name)) !== serviceaccount.uid) return false;
  return pod === undefined || (await uidOf(RESOURCES.pods, pod.name)) === pod.uid;
}
