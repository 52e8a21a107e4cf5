/** Questions that are posted and not stored: who am I, may I. Everyone who is authenticated may do everything. */
import { decodeBody } from '../../kube/schema/schema.ts';
import type { User } from '../auth/authenticate.ts';
import type { Answer } from '../call.ts';
import { type ApiRequest, headerOf, readBody } from '../http.ts';
import { methodNotAllowed } from '../status.ts';

export interface Review {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly status: (user: User) => object;
}

const allowed = () => ({ allowed: true, reason: 'every authenticated user may do everything here' });

export const REVIEWS: readonly Review[] = [
  {
    group: 'authentication.k8s.io',
    kind: 'SelfSubjectReview',
    plural: 'selfsubjectreviews',
    status: (user) => ({ userInfo: user }),
  },
  {
    group: 'authorization.k8s.io',
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    status: allowed,
  },
  {
    group: 'authorization.k8s.io',
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    status: () => ({
      incomplete: false,
      nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
      resourceRules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
    }),
  },
];

const byPath = new Map(REVIEWS.map((one) => [`/apis/${one.group}/v1/${one.plural}`, one]));

export const reviewAt = (path: string): Review | undefined => byPath.get(path);

export async function handleReview(review: Review, request: ApiRequest, user: User): Promise<Answer> {
  if (request.method !== 'POST') throw methodNotAllowed();
  const body = await readBody(request);
  const kind = { group: review.group, version: 'v1', kind: review.kind };
  const { object } = decodeBody(kind, body, headerOf(request, 'content-type'), 'Ignore');
  return { code: 201, body: { ...object, metadata: object.metadata ?? {}, status: review.status(user) } };
}
