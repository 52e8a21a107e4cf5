import { hostOf } from '../../world/world.ts';
import { readableRanges } from '../ranges.ts';
import { type Recogniser, recognised } from './recognised.ts';
import { namesText, serviceText } from './situation.ts';

/** The dialled Service has nothing to send to, on any node. */
export const withoutEndpoints: Recogniser = (situation) => {
  const { dialled } = situation;
  if (dialled === undefined || situation.hasReadyEndpoints) return undefined;
  const { pods, ready } = situation.selected;
  const selector = Object.entries(dialled.service.spec?.selector ?? {});
  if (pods.length === 0 && selector.length > 0) {
    const labels = selector.map(([key, value]) => `${key}=${value}`).join(',');
    return recognised('FL021', `no pod bears ${labels}, which ${serviceText(dialled)} selects`);
  }
  if (ready > 0) {
    return recognised(
      'FL022',
      `no pod of ${serviceText(dialled)} declares the port named ${dialled.port.targetPort}`,
    );
  }
  return recognised('FL020', `none of the ${pods.length} pods of ${serviceText(dialled)} is ready`);
};

/** A pod was reached, and nothing listens there. */
export const refusedByPod: Recogniser = ({ cluster, request, dialled, outcome }) => {
  const { endpoint, reason } = outcome;
  if (reason !== 'noListener' || dialled === undefined || endpoint === undefined) return undefined;
  const bound = hostOf(cluster.world, endpoint.host).listeners.find(
    ({ port, protocol, addr }) =>
      port === endpoint.port && protocol === request.protocol && addr !== undefined,
  );
  const what =
    bound === undefined
      ? `nothing there listens on port ${endpoint.port}`
      : `listens on port ${endpoint.port} at ${bound.addr} alone`;
  return recognised('FL022', `${endpoint.host} got it and ${what}`);
};

export const outsideSourceRanges: Recogniser = (situation) => {
  const { dialled, deciding, client } = situation;
  const ranges = dialled?.service.spec?.loadBalancerSourceRanges ?? [];
  if (dialled?.by !== 'loadBalancer' || ranges.length === 0 || deciding?.direction !== 'forward')
    return undefined;
  const prefixes = readableRanges(ranges);
  const sources = client?.interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr)) ?? [];
  const allowed = sources.some((addr) => prefixes.some((range) => range.contains(addr)));
  const byRanges = /source-ranges|KUBE-(PROXY-FIREWALL|FW-|SOURCE-RANGES|LOAD-BALANCER)/.test(deciding.rule);
  if (allowed && !byRanges) return undefined;
  return recognised(
    'FL023',
    `${serviceText(dialled)} admits ${namesText(ranges)}, and the client comes as ${namesText(sources.map(String))}`,
  );
};
