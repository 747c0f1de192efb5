#!/bin/busybox sh
# First process of the guest: the machine's files read-only over 9p, a layer in memory on top, then the test's own script.
# The kernel's command line names the folder of its modules as guest.modules=….
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do
  $busybox insmod "/modules/$module" || echo "guest: insmod $module failed"
done </modules/order
for word in $($busybox cat /proc/cmdline); do
  case $word in guest.modules=*) modules=${word#guest.modules=} ;; esac
done
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=1048576 host /below || $busybox poweroff -f
$busybox mount -t tmpfs tmpfs /above
$busybox mkdir -p /above/upper /above/work
$busybox mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work,xino=off overlay /root || $busybox poweroff -f
for folder in proc sys dev; do $busybox mount --move /$folder /root/$folder; done
$busybox mount -t tmpfs tmpfs /root/run
$busybox mkdir -p /root/dev/pts /root/dev/shm /root/mnt/guest
$busybox mount -t devpts devpts /root/dev/pts
$busybox mount -t tmpfs tmpfs /root/dev/shm
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 exchange /root/mnt/guest
release=$($busybox uname -r)
$busybox mkdir -p "/root/lib/modules/$release"
$busybox mount --bind "/below$modules" "/root/lib/modules/$release"
cd /root || exit 1
exec $busybox switch_root /root /bin/sh /mnt/guest/run.sh
