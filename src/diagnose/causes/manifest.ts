import type { CauseEntry } from './cause.ts';

/** What is wrong in the objects themselves, whoever connects. */
export const MANIFEST_CAUSES = {
  FL029: {
    name: 'nodePortOutOfRange',
    title: 'a nodePort outside the range',
    explanation:
      'The API server hands out and accepts node ports of --service-node-port-range only, 30000-32767 unless set.',
    shownBy: 'manifest',
  },
  FL030: {
    name: 'nodePortCollision',
    title: 'two Services, or a Service and a process, want one node port',
    explanation:
      'A node port belongs to one Service per protocol in the whole cluster; the rules also win over a process of the node that listens on it.',
    shownBy: 'connection',
  },
  FL031: {
    name: 'idAndAutocreate',
    title: "a balancer's id and autocreate together",
    explanation:
      'The reused balancer is then taken for one that the Service created, and is deleted with the Service.',
    shownBy: 'manifest',
  },
  FL032: {
    name: 'ipvsDeprecated',
    title: 'the proxy mode IPVS is on its way out',
    explanation:
      'kube-proxy warns of IPVS since 1.35, has it off by default in 1.40 and without it in 1.43 (KEP-5495).',
    shownBy: 'manifest',
  },
  FL033: {
    name: 'localWithoutNodePorts',
    title: 'policy Local where the balancer sends to pods directly',
    explanation:
      "On CCE Turbo the policy Local is possible for pods of the host network only; a balancer that sends to pods needs no policy to keep the client's address.",
    shownBy: 'manifest',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
