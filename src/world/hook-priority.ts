/** When a chain is called at its hook, by the names of nft(8). */
export const RAW = -300;
export const MANGLE = -150;
export const DSTNAT = -100;
/** After kube-proxy's rules: the plugin portmap appends its jump, kube-proxy prepends. */
export const HOST_PORTS = -99;
export const FILTER = 0;
export const SRCNAT = 100;
