#!/usr/bin/env bash
# Builds a Debian with the programs that containers have as their first process, and puts its files, as a tar, at $2; $1 is for scratch.
set -euo pipefail
work=$1 target=$2
cat /etc/apt/apt.conf.d/* >"$work/apt.conf" 2>/dev/null || true
mapfile -t sources < <(find /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \); ls /etc/apt/sources.list 2>/dev/null)
mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" --include=systemd-sysv,s6,tini,dumb-init,runit,busybox \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
  bookworm "$work/inits.tar" "${sources[@]}"
mv "$work/inits.tar" "$target"
