import { expect, it } from 'vitest';
import { HERE, insideNetns } from './exec.ts';
import { describeExec } from './exec-contract.ts';

describeExec('this machine', () => HERE);

it('puts a network namespace before the command', () => {
  expect(insideNetns('n1').prefix).toEqual(['nsenter', '--net=/run/netns/n1', '--']);
});
