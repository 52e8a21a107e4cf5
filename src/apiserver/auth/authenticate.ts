import { createHash, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { TokenClaims, TokenSigner } from './tokens.ts';

/** Who makes a request (authentication.k8s.io/v1 UserInfo). */
export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
}

export const ADMIN: User = {
  username: 'kubernetes-admin',
  groups: ['system:masters', 'system:authenticated'],
};

/** Whether what a token was bound to still exists: the ServiceAccount, and the Pod if there is one. */
export type StillBound = (claims: TokenClaims['kubernetes.io']) => Promise<boolean>;

/** Tells who a request comes from: a client certificate of our CA first, then a bearer token. */
export class Authenticator {
  readonly #adminToken: string;
  readonly #signer: TokenSigner;
  readonly #stillBound: StillBound;
  readonly #now: () => number;
  /** Reading a certificate costs more than answering most requests, and a connection's never changes. */
  readonly #certified = new WeakMap<object, User | 'none'>();

  constructor(adminToken: string, signer: TokenSigner, stillBound: StillBound, now: () => number) {
    this.#adminToken = adminToken;
    this.#signer = signer;
    this.#stillBound = stillBound;
    this.#now = now;
  }

  /** @param connection what lives as long as the TLS connection: the HTTP/2 session, or the socket itself. */
  async authenticate(
    connection: object,
    socket: TLSSocket,
    authorization: string | undefined,
  ): Promise<User | undefined> {
    const certified = this.#certified.get(connection) ?? userOfCertificate(socket) ?? 'none';
    this.#certified.set(connection, certified);
    if (certified !== 'none') return certified;
    const [scheme, token] = (authorization ?? '').split(' ');
    if (scheme?.toLowerCase() !== 'bearer' || token === undefined || token === '') return undefined;
    return sameSecret(token, this.#adminToken) ? ADMIN : this.#serviceAccount(token);
  }

  async #serviceAccount(token: string): Promise<User | undefined> {
    const claims = this.#signer.verify(token, this.#now());
    if (claims === undefined || !(await this.#stillBound(claims['kubernetes.io']))) return undefined;
    const { namespace, serviceaccount } = claims['kubernetes.io'];
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
    return { username: claims.sub, uid: serviceaccount.uid, groups };
  }
}

function userOfCertificate(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  if (subject?.CN === undefined) return undefined;
  const organizations: string | string[] = subject.O ?? [];
  return { username: String(subject.CN), groups: [organizations, 'system:authenticated'].flat() };
}

/** Compares without telling by its duration where the difference is. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
