import type { CauseEntry } from './cause.ts';

/** Endpoints and admission: there is nothing to send to, or the client may not. */
export const ENDPOINT_CAUSES = {
  FL020: {
    name: 'noReadyEndpoints',
    title: 'the Service has no ready endpoint',
    explanation: 'Pods match the selector and none of them is ready, so kube-proxy refuses connections.',
    shownBy: 'connection',
  },
  FL021: {
    name: 'selectorMatchesNothing',
    title: 'the selector matches no pod',
    explanation:
      'No pod of the namespace bears the labels of spec.selector, so the Service has no endpoints.',
    shownBy: 'connection',
  },
  FL022: {
    name: 'wrongTargetPort',
    title: 'the targetPort is none that the pod listens on',
    explanation:
      'The packet reaches the pod and no process there listens on that port, so its kernel refuses.',
    shownBy: 'connection',
  },
  FL023: {
    name: 'sourceRanges',
    title: 'loadBalancerSourceRanges does not list the client',
    explanation:
      "Where the cluster captures the balancer's address it applies the ranges itself and drops whoever is not in them.",
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
