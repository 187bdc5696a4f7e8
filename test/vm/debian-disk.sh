#!/usr/bin/env bash
# Builds a bootable Debian disk in $1 and puts it, as qcow2, at $2: by Debian's own tools, as root, without loop devices.
set -euo pipefail
work=$1 target=$2
here=$PWD
cd "$work"
cat /etc/apt/apt.conf.d/* >apt.conf 2>/dev/null || true
mapfile -t sources < <(find /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \); ls /etc/apt/sources.list 2>/dev/null)
mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" \
  --include=systemd-sysv,linux-image-cloud-amd64,openssh-server,cloud-init,qemu-guest-agent,iproute2,udev,netbase,dbus,libpam-systemd \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --customize-hook='systemctl --root="$1" enable systemd-networkd' \
  bookworm root "${sources[@]}"
kernel=$(basename root/boot/vmlinuz-*) ramdisk=$(basename root/boot/initrd.img-*)
mkdir -p root/boot/grub
cat >root/boot/grub/grub.cfg <<GRUB
serial --unit=0 --speed=115200
terminal_output serial
echo "GRUB is here"
set timeout=0
menuentry debian {
  linux /boot/$kernel root=/dev/vda1 ro console=ttyS0 quiet
  initrd /boot/$ramdisk
}
GRUB
echo '/dev/vda1 / ext4 defaults 0 1' >root/etc/fstab
mke2fs -q -F -t ext4 -d root part.img 1400M
truncate -s 1500M disk.img
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q disk.img
dd if=part.img of=disk.img bs=1M seek=1 conv=notrunc,sparse status=none
grub-mkimage -O i386-pc -o core.img -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 linux normal serial terminal boot configfile minicmd echo
dd if=/usr/lib/grub/i386-pc/boot.img of=disk.img bs=446 count=1 conv=notrunc status=none
dd if=core.img of=disk.img bs=512 seek=1 conv=notrunc status=none
cd "$here"
qemu-img convert -O qcow2 "$work/disk.img" "$target"
