import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';

/** The claims of a ServiceAccount token (KEP-1205), times in seconds since 1970. */
export interface TokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly nbf: number;
  readonly jti: string;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly serviceaccount: { readonly name: string; readonly uid: string };
    readonly pod?: { readonly name: string; readonly uid: string };
  };
}

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface TokenSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly pod?: { readonly name: string; readonly uid: string };
}

const HEADER = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT' })).toString('base64url');

/** Signs and verifies ServiceAccount tokens: JSON Web Tokens (RFC 7519) with ES256 (RFC 7518, 3.4). */
export class TokenSigner {
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  /** @param key an EC P-256 private key, PEM. */
  constructor(key: string) {
    this.#private = createPrivateKey(key);
    this.#public = createPublicKey(this.#private);
  }

  /** @param now milliseconds since 1970. */
  issue(subject: TokenSubject, audiences: readonly string[], seconds: number, now: number): string {
    const iat = Math.floor(now / 1000);
    const { namespace, name, uid, pod } = subject;
    const claims: TokenClaims = {
      aud: audiences.length === 0 ? [ISSUER] : audiences,
      exp: iat + seconds,
      iat,
      iss: ISSUER,
      jti: randomUUID(),
      'kubernetes.io': { namespace, serviceaccount: { name, uid }, ...(pod === undefined ? {} : { pod }) },
      nbf: iat,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const text = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.#private, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  /** The claims of a token of ours that is valid now, for this API; undefined for anything else. */
  verify(token: string, now: number): TokenClaims | undefined {
    const [header, payload, signature, ...rest] = token.split('.');
    if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0)
      return undefined;
    const good = verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      { key: this.#public, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    if (!good) return undefined;
    // Signed by us, so it is what `issue` wrote.
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as TokenClaims;
    const seconds = now / 1000;
    const current = claims.nbf <= seconds + 60 && seconds < claims.exp;
    return current && claims.iss === ISSUER && claims.aud.includes(ISSUER) ? claims : undefined;
  }
}
