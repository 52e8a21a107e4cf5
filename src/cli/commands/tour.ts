import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLUSTER_DOMAIN, type Cluster } from '../../cluster/cluster.ts';
import { dnsServiceAddress } from '../../world/profile.ts';
import { EXIT } from '../exit.ts';
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
    for (const proxyMode of modes)
      findings.push(...(await interruptible(tourOnce(options, profile, proxyMode))));
  }
  sum(findings);
}

/** Until the work settles, ctrl-C ends this process at once; the cage needs no care, it ends with its opener. */
async function interruptible<T>(work: Promise<T>): Promise<T> {
  const leave = () => process.exit(EXIT.interrupted);
  process.on('SIGINT', leave).on('SIGTERM', leave);
  try {
    return await work;
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave);
  }
}

async function tourAndStay(options: TourOptions): Promise<void> {
  const profile = options.profile ?? 'tunnel';
  const proxyMode = options.proxyMode ?? 'nftables';
  const cluster = await interruptible(startSaying({ ...options, nodes: NODES, profile, proxyMode }));
  try {
    sum(await interruptible(play(cluster, options.kubectl)));
    const asked = ended();
    print(`${howToUse(cluster)}\n\nThe cluster stays up; ctrl-C ends it.\n`);
    if ((await asked) === 'SIGINT') process.exitCode = EXIT.interrupted;
  } finally {
    await cluster.stop();
  }
}

/** In a data folder of its own: nothing of an earlier run, and nothing left. */
async function tourOnce(options: TourOptions, profile: string, proxyMode: string): Promise<Finding[]> {
  print(`\n══ network ${profile}, proxy ${proxyMode}\n`);
  const data = passingFolder('fairlead-tour-');
  try {
    const cluster = await startSaying({ data, nodes: NODES, profile, proxyMode, port: 0 });
    try {
      return await play(cluster, options.kubectl);
    } finally {
      await cluster.stop();
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

async function play(cluster: Cluster, kubectl: string): Promise<Finding[]> {
  const folder = passingFolder('fairlead-manifests-');
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
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A temporary folder that also an interrupted tour leaves nothing of. The cage needs no such care: it ends with us. */
function passingFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Says how many checks held; the exit code is 2 unless all did. */
function sum(findings: readonly Finding[]): void {
  const failed = findings.filter(({ held }) => !held);
  print(`\n${findings.length - failed.length} of ${findings.length} checks held\n`);
  for (const { what } of failed) print(`  ✗ ${what}\n`);
  if (failed.length > 0) process.exitCode = 2;
}

const print = (text: string): void => void process.stdout.write(text);
