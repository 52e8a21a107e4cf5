import type { Prefix } from '../ip/ip.ts';
import type { IpvsOptions } from '../proxy/proxy.ts';

/** What kube-proxy's configuration says below `ipvs`, by its names. */
export interface IpvsSettings extends IpvsOptions {
  /** Virtual servers at these addresses are never taken away. */
  readonly excludeCIDRs?: readonly Prefix[];
  /** Addresses of kube-ipvs0 are announced on no link, so that a balancer which answers ARP for them is believed. */
  readonly strictARP?: boolean;
  /** How long a silent connection is remembered, in seconds; 0 stays as the kernel has it. */
  readonly timeouts?: {
    readonly tcp: number;
    /** After a FIN. */
    readonly tcpFin: number;
    readonly udp: number;
  };
}

/** kernel: Documentation/networking/ip-sysctl.rst, arp_ignore and arp_announce. */
export const STRICT_ARP: Readonly<Record<string, number>> = {
  'net.ipv4.conf.all.arp_ignore': 1,
  'net.ipv4.conf.all.arp_announce': 2,
};
