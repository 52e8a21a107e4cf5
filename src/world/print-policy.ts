import type { Prefix } from '../ip/ip.ts';
import type { ElasticAddresses, EntryMark, Masquerade, Policy, SourceCheck } from './policy.ts';

/**
 * The policy as input of `nft -f -`: tables of its own, whose names begin with `fairlead-`. Printed again over what
 * stands, it replaces it in the same transaction.
 */
export function printPolicy(policy: Policy): string {
  switch (policy.kind) {
    case 'source-check':
      return table('fairlead-source-check', sourceCheck(policy));
    case 'elastic-addresses':
      return table('fairlead-elastic', elasticAddresses(policy));
    case 'masquerade':
      return table('fairlead-masquerade', masquerade(policy));
    case 'entry-mark':
      return table('fairlead-entry-mark', entryMark(policy));
  }
}

/** Declared before it is deleted, so that deleting a table that is not there yet is no error. */
function table(name: string, body: readonly string[]): string {
  const lines = [`table ip ${name}`, `delete table ip ${name}`, `table ip ${name} {`, ...body, '}'];
  return `${lines.join('\n')}\n`;
}

/** A named set or map; nftables has no way to write an empty list of elements. */
function named(
  what: 'set' | 'map',
  name: string,
  type: string,
  elements: readonly string[],
  flags = '',
): string {
  const list = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} };`;
  return `  ${what} ${name} { type ${type};${flags}${list} }`;
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    `    type ${hook}; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}

/** Before connection tracking, so that what is dropped leaves no entry. */
function sourceCheck({ owned }: SourceCheck): string[] {
  const pairs = owned.flatMap(({ interface: name, prefixes }) =>
    prefixes.map((prefix) => `"${name}" . ${matchOf(prefix)}`),
  );
  return [
    named(
      'set',
      'checked',
      'ifname',
      owned.map((each) => `"${each.interface}"`),
    ),
    named('set', 'owned', 'ifname . ipv4_addr', pairs, ' flags interval;'),
    ...chain('prerouting', 'filter hook prerouting priority raw', [
      'iifname @checked iifname . ip saddr != @owned counter drop',
    ]),
  ];
}

function matchOf(prefix: Prefix): string {
  return prefix.isHost ? prefix.addr.text : prefix.text;
}

function elasticAddresses({ outside, pairs }: ElasticAddresses): string[] {
  const map = (name: string, from: 'elastic' | 'inside', to: 'elastic' | 'inside') =>
    named(
      'map',
      name,
      'ipv4_addr : ipv4_addr',
      pairs.map((pair) => `${pair[from]} : ${pair[to]}`),
    );
  return [
    named(
      'set',
      'elastic',
      'ipv4_addr',
      pairs.map((pair) => pair.elastic.text),
    ),
    named(
      'set',
      'inside',
      'ipv4_addr',
      pairs.map((pair) => pair.inside.text),
    ),
    map('inside-of', 'elastic', 'inside'),
    map('elastic-of', 'inside', 'elastic'),
    ...chain('arrive', 'filter hook prerouting priority raw', [
      `iifname "${outside}" ip daddr != @elastic counter drop`,
    ]),
    ...chain('prerouting', 'nat hook prerouting priority dstnat', ['dnat to ip daddr map @inside-of']),
    ...chain('leave', 'filter hook forward priority filter', [
      `oifname "${outside}" ip saddr != @inside counter drop`,
      `iifname != "${outside}" ct status dnat ct direction original ip saddr != @inside counter drop`,
    ]),
    ...chain('postrouting', 'nat hook postrouting priority srcnat', [
      `oifname "${outside}" snat to ip saddr map @elastic-of`,
      'ct status dnat snat to ip saddr map @elastic-of',
    ]),
  ];
}

function masquerade({ from, except }: Masquerade): string[] {
  const away = except.map((prefix) => prefix.text).join(', ');
  return chain('postrouting', 'nat hook postrouting priority srcnat', [
    `ip saddr ${from.text} ip daddr != { ${away} } counter masquerade`,
  ]);
}

/** After connection tracking (-200) and before the first address is rewritten (-100). */
function entryMark({ entry, pods, mark }: EntryMark): string[] {
  const bit = `0x${mark.toString(16)}`;
  return chain('prerouting', 'filter hook prerouting priority mangle', [
    `iifname "${entry}" ct state new fib daddr type local ct mark set ct mark or ${bit}`,
    `iifname "${pods}*" ct mark and ${bit} != 0 meta mark set meta mark or ${bit}`,
  ]);
}
