#!/usr/bin/perl
# Joins standard input and output to a socket that Node cannot reach: one in another network namespace (run behind nsenter),
# or conmon's attach socket, which is of type SOCK_SEQPACKET.
#
# Promises: bytes both ways, each direction with its own end (a half-closed connection stays open); ends with 0 when the
#   other side has closed, with 1 and one line on standard error when it cannot be reached.
# Refuses: everything else; it is the part of socat that is needed, on the perl-base every Debian machine has.
#
# Example: perl connect.pl tcp 127.0.0.1 80
#          perl connect.pl seqpacket /run/fairlead/kubelet-n1/sockets/ID/attach
use strict;
use warnings;
use Socket;

$SIG{PIPE} = 'IGNORE';
my ($kind, @to) = @ARGV;
my $address = $kind eq 'tcp' ? pack_sockaddr_in($to[1], inet_aton($to[0])) : pack_sockaddr_un($to[0]);
# conmon reads packets into a buffer of its own and loses what does not fit.
my $chunk = $kind eq 'tcp' ? 65_536 : 8_192;
my ($family, $type) = $kind eq 'tcp' ? (AF_INET, SOCK_STREAM) : (AF_UNIX, SOCK_SEQPACKET);
socket my $socket, $family, $type, 0 or die "$!\n";
connect $socket, $address or die "$!\n";

# Two processes that may each wait: one loop that waits for both could wait for a writer that waits for it.
my $sender = fork // die "$!\n";
if ($sender == 0) {
    copy(\*STDIN, $socket);
    shutdown $socket, SHUT_WR;
    exit 0;
}
$SIG{TERM} = sub { kill 'KILL', $sender; exit 0 };
copy($socket, \*STDOUT);
kill 'KILL', $sender;
exit 0;

sub copy {
    my ($from, $to) = @_;
    while (sysread $from, my $bytes, $chunk) {
        my $at = 0;
        while ($at < length $bytes) {
            my $sent = syswrite $to, $bytes, length($bytes) - $at, $at;
            return unless defined $sent;
            $at += $sent;
        }
    }
}
