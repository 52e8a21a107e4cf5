/** How the console says that the kernel runs; a hanging accelerator never gets there. */
export const ALIVE = 'fairlead: alive';

/**
 * The first process. The root becomes the host's, read-only, under a file system in memory that takes what is written.
 * switch_root, not chroot: entering a mount namespace (setns) leads to that namespace's root, which a chroot leaves as the
 * archive we boot from. The second half runs in the host's shell, which as the first process reaps orphans while it waits;
 * when the agent ends, for whatever reason, the machine does.
 */
export const INIT = `#!/bin/busybox sh
B=/bin/busybox
echo "${ALIVE}"
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
for m in $($B cat /modules/order); do $B insmod /modules/$m.ko || echo "fairlead: the module $m is refused"; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host || echo "fairlead: no files"
$B mount -t tmpfs tmpfs /over
$B mkdir /over/upper /over/work
$B mount -t overlay root -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work /root || echo "fairlead: no root"
for d in proc sys dev; do $B mount --move /$d /root/$d; done
$B mount -t tmpfs -o mode=0755 tmpfs /root/run
$B mkdir /root/run/netns /root/run/fairlead /root/dev/pts
$B mv /agent /root/run/agent
$B mount -t devpts -o mode=0620,ptmxmode=0666 devpts /root/dev/pts
exec $B switch_root /root /bin/sh -c '${stage2()}'
`;

function stage2(): string {
  return [
    'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8',
    'cd /',
    'ulimit -n 65536',
    'ip link set dev lo up',
    'perl /run/agent',
    'echo "fairlead: the agent ended with $?"',
    'echo o > /proc/sysrq-trigger',
    'sleep 60',
  ].join('\n');
}

/**
 * The kernel's command line. The kernel's time-keeping checks and security modules cost boot time and are of no use here; nor
 * does it help to clear memory before it is needed.
 */
export const KERNEL_COMMAND_LINE = [
  ...['console=ttyS0', 'quiet', 'panic=-1', 'oops=panic', 'nowatchdog', '8250.nr_uarts=1'],
  ...['mitigations=off', 'nokaslr', 'norandmaps', 'no_timer_check', 'init_on_alloc=0', 'random.trust_cpu=on'],
  ...['audit=0', 'apparmor=0', 'selinux=0'],
].join(' ');
