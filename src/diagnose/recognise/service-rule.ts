/** Whether a rule, as a walk quotes it, is kube-proxy's or ours: of its chains or its table. */
export const isServiceRule = (rule: string): boolean => /KUBE-|^nft ip6? (fairlead|kube-proxy) /.test(rule);
