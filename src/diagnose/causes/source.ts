import type { CauseEntry } from './cause.ts';

/** Sources and shares: the connection works, and the pod sees or bears something else than meant. */
export const SOURCE_CAUSES = {
  FL024: {
    name: 'sourceAddressLost',
    title: "reached, and the pod sees a node's address for the client's",
    explanation:
      "With policy Cluster the node masquerades what it forwards, so that the answer comes back to it; the client's address is gone.",
    shownBy: 'connection',
  },
  FL025: {
    name: 'unevenLocalBalancing',
    title: 'policy Local with different numbers of pods per node',
    explanation:
      'The balancer shares between nodes, each node between its own pods: a pod alone on its node gets several times the load of the others.',
    shownBy: 'connection',
  },
  FL026: {
    name: 'sourcePortExhaustion',
    title: 'few nodes masquerade for all clients: source ports run out',
    explanation:
      "Every connection through a node port takes one of the node's ports towards its endpoint; there are about 28,000 to 64,000 of them for one endpoint.",
    shownBy: 'connection',
  },
  FL027: {
    name: 'conntrackInsertionRace',
    title: 'two packets take one port before conntrack has either',
    explanation:
      'Connections that begin at the same time may choose the same tuple; the second insertion fails and its first packet is lost.',
    shownBy: 'manifest',
  },
  FL028: {
    name: 'affinitySeesOneClient',
    title: 'sessionAffinity ClientIP behind something that hides the client',
    explanation:
      'Affinity goes by the source address the node sees; behind a balancer or proxy that is one address, and one pod gets everything.',
    shownBy: 'connection',
  },
} as const satisfies Readonly<Record<string, CauseEntry>>;
