#!/bin/sh
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Images whose small files are no files, or say what nobody expects. Run on a test host.
set -eu
cd /var/lib/machines

for name in good fifo device sparse link etc names bytes; do
    mkdir -p "h-odd-$name/etc" "h-odd-$name/usr/lib"
    printf 'ID=host\nPRETTY_NAME="%s"\n' "$name" >"h-odd-$name/usr/lib/os-release"
done
ln -s ../usr/lib/os-release h-odd-good/etc/os-release
for file in os-release machine-id hostname machine-info; do
    mkfifo "h-odd-fifo/etc/$file"
done
mknod h-odd-device/etc/os-release c 1 5
truncate -s 3T h-odd-sparse/etc/os-release 2>/dev/null || truncate -s 3G h-odd-sparse/etc/os-release
printf 'ID=planted-host\n' >/etc/h-odd-secret
ln -s ../../../../../etc/h-odd-secret h-odd-link/etc/os-release
rmdir h-odd-etc/etc
ln -s /etc h-odd-etc/etc
printf 'ID=a\033[2J\nPRETTY_NAME=b\n' >h-odd-names/etc/os-release
printf 'ID=a\nPRETTY_NAME=\377\n' >h-odd-bytes/etc/os-release

# The same inside of disks; the label is hostile too.
for name in fifo names; do
    truncate -s 16M "h-odd-raw-$name.raw"
    mkfs.ext4 -q -L "$(printf '\033[2J')" -d "h-odd-$name" "h-odd-raw-$name.raw"
done
