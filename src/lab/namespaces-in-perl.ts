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

/** Socket addresses of either family, by the text of the address: `family`, `packed` and, back again, `unpacked`. */
export const SOCKETS = `
use Socket qw(:DEFAULT IPPROTO_IPV6 IPV6_V6ONLY inet_pton inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6 sockaddr_family);
sub family { $_[0] =~ /:/ ? AF_INET6 : AF_INET }
sub packed { my ($addr, $port) = @_; $addr =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $addr)) : pack_sockaddr_in($port, inet_aton($addr)) }
sub unpacked {
  my $family = sockaddr_family($_[0]);
  my ($port, $addr) = $family == AF_INET6 ? unpack_sockaddr_in6($_[0]) : unpack_sockaddr_in($_[0]);
  (inet_ntop($family, $addr), $port);
}
`;
