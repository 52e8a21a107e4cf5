import type { Exec } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import { ENTER } from './namespaces-in-perl.ts';

/**
 * No tool but the runner itself: waits until the namespace takes each of these addresses for its own. An address of IPv6 is
 * there at once and counts a little later, when a worker of the kernel has been at it (addrconf_dad_work).
 */
export const ARRIVAL = { file: 'arrival', args: [] } as const;

/**
 * No tool either: waits until whatever is up in the namespace carries packets. A link that has its carrier is told of it
 * by a worker of the kernel, which takes 200 at a time and leaves the rest for up to a second (net/core/link_watch.c); a
 * port of a bridge drops until then.
 */
export const CARRIAGE = { file: 'carriage', args: [], lines: [] } as const;

/** A tool to run in a network namespace, with what it reads. */
export interface Step {
  /** Below /run/netns. */
  readonly netns: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Without line ends; each line is one of the tool's own. */
  readonly lines: readonly string[];
}

/**
 * Runs the steps one after the other, all by one process that goes from namespace to namespace: to enter each of them by a
 * process of its own would take longer than most tools run. Throws {@link Fault} FE002 for the first that fails, with its
 * host and the line it did not take, or FE001 for a tool that is not there; what came before it stays done.
 */
export async function runSteps(exec: Exec, steps: readonly Step[]): Promise<void> {
  if (steps.length === 0) return;
  const { code, stdout, stderr } = await exec.run({
    file: 'perl',
    args: ['-e', `${ENTER}${RUNNER}`],
    stdin: Buffer.concat(steps.map(printStep)),
    accept: [0, 1],
    timeoutMs: 30_000 + 1000 * steps.length,
  });
  if (code === 0) return;
  const [, at, ending, said = ''] = /^(\d+) (\d+)\n([\s\S]*)$/.exec(stdout) ?? [];
  const step = steps[Number(at)];
  if (step === undefined)
    throw new Fault('FE002', `the steps ended early: ${stderr.trim()}`, 'see its message');
  if (ending === '127')
    throw new Fault('FE001', `${step.netns}: the tool '${step.file}' is missing`, `install ${step.file}`);
  throw failed(step.netns, step, said);
}

function printStep({ netns, file, args, lines }: Step): Buffer {
  const input = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const argv = [file, ...args];
  return Buffer.concat([Buffer.from(`${netns} ${argv.length} ${input.length}\n${argv.join('\n')}\n`), input]);
}

/** The {@link Fault} FE002 for a tool that did not take its lines. */
export function failed(
  where: string,
  { file, args, lines }: Pick<Step, 'file' | 'args' | 'lines'>,
  said: string,
): Fault {
  // So `ip -batch` and `bridge -batch` name the line.
  const number = /Command failed -:(\d+)/.exec(said)?.[1];
  const line = number === undefined ? args.join(' ') : lines[Number(number) - 1];
  const message = said.replace(/\n?Command failed -:\d+\s*/, '').trim();
  return new Fault('FE002', `${where}: '${file} ${line}' failed: ${message}`, 'see its message');
}

/**
 * perl -e RUNNER: for each step a line with the namespace, the number of words and the length of the input; the words, a line
 * each; the input. Ends at the first that fails: prints its number and exit code, and what it said. What sysctl(8) would write
 * it writes itself, for /proc/sys/net is that of the namespace the process is in; so is /proc/thread-self/net.
 */
const RUNNER = String.raw`
use strict; use IO::Handle;
$SIG{PIPE} = 'IGNORE';
my $number = 0;
sub fail { my ($code, $said) = @_; print "$number $code\n$said"; exit 1 }
sub set {
  my ($input, $may_lack) = @_;
  for (split /\n/, $input) {
    my ($key, $value) = /^(.*?) = (.*)$/ or fail(255, "no setting: $_");
    next if $may_lack && !-e "/proc/sys/$key";
    open my $file, '>', "/proc/sys/$key" or fail(255, "$key: $!");
    print $file $value; close $file or fail(255, "$key = $value: $!");
  }
}
sub arrive {
  my %missing = map { $_ => 1 } split /\n/, $_[0];
  my $until = time + 10;
  while (1) {
    open my $file, '<', '/proc/thread-self/net/ipv6_route' or fail(255, "ipv6_route: $!");
    while (<$file>) { my ($addr, $length, $flags) = (split)[0, 1, 8]; delete $missing{$addr} if $length eq '80' && $flags =~ /^8/ }
    last unless %missing;
    fail(255, 'after 10 s the addresses ' . join(' ', sort keys %missing) . ' are still not its own') if time > $until;
    select undef, undef, undef, 0.005;
  }
}
# The links that are up and carry nothing yet, by RTM_GETLINK (rtnetlink(7)): no queue, or a port whose state is not up.
sub silent {
  socket my $rtnl, 16, 3, 0 or fail(255, "rtnetlink: $!");
  send $rtnl, pack('L S S L L x16', 32, 18, 0x301, 1, 0), 0 or fail(255, "RTM_GETLINK: $!");
  my @silent;
  while (defined recv $rtnl, my $answer, 1 << 16, 0) {
    while (length $answer) {
      my ($length, $type) = unpack 'L S', $answer;
      return @silent if $type == 3;
      fail(255, 'RTM_GETLINK was refused') if $type != 16;
      my $flags = unpack 'x24 L', $answer;
      my %attribute;
      for (my $at = 32; $at < $length; ) {
        my ($size, $key) = unpack "x$at S S", $answer;
        $attribute{$key} = substr $answer, $at + 4, $size - 4;
        $at += $size + 3 & ~3;
      }
      my ($name, $queue, $bridge, $state) = @attribute{3, 6, 10, 16};
      my $waits = $flags & 1 << 16 ? $queue eq "noop\0" || $bridge && ord $state != 6 : $bridge;
      push @silent, unpack 'Z*', $name if $flags & 1 && $waits;
      substr $answer, 0, $length, '';
    }
  }
  fail(255, "RTM_GETLINK: $!");
}
sub carry {
  my $until = time + 10;
  while (my @silent = silent()) {
    fail(255, "after 10 s the links @silent still carry nothing") if time > $until;
    select undef, undef, undef, 0.005;
  }
}
while (my $head = <STDIN>) {
  my ($netns, $count, $length) = split ' ', $head;
  my @argv = map { my $word = <STDIN>; chomp $word; $word } 1 .. $count;
  my $input = '';
  read STDIN, $input, $length if $length;
  enter($netns);
  if ($argv[0] eq 'sysctl') { set($input, grep { $_ eq '-e' } @argv); $number++; next }
  if ($argv[0] eq 'arrival') { arrive($input); $number++; next }
  if ($argv[0] eq 'carriage') { carry(); $number++; next }
  pipe my $in, my $feed; pipe my $hear, my $out;
  my $pid = fork;
  die "fork: $!\n" unless defined $pid;
  if (!$pid) {
    $SIG{PIPE} = 'DEFAULT';
    close $feed; close $hear;
    open STDIN, '<&', $in; open STDERR, '>&', $out; open STDOUT, '>', '/dev/null';
    exec { $argv[0] } @argv or POSIX::_exit(127);
  }
  close $in; close $out;
  print $feed $input;
  close $feed;
  my $said = join '', <$hear>;
  waitpid $pid, 0;
  fail($? >> 8 || 1, $said) if $?;
  $number++;
}`;
