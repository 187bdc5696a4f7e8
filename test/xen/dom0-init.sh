#!/bin/sh
# The first process of the dom0 that test/xen boots: its toolstack's daemons and an agent that the test speaks to, nothing else.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 pts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
# there is no udev, and libxl's scripts read and write by these names
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
for module in virtio_net virtio_console squashfs loop xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback xen-netback tun veth; do
  modprobe -q "$module"
done
mount -t xenfs xenfs /proc/xen
mkdir -p /run/xen /run/xenstored /run/lock /var/log/xen /var/lib/xen /opt/xeno
ip link set lo up
nic=$(ls /sys/class/net | grep -v -e lo -e vif -e tun | head -n 1)
ip link set "$nic" up
ip addr add 10.0.2.15/24 dev "$nic"
ip route add default via 10.0.2.2
mount -t squashfs -o ro /dev/vdb /opt/xeno 2>/dev/null
bin=/usr/lib/xen-4.17/bin
[ -x /usr/sbin/xenstored ] && store=/usr/sbin/xenstored || store=$bin/xenstored
$store --pid-file /run/xen/xenstored.pid
$bin/xen-init-dom0
if [ -x $bin/xenconsoled ]; then $bin/xenconsoled --pid-file=/run/xen/xenconsoled.pid; else xenconsoled --pid-file=/run/xen/xenconsoled.pid; fi
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ] && agent=/dev/$(basename "$port")
done
echo "dom0 is up"
qemu-ga -m virtio-serial -p "$agent" -t /run &
# the first process takes what nobody else waits for
while :; do wait; sleep 5; done
