import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cage, openCage } from './cage.ts';
import { batch } from './realise.ts';
import { CARRIAGE, runSteps } from './steps.ts';

describe('the wait for links to carry', () => {
  let cage: Cage;
  beforeAll(async () => {
    cage = await openCage();
    await batch(cage.exec(), 'ip', [
      'netns add node',
      'netns add pod',
      'link add name port netns node type veth peer name eth0 netns pod',
    ]);
    await batch(
      cage.exec(),
      'ip',
      [
        'link add bridge type bridge',
        'link set port master bridge',
        'link set bridge up',
        'link set port up',
      ],
      'node',
    );
  });
  afterAll(async () => await cage.close());

  const waits = () => runSteps(cage.exec(), [{ netns: 'node', ...CARRIAGE }]);
  const portState = async () => {
    const { stdout } = await cage
      .exec('node')
      .run({ file: 'ip', args: ['-d', '-o', 'link', 'show', 'dev', 'port'] });
    return /bridge_slave state (\w+)/.exec(stdout)?.[1];
  };

  it('lasts while the far end of a port is down, and ends when the port forwards', async () => {
    const order: string[] = [];
    const waiting = waits().then(() => order.push('carries'));
    // Another step takes longer to run than the look at a namespace whose links all carry.
    await runSteps(cage.exec(), [{ netns: 'pod', ...CARRIAGE }]);
    expect(await portState()).toBe('disabled');
    order.push('raised');
    await batch(cage.exec(), 'ip', ['link set eth0 up'], 'pod');
    await waiting;
    expect(order).toEqual(['raised', 'carries']);
    expect(await portState()).toBe('forwarding');
  });

  it('is over at once where nothing but the loopback is up', async () => {
    await batch(cage.exec(), 'ip', ['netns add empty']);
    await runSteps(cage.exec(), [{ netns: 'empty', ...CARRIAGE }]);
  });
});
