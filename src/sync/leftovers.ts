import type { Exec } from '../exec/exec.ts';
import { errorFields, type Log } from '../fault/log.ts';
import { DEFAULT_CONFIG, type NodeFacts, type ProxyMode } from '../proxy/proxy.ts';
import { IptablesBackend } from './iptables-backend.ts';
import { IptablesTool } from './iptables-tool.ts';
import { IpvsBackend } from './ipvs-backend.ts';
import { IpvsTool } from './ipvs-tool.ts';
import { NftablesBackend } from './nftables-backend.ts';

/** Whom a backend is for that only clears away. */
export const NOBODY: NodeFacts = { name: '', ips: [], podCIDRs: [] };

/**
 * Takes away what another mode, or kube-proxy in it, has left on the node. kube-proxy does so before it begins; here the
 * rules of this mode stand first, so that no Service is without rules in between. What cannot be looked for, as its tool is
 * missing, is not there in all likelihood, and the log says so.
 */
export async function clearOtherModes(mode: ProxyMode, exec: Exec, log: Log): Promise<void> {
  for (const clear of [mode === 'nftables' ? clearIptables : clearNftables, clearIpvsBut(mode)]) {
    try {
      await clear(exec, log);
    } catch (error) {
      log.warn('what another mode may have left was not cleared away', errorFields(error));
    }
  }
}

type Clear = (exec: Exec, log: Log) => Promise<void>;

const clearNftables: Clear = (exec) => new NftablesBackend(exec, NOBODY, DEFAULT_CONFIG).cleanup();

/** The chains of the modes `iptables` and `ipvs`; asked for by one of them, as to list all rules can take long. */
const clearIptables: Clear = async (exec, log) => {
  const tool = new IptablesTool(exec);
  const has = await Promise.all(
    ([4, 6] as const).flatMap((family) =>
      ['KUBE-SERVICES', 'KUBE-MARK-MASQ'].map((chain) => tool.hasChain(family, 'nat', chain)),
    ),
  );
  if (!has.includes(true)) return;
  await new IptablesBackend(exec, NOBODY, DEFAULT_CONFIG).cleanup();
  log.info('cleared away the iptables rules of another mode');
};

/** To ask for virtual servers would load ip_vs where it is not used; kube-ipvs0 tells whether it is. */
const clearIpvsBut =
  (mode: ProxyMode): Clear =>
  async (exec, log) => {
    if (mode === 'ipvs' || !(await new IpvsTool(exec).hasInterface())) return;
    await new IpvsBackend(exec, NOBODY, DEFAULT_CONFIG).withdraw();
    log.info('cleared away the virtual servers of the mode ipvs');
  };
