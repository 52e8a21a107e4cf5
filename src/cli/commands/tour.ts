import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLUSTER_DOMAIN, type Cluster } from '../../cluster/cluster.ts';
import { dnsServiceAddress } from '../../world/profile.ts';
import { CLUSTER_IP, DEPLOYMENT, HEADLESS, NODE_PORT } from '../tour/manifests.ts';
import { type Finding, Stage } from '../tour/stage.ts';
import { cleanStage, STEPS } from '../tour/steps.ts';
import { ended, howToUse, startSaying } from './up.ts';

export interface TourOptions {
  readonly once?: boolean;
  readonly data: string;
  readonly profile?: string;
  readonly proxyMode?: string;
  readonly port: number;
  readonly kubectl: string;
}

const NODES = 3;

/** Plays the tour and stays up; with `once` in every asked combination of network and proxy mode, then tears down. */
export async function tour(options: TourOptions): Promise<void> {
  if (!options.once) return tourAndStay(options);
  const networks = options.profile === undefined ? ['tunnel', 'vpc'] : [options.profile];
  const modes = options.proxyMode === undefined ? ['nftables', 'iptables'] : [options.proxyMode];
  const findings: Finding[] = [];
  for (const profile of networks) {
    for (const proxyMode of modes) findings.push(...(await tourOnce(options, profile, proxyMode)));
  }
  sum(findings);
}

async function tourAndStay(options: TourOptions): Promise<void> {
  const profile = options.profile ?? 'tunnel';
  const proxyMode = options.proxyMode ?? 'nftables';
  const cluster = await startSaying({ ...options, nodes: NODES, profile, proxyMode });
  try {
    sum(await play(cluster, options.kubectl));
    print(`${howToUse(cluster)}\n\nThe cluster stays up; ctrl-C ends it.\n`);
    await ended();
  } finally {
    await cluster.stop();
  }
}

/** In a data folder of its own: nothing of an earlier run, and nothing left. */
async function tourOnce(options: TourOptions, profile: string, proxyMode: string): Promise<Finding[]> {
  print(`\n══ network ${profile}, proxy ${proxyMode}\n`);
  const data = mkdtempSync(join(tmpdir(), 'fairlead-tour-'));
  try {
    const cluster = await startSaying({ data, nodes: NODES, profile, proxyMode, port: 0 });
    try {
      return await play(cluster, options.kubectl);
    } finally {
      await cluster.stop();
    }
  } finally {
    rmSync(data, { recursive: true });
  }
}

async function play(cluster: Cluster, kubectl: string): Promise<Finding[]> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-manifests-'));
  try {
    writeFileSync(join(folder, 'nginx-deployment.yaml'), DEPLOYMENT);
    writeFileSync(join(folder, 'nginx-svc.yaml'), CLUSTER_IP);
    writeFileSync(join(folder, 'nodeport.yaml'), NODE_PORT);
    writeFileSync(join(folder, 'headless.yaml'), HEADLESS);
    print(`$ cd ${folder}; export KUBECONFIG=${cluster.kubeconfig}\n`);
    const stage = new Stage({ kubectl, kubeconfig: cluster.kubeconfig, folder, print });
    await cleanStage(stage);
    const { profile } = cluster.world;
    const scene = {
      stage,
      serviceRange: profile.serviceCIDR,
      clusterDns: dnsServiceAddress(profile).text,
      clusterDomain: CLUSTER_DOMAIN,
      nodes: cluster.nodes.map(({ name, address, elastic }) => ({
        name,
        ip: address.text,
        publicIP: elastic?.text ?? '',
      })),
      outside: cluster.exec('external'),
    };
    for (const [title, step] of STEPS) {
      stage.title(title);
      await step(scene);
    }
    return stage.findings;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Says how many checks held; the exit code is 2 unless all did. */
function sum(findings: readonly Finding[]): void {
  const failed = findings.filter(({ held }) => !held);
  print(`\n${findings.length - failed.length} of ${findings.length} checks held\n`);
  for (const { what } of failed) print(`  ✗ ${what}\n`);
  if (failed.length > 0) process.exitCode = 2;
}

const print = (text: string): void => void process.stdout.write(text);
