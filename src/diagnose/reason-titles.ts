import type { Reason } from '../trace/trace.ts';

/** What each reason of a walk means, for a person who has not met the word. */
export const REASON_TITLES: Readonly<Record<Reason, string>> = {
  answered: 'the client got its answer',
  noListener: 'nothing listens there',
  droppedByRule: 'a rule drops it',
  rejectedByRule: 'a rule refuses it',
  sourceCheck: 'the VPC drops what a machine sends from an address it does not own',
  noElasticAddress: 'there is no elastic address to leave or come by',
  martianSource: 'it came back to the machine whose address it bears as its source, which drops it',
  martianDestination: 'a loopback address came from outside',
  reversePathFilter: 'it came by another interface than its source would be answered by (rp_filter)',
  noRoute: 'no route leads there',
  blackholeRoute: 'the network knows no such address and drops it silently',
  unreachableRoute: 'a route says that it cannot be reached',
  broadcastDestination: 'a broadcast address takes no connection',
  notForwarding: 'it came to a machine that it was not for and that does not forward',
  timeToLiveExceeded: 'it went in circles until its time to live was over',
  noNeighbour: 'nobody on the link has the address of the next hop',
  noHairpin: 'a bridge sends nothing back by the port it came by',
  tunnelToItself: "the tunnel leads to an address that the tunnel's own host has bound",
  noForwardingEntry: 'the tunnel does not know where the next hop is',
  otherHost: 'the frame is for another machine',
  noLink: 'nothing is at the other end of the link',
  emptyVirtualServer: 'IPVS has the address and no endpoint to send to',
  replyNotTranslated:
    'the answer took a way past the machine that had rewritten the request, so nobody undid that',
  replySourceMismatch: 'the answer comes from another address than the client dialled',
  replyMisdelivered: 'the answer went to another machine than the client',
  handshakeInvalid:
    'the answer takes another way, and what follows it is invalid to a machine that saw one direction only',
  sourceNotLocal: "the address to send from is not the client's",
  loop: 'it goes in circles',
  unmodelled: 'something on the way is not modelled',
  tooManyBranches: 'there are more random choices on the way than are followed',
};
