#!/usr/bin/env bash
# Builds in $1 a Debian with Xen's own toolstack, and puts into $2 what boots it: xen, vmlinux, initrd and disk.qcow2; as root, without
# loop devices. The kernel is taken out of its compressed image: unpacking it takes most of a start where everything is emulated.
set -euo pipefail
work=$1 target=$2
here=$(cd "$(dirname "$0")" && pwd)
cd "$work"
cat /etc/apt/apt.conf.d/* >apt.conf 2>/dev/null || true
mapfile -t sources < <(find /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \); ls /etc/apt/sources.list 2>/dev/null)
# no RAM disk of the kernel's own, which nothing here boots; and a build that is cut off is begun anew, so nothing waits for the disk
[ -d root ] || INITRD=No mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
  --include=xen-utils-4.17,xen-hypervisor-4.17-amd64,xenstore-utils,grub-xen-host,linux-image-amd64,busybox-static,qemu-guest-agent \
  --include=iproute2,procps,kmod,qemu-utils,util-linux,dmsetup,nftables,socat,e2fsprogs,squashfs-tools,xz-utils,bzip2 \
  --include=qemu-system-xen,openssh-server \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  bookworm root "${sources[@]}"
mkdir -p "$target"
gunzip -c root/boot/xen-4.17-amd64.gz >"$target/xen"
version=$(basename root/lib/modules/*)
python3 - "root/boot/vmlinuz-$version" "$work/payload" <<'PY'
import struct, sys
image = open(sys.argv[1], "rb").read()
# Documentation/x86/boot: setup_sects, payload_offset, payload_length
at = (image[0x1F1] + 1) * 512 + struct.unpack_from("<I", image, 0x248)[0]
open(sys.argv[2], "wb").write(image[at : at + struct.unpack_from("<I", image, 0x24C)[0] - 4])
PY
case $(od -An -tx1 -N4 payload | tr -d ' ') in
  fd377a58) xz -dc payload ;;
  28b52ffd) zstd -qdc payload ;;
  1f8b*) gzip -dc payload ;;
  *) lz4 -dc payload ;;
esac >"$target/vmlinux"
# what guests boot: the same kernel, and its drivers for their disks and network cards
cp "root/boot/vmlinuz-$version" "$target/bzImage"
cp "root/lib/modules/$version/kernel/drivers/block/xen-blkfront.ko" "root/lib/modules/$version/kernel/drivers/net/xen-netfront.ko" "$target/"
rm -rf ram
mkdir -p ram/bin ram/modules
cp root/bin/busybox ram/bin/
for name in virtio_pci virtio_blk ext4; do
  modprobe -d "$work/root" -S "$version" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >order
while read -r file; do cp "$file" ram/modules/; echo "${file##*/}" >>ram/modules/order; done <order
cat >ram/init <<'INIT'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module; done
until [ -b /dev/vda ]; do /bin/busybox usleep 50000; done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox mount -o move /dev /new/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /new /sbin/xeno-dom0
INIT
chmod +x ram/init
(cd ram && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$target/initrd"
cp "$here/dom0-init.sh" root/sbin/xeno-dom0
chmod +x root/sbin/xeno-dom0
echo '/dev/vda / ext4 defaults 0 1' >root/etc/fstab
# device models run as this user's id and the number of their domain (xl.cfg(5), dm_restrict)
user=xen-qemuuser-range-base
echo "$user:x:131072:131072::/nonexistent:/usr/sbin/nologin" >>root/etc/passwd
echo "$user:x:131072:" >>root/etc/group
rm -rf root/boot/initrd* root/boot/*.dpkg-bak root/var/cache/apt/* root/var/lib/apt/lists/*
mke2fs -q -F -t ext4 -d root disk.img 4000M
qemu-img convert -O qcow2 disk.img "$target/disk.qcow2"
