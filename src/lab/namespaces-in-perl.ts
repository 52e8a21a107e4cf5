/*
 * The probes' programs are Perl (see probe.ts), each one process for all hosts of a World: setns(2) takes a process from
 * one network namespace to another, and a socket stays in the one where it was made. Perl has no name for the call, so it
 * goes by its number: 308 on x86-64, 268 where the numbers are the generic ones (arm64, riscv64).
 */

/** `enter NAME`: the process goes into the network namespace of that name (see ip-netns(8)). */
export const ENTER = String.raw`
use POSIX ();
my $SETNS = (POSIX::uname())[4] eq 'x86_64' ? 308 : 268;
my (%namespaces, $inside);
sub enter {
  my ($name) = @_;
  return if defined $inside && $inside eq $name;
  if (!$namespaces{$name}) { open $namespaces{$name}, '<', "/run/netns/$name" or die "no namespace '$name': $!\n" }
  syscall($SETNS, fileno $namespaces{$name}, 0x40000000) == 0 or die "no way into '$name': $!\n";
  $inside = $name;
}
`;
