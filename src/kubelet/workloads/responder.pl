#!/usr/bin/perl
# The responder: a server that tells its client what it saw of it. It stands for images that are not pulled.
#
# Promises: on every given port it answers HTTP/1.x, raw TCP (a line for a line) and UDP (a datagram for a datagram) with
#   the pod, its namespace, node and address, the client's address and port as the server saw them, and the local
#   address and port: as text, or as JSON for `Accept: application/json` or `?format=json`. GET /healthz answers `ok`.
#   On SIGTERM it finishes what it has begun and goes on answering while anybody comes (rules that send connections
#   here take a moment to go); it ends with 0 after half a second of silence, after five seconds in any case.
# Refuses: request bodies beyond 64 KB, HTTP/2, TLS.
#
# Perl, because perl-base is on every Debian machine and a pod of it weighs some 6 MB; Node would weigh ten times that.
#
# Example: perl responder.pl --pod=web-0 --namespace=default --node=n1 --ip=172.16.0.4 80 8080
use strict;
use warnings;
use Errno qw(EINTR EAGAIN EWOULDBLOCK EAFNOSUPPORT EADDRNOTAVAIL);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use IO::Select;
use Socket qw(:DEFAULT :addrinfo IPPROTO_IPV6 IPV6_V6ONLY inet_ntop getnameinfo);

use constant { BODY_LIMIT => 65_536, QUIET_TICKS => 2, TICK_S => 0.25, DRAIN_S => 5, IDLE_S => 75 };

my %about = (pod => '', namespace => '', node => '', ip => '');
my @ports;
for (@ARGV) {
    if    (/^--(\w+)=(.*)$/ && exists $about{$1}) { $about{$1} = $2 }
    elsif (/^\d+$/)                               { push @ports, $_ }
    else                                          { die "responder: '$_' is no port and no option\n" }
}
@ports = (80) unless @ports;

my $stopping_since;
my $quiet = 0;
$SIG{TERM} = $SIG{INT} = sub { $stopping_since //= time; $quiet = 0 };
$SIG{PIPE} = 'IGNORE';
$| = 1;

my (%listener, %datagram, %client);
my $readable = IO::Select->new;
my $writable = IO::Select->new;
for my $port (@ports) {
    for my $family (AF_INET, AF_INET6) {
        open_port($family, $port, SOCK_STREAM, \%listener);
        open_port($family, $port, SOCK_DGRAM,  \%datagram);
    }
}
print "responder: pod $about{namespace}/$about{pod} answers HTTP, TCP and UDP on port @ports\n";

while (1) {
    my ($in, $out) = IO::Select->select($readable, $writable, undef, TICK_S);
    $quiet = $in || $out ? 0 : $quiet + 1;
    write_some($_) for @{ $out // [] };
    for my $socket (@{ $in // [] }) {
        my $id = fileno $socket // next;
        if    ($listener{$id}) { take_connection($socket) }
        elsif ($datagram{$id}) { answer_datagram($socket) }
        else                   { read_some($socket) }
    }
    my $now = time;
    for my $state (values %client) {
        drop($state) if $now - $state->{seen} > IDLE_S;
    }
    finish($now) if defined $stopping_since;
}

# Ends the process when nobody has come for a while, or when it has drained for long enough.
sub finish {
    my ($now) = @_;
    my $in_flight = grep { $_->{in} ne '' || $_->{out} ne '' } values %client;
    exit 0 if $quiet >= QUIET_TICKS && !$in_flight || $now - $stopping_since > DRAIN_S;
}

sub open_port {
    my ($family, $port, $type, $kept) = @_;
    my $name = $type == SOCK_STREAM ? 'tcp' : 'udp';
    my $socket;
    unless (socket $socket, $family, $type, 0) {
        return if $family == AF_INET6 && $! == EAFNOSUPPORT;
        die "responder: no $name socket: $!\n";
    }
    setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1;
    setsockopt $socket, IPPROTO_IPV6, IPV6_V6ONLY, 1 if $family == AF_INET6;
    my $local = $family == AF_INET
        ? pack_sockaddr_in($port, INADDR_ANY)
        : pack_sockaddr_in6($port, Socket::IN6ADDR_ANY);
    unless (bind $socket, $local) {
        return if $family == AF_INET6 && ($! == EADDRNOTAVAIL || $! == EAFNOSUPPORT);
        die "responder: port $port/$name: $!\n";
    }
    listen $socket, 1024 or die "responder: port $port/$name: $!\n" if $type == SOCK_STREAM;
    unblock($socket);
    $kept->{ fileno $socket } = $port;
    $readable->add($socket);
}

sub unblock { my ($socket) = @_; fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK }

sub host_and_port {
    my ($address) = @_;
    my (undef, $host, $port) = getnameinfo($address, NI_NUMERICHOST | NI_NUMERICSERV);
    return ($host, $port);
}

sub take_connection {
    my ($listening) = @_;
    while (my $peer = accept my $socket, $listening) {
        unblock($socket);
        my ($host, $port) = host_and_port($peer);
        my ($local_host, $local_port) = host_and_port(getsockname $socket);
        $client{ fileno $socket } = {
            socket => $socket, in => '', out => '', ending => 0, seen => time,
            seen_as => { client => $host, clientPort => $port, local => $local_host, localPort => $local_port },
        };
        $readable->add($socket);
    }
}

sub answer_datagram {
    my ($socket) = @_;
    my $from = recv $socket, my $data, BODY_LIMIT, 0;
    return unless defined $from;
    my ($host, $port) = host_and_port($from);
    my ($local_host, $local_port) = host_and_port(getsockname $socket);
    # A wildcard UDP socket does not know which of its addresses was meant; the pod has one.
    $local_host = $about{ip} if $local_host eq '0.0.0.0' || $local_host eq '::';
    my %seen = (client => $host, clientPort => $port, local => $local_host, localPort => $local_port);
    my $body = $data =~ /json/ ? json('udp', \%seen) : text('udp', \%seen);
    send $socket, $body, 0, $from;
}

sub read_some {
    my ($socket) = @_;
    my $state = $client{ fileno $socket } or return;
    my $got = sysread $socket, $state->{in}, BODY_LIMIT, length $state->{in};
    if (!defined $got) {
        drop($state) unless $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        return;
    }
    $state->{seen} = time;
    if ($got == 0) {
        $readable->remove($socket);
        $state->{ending} = 1;
        return $state->{out} eq '' ? drop($state) : undef;
    }
    1 while !$state->{ending} && answer($state);
    return drop($state) if length $state->{in} > 2 * BODY_LIMIT;
    write_some($socket) if $state->{out} ne '';
}

# Takes one request or line off the input and puts its answer on the output; false when there is none in full.
sub answer {
    my ($state) = @_;
    if ($state->{in} =~ /\A[A-Z]+ \S+ HTTP\/1\.[01]\r?\n/) { return answer_http($state) }
    return 0 unless $state->{in} =~ s/\A([^\n]*)\n//;
    $state->{out} .= $1 =~ /json/ ? json('tcp', $state->{seen_as}) : text('tcp', $state->{seen_as});
    return 1;
}

sub answer_http {
    my ($state) = @_;
    return 0 unless $state->{in} =~ /\A(.*?\r?\n)\r?\n/s;
    my ($head, $size) = ($1, $+[0]);
    my ($method, $target, $version) = $head =~ /\A([A-Z]+) (\S+) HTTP\/(1\.[01])/;
    my %header = map { /\A([^:]+):\s*(.*?)\s*\z/ ? (lc $1 => $2) : () } split /\r?\n/, $head;
    my $length = $header{'content-length'} // 0;
    if ($length !~ /\A\d+\z/ || $length > BODY_LIMIT || exists $header{'transfer-encoding'}) {
        $state->{ending} = 1;
        return reply($state, $method, '413 Content Too Large', 'text/plain', "bodies up to 64 KB with a length\n", 0);
    }
    return 0 if length $state->{in} < $size + $length;
    substr $state->{in}, 0, $size + $length, '';
    my $wants = lc($header{connection} // '');
    my $keep = !defined $stopping_since && ($version eq '1.1' ? $wants !~ /close/ : $wants =~ /keep-alive/);
    $state->{ending} = 1 unless $keep;
    print "$state->{seen_as}{client}:$state->{seen_as}{clientPort} $method $target\n" unless $target eq '/healthz';
    return reply($state, $method, '200 OK', 'text/plain', "ok\n", $keep) if $target =~ m{\A/healthz(\?|\z)};
    my $is_json = $target =~ /[?&]format=json(&|\z)/ || ($header{accept} // '') =~ m{application/json};
    my %seen = (%{ $state->{seen_as} }, method => $method, path => $target, host => $header{host} // '');
    return $is_json
        ? reply($state, $method, '200 OK', 'application/json', json('http', \%seen), $keep)
        : reply($state, $method, '200 OK', 'text/plain; charset=utf-8', text('http', \%seen), $keep);
}

sub reply {
    my ($state, $method, $status, $type, $body, $keep) = @_;
    my $length = length $body;
    my $connection = $keep ? 'keep-alive' : 'close';
    $state->{out} .= "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: $length\r\nConnection: $connection\r\n\r\n";
    $state->{out} .= $body unless $method eq 'HEAD';
    return 1;
}

sub text {
    my ($protocol, $seen) = @_;
    return "pod $about{namespace}/$about{pod} on node $about{node} ($about{ip})\n"
        . "client $seen->{client}:$seen->{clientPort}\nlocal $seen->{local}:$seen->{localPort}\nprotocol $protocol\n"
        . (exists $seen->{path} ? "request $seen->{method} $seen->{path}\nhost $seen->{host}\n" : '');
}

sub json {
    my ($protocol, $seen) = @_;
    my %all = (%about, %$seen, protocol => $protocol);
    my @pairs = map { /Port\z/ ? "\"$_\":$all{$_}" : "\"$_\":" . quoted($all{$_}) } sort keys %all;
    return '{' . join(',', @pairs) . "}\n";
}

sub quoted {
    my ($value) = @_;
    $value =~ s/([\\"])/\\$1/g;
    $value =~ s/([\x00-\x1f\x7f-\xff])/sprintf '\\u%04x', ord $1/ge;
    return "\"$value\"";
}

sub write_some {
    my ($socket) = @_;
    my $state = $client{ fileno $socket // return } or return;
    my $sent = syswrite $socket, $state->{out};
    if (defined $sent) { substr $state->{out}, 0, $sent, '' }
    elsif ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) { return drop($state) }
    if    ($state->{out} ne '') { $writable->add($socket) }
    elsif ($state->{ending})    { drop($state) }
    else                        { $writable->remove($socket) }
}

sub drop {
    my ($state) = @_;
    my $socket = $state->{socket};
    $readable->remove($socket);
    $writable->remove($socket);
    delete $client{ fileno $socket };
    close $socket;
}
