import { describe, expect, it } from 'vitest';
import { Addr } from '../ip/ip.ts';
import { parseIptablesSave } from '../netfilter/netfilter.ts';
import { CLIENT, line, SERVER } from './line-fixture.ts';
import { execute } from './trace.ts';

const SERVICE = Addr.parse('10.247.0.10');

/** What kube-proxy makes of a Service with two endpoints. */
const RULES = parseIptablesSave(
  `*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.247.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A ! -s 10.0.0.0/16 -j KUBE-MARK-MASQ
-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1
-A KUBE-SVC-A -j KUBE-SEP-2
-A KUBE-SEP-1 -s 10.0.1.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.0.1.2:8080
-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.0.2.2:8080
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
`,
  4,
);

describe('execute', () => {
  const world = line({ middle: { packetFilter: { iptables: [RULES] } } });
  const at = (destination: Addr) =>
    execute(world, {
      host: 'middle',
      hook: 'prerouting',
      protocol: 'TCP',
      source: CLIENT,
      sourcePort: 40000,
      destination,
      destinationPort: 80,
      input: 'left',
    });

  it('says which rules did what, once for each way the dice may fall', () => {
    const [hairpin, other] = at(SERVICE);
    expect(hairpin).toMatchObject({
      probability: 0.5,
      ruling: 'accept',
      destinationPort: 8080,
      mark: 0x4000,
    });
    expect(hairpin?.destination.text).toBe('10.0.1.2');
    expect(other).toMatchObject({ probability: 0.5, mark: 0 });
    expect(
      other?.steps.map(({ rule, changes }) => [rule, changes.map(({ from, to }) => `${from} -> ${to}`)]),
    ).toEqual([
      ['iptables -t nat -A PREROUTING -j KUBE-SERVICES', []],
      ['iptables -t nat -A KUBE-SERVICES -d 10.247.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A', []],
      ['iptables -t nat -A KUBE-SVC-A -j KUBE-SEP-2', []],
      [
        'iptables -t nat -A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.0.2.2:8080',
        ['10.247.0.10:80 -> 10.0.2.2:8080'],
      ],
    ]);
  });

  it('leaves alone what no rule is about', () => {
    const [one, ...others] = at(SERVER);
    expect(others).toEqual([]);
    expect(one?.destination).toBe(SERVER);
  });
});
