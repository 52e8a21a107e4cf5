import { type Addr, Endpoint } from '../../ip/ip.ts';
import type { IptablesRule, IptablesTarget } from '../../netfilter/netfilter.ts';
import { applyDestinationNat, applyMasquerade, applyNotrack, applyRedirect, applySourceNat } from '../nat.ts';
import { type Passage, type Refusal, Unmodelled } from '../passage.ts';

/** Where the packet goes on after a target; `undefined`: with the next rule. */
export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export type Act = (passage: Passage) => Verdict | undefined;

const ACCEPT: Verdict = { kind: 'accept' };
const DROP: Verdict = { kind: 'drop' };
const RETURN: Verdict = { kind: 'return' };

export function actOf(target: IptablesTarget): Act {
  switch (target.kind) {
    case 'AcceptPacket':
      return () => ACCEPT;
    case 'DropPacket':
      return () => DROP;
    case 'ReturnToCaller':
      return () => RETURN;
    case 'JumpTo': {
      const verdict: Verdict = { kind: 'jump', chain: target.chain };
      return () => verdict;
    }
    case 'GotoChain': {
      const verdict: Verdict = { kind: 'goto', chain: target.chain };
      return () => verdict;
    }
    case 'RejectWith':
      return reject(target.with);
    case 'DnatTo':
      return (passage) => {
        const { addr, port } = endOf(target.to, passage.packet.destinationPort);
        applyDestinationNat(passage, addr, port);
        return ACCEPT;
      };
    case 'SnatTo':
      return (passage) => {
        const { addr, port } = endOf(target.to, passage.packet.sourcePort);
        applySourceNat(passage, addr, port);
        return ACCEPT;
      };
    case 'MasqueradeTarget':
      return (passage) => (applyMasquerade(passage) === 'drop' ? DROP : ACCEPT);
    case 'SetMark':
      return (passage) => {
        passage.setMark(((passage.packet.mark & ~target.mask) ^ target.value) >>> 0);
        return undefined;
      };
    case 'UnmodelledTarget':
      return foreign(target.words);
  }
}

function endOf(to: Endpoint | Addr, port: number): { addr: Addr; port: number } {
  return to instanceof Endpoint ? { addr: to.addr, port: to.port } : { addr: to, port };
}

/** The names of REJECT's answers by what they tell the sender. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  'tcp-reset': 'reset',
  'icmp-port-unreachable': 'port',
  'icmp6-port-unreachable': 'port',
  'icmp-host-unreachable': 'host',
  'icmp6-addr-unreachable': 'host',
  'icmp-net-unreachable': 'net',
  'icmp6-no-route': 'net',
  'icmp-host-prohibited': 'prohibited',
  'icmp-net-prohibited': 'prohibited',
  'icmp-admin-prohibited': 'prohibited',
  'icmp6-adm-prohibited': 'prohibited',
};

function reject(how: string): Act {
  const refusal = REFUSALS[how];
  return (passage) => {
    if (refusal === undefined) throw new Unmodelled(`REJECT --reject-with ${how} is not modelled`);
    passage.refusal = refusal;
    passage.reason = 'rejectedByRule';
    return DROP;
  };
}

/** Targets that only tell somebody, or change what no rule, route or process here looks at. */
const TELLING: ReadonlySet<string> = new Set(['LOG', 'NFLOG', 'TRACE', 'AUDIT', 'TCPMSS', 'CHECKSUM']);

/** Whether it makes no difference if the rule holds: then what it asks need not be modelled. */
export function onlyTells({ matches, target }: IptablesRule): boolean {
  if (target?.kind !== 'UnmodelledTarget' || !TELLING.has(target.words[0] ?? '')) return false;
  return !matches.some(({ kind }) => kind === 'Recent');
}

function foreign(words: readonly string[]): Act {
  const [name = ''] = words;
  if (TELLING.has(name)) return () => undefined;
  const act = FOREIGN[name]?.(words.slice(1));
  if (act !== undefined) return act;
  return () => {
    throw new Unmodelled(`the target '${words.join(' ')}' is not modelled`);
  };
}

/** Targets that no controller here writes; each gives undefined for a form that is not modelled. */
const FOREIGN: Readonly<Record<string, (words: readonly string[]) => Act | undefined>> = {
  CONNMARK: connmark,
  REDIRECT: redirect,
  // A zone, a helper or a timeout for the connection is another matter.
  CT: (words) => (words.join(' ') === '--notrack' ? notrack : undefined),
  NOTRACK: () => notrack,
};

const notrack: Act = (passage) => {
  applyNotrack(passage);
  return undefined;
};

function redirect(words: readonly string[]): Act | undefined {
  const at = words.indexOf('--to-ports');
  const port = at < 0 ? undefined : Number(words[at + 1]);
  // Of a range it may be any.
  if (Number.isNaN(port)) return undefined;
  return (passage) =>
    applyRedirect(passage, port ?? passage.packet.destinationPort) === 'drop' ? DROP : ACCEPT;
}

/** `--restore-mark`, `--save-mark` and `--set-xmark` as xt_connmark.c computes them. */
function connmark(words: readonly string[]): Act | undefined {
  const maskOf = (option: string, unless: number) => {
    const at = words.indexOf(option);
    return at < 0 ? unless : Number(words[at + 1]);
  };
  const nfmask = maskOf('--nfmask', 0xffffffff);
  const ctmask = maskOf('--ctmask', 0xffffffff);
  if (words.includes('--restore-mark')) {
    return (passage) => {
      const { mark, connection } = passage.packet;
      if (connection !== undefined) passage.setMark(((mark & ~nfmask) ^ (connection.mark & ctmask)) >>> 0);
      return undefined;
    };
  }
  if (words.includes('--save-mark')) {
    return (passage) => {
      const { mark, connection } = passage.packet;
      if (connection !== undefined) {
        passage.setConnectionMark(((connection.mark & ~ctmask) ^ (mark & nfmask)) >>> 0);
      }
      return undefined;
    };
  }
  if (words[0] !== '--set-xmark' || words[1] === undefined) return undefined;
  const [value = 0, mask = 0xffffffff] = words[1].split('/').map(Number);
  return (passage) => {
    const { connection } = passage.packet;
    if (connection !== undefined) passage.setConnectionMark(((connection.mark & ~mask) ^ value) >>> 0);
    return undefined;
  };
}
