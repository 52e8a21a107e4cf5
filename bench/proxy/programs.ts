/**
 * perl -e FIRST_PACKETS MAC ADDRESS PORT: reads lines `N COUNT`, sends N TCP SYNs, each of another source to a random one of
 * COUNT addresses from ADDRESS on, and prints the nanoseconds that took. A packet socket on a veth runs the
 * whole way, up to the far end's hooks, before the send returns; so the time is that of the way and of the send.
 */
export const FIRST_PACKETS = String.raw`
use strict; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC); $| = 1;
my ($mac, $address, $port) = @ARGV;
socket(my $s, 17, 3, 0) or die "packet socket: $!\n";
my $index = pack('a16 i', 'eth0', 0);
ioctl($s, 0x8933, $index) or die "no eth0: $!\n";
bind($s, pack('S n i S C C a8', 17, 0x0800, (unpack 'a16 i', $index)[1], 0, 0, 6, '')) or die "bind: $!\n";
my $ethernet = pack('H12 H12 n', $mac =~ s/://gr, '020000000002', 0x0800);
my $first = unpack 'N', pack 'C4', split /\./, $address;
my $source = unpack 'N', pack 'C4', 20, 0, 0, 0;
my $port_of = 0;
sub checksum { my $sum = unpack '%32n*', $_[0]; $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16; return ~$sum & 0xffff }
sub frame {
  my ($count) = @_;
  if (++$port_of > 60000) { $port_of = 1; $source++ }
  my $pair = pack('N N', $source, $first + int rand $count);
  my @ip = (0x4500, 40, 0, 0x4000, 0x4006);
  my $ip = checksum(pack('n5', @ip) . pack('n', 0) . $pair);
  my @tcp = (1024 + $port_of, $port, 0, 1, 0, 0, 0x5002, 65535);
  my $tcp = checksum($pair . pack('n n', 6, 20) . pack('n8 n n', @tcp, 0, 0));
  return $ethernet . pack('n5 n', @ip, $ip) . $pair . pack('n8 n n', @tcp, $tcp, 0);
}
print "ready\n";
while (my $line = <STDIN>) {
  my ($n, $count) = split ' ', $line;
  my @frames = map { frame($count) } 1 .. $n;
  my $began = clock_gettime(CLOCK_MONOTONIC);
  for (@frames) { send($s, $_, 0) // die "send: $!\n" }
  printf "%d\n", (clock_gettime(CLOCK_MONOTONIC) - $began) * 1e9;
}
`;

/** perl -e SINK PORT: reads whatever comes to the port, one connection after another. */
export const SINK = String.raw`
use strict; use IO::Socket::INET; $| = 1;
my $listener = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $ARGV[0], Listen => 8, ReuseAddr => 1) or die "listen: $@";
print "ready\n";
while (my $c = $listener->accept) { 1 while sysread $c, my $bytes, 1 << 20; close $c }
`;

/** perl -e SOURCE ADDRESS PORT: writes for a second and prints the Gbit/s. */
export const SOURCE = String.raw`
use strict; use IO::Socket::INET; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 5) or die "connect: $@";
my ($bytes, $sent) = ("x" x (1 << 18), 0);
my $began = clock_gettime(CLOCK_MONOTONIC);
my $took = 0;
while ($took < 1) { $sent += syswrite($s, $bytes) // die "write: $!"; $took = clock_gettime(CLOCK_MONOTONIC) - $began }
printf "%.3f\n", $sent * 8 / $took / 1e9;
`;
