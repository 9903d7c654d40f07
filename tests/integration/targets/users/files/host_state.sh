#!/bin/sh
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# All of a host that a call about users could change: trees, files, units, records, people, machines.
set -u
cd / || exit 1
find /etc /home /root /srv -xdev -printf '%p %y %m %U %G %s %T@ %l\n' 2>/dev/null | sort
find /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/systemd /etc/polkit-1 /var/lib/nspawn.machined \
  -xdev -type f -exec sha256sum {} + 2>/dev/null | sort
find /var/lib/machines -mindepth 1 -maxdepth 1 -printf '%p %y %m %i\n' | sort
find /var/lib/machines/*/etc /var/lib/machines/*/var/lib/systemd -xdev -printf '%p %y %m %U %G %s %i %l\n' | sort
find /var/lib/nspawn.machined /var/lib/systemd/linger -printf '%p %y %m\n' 2>/dev/null | sort
systemctl list-units --all --plain --no-legend 'systemd-nspawn@*' | awk '{ print $1, $3 }'
systemctl list-unit-files --plain --no-legend 'systemd-nspawn@*'
machinectl list --no-legend | awk '{ print $1 }'
getent passwd
getent group
