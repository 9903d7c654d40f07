# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# Given the template and the names of machines: clone, settings, enable, start what is not so yet.
set -eu
template=$1
shift
new='' enable='' start=''
for machine; do
    if ! [ -e "/var/lib/machines/$machine" ]; then
        machinectl clone "$template" "$machine" >/dev/null
        new="$new $machine"
    fi
    if ! [ -e "/etc/systemd/nspawn/$machine.nspawn" ]; then
        mkdir -p /etc/systemd/nspawn
        printf '[Exec]\nNotifyReady=yes\n' > "/etc/systemd/nspawn/$machine.nspawn"
    fi
    [ -e "/etc/systemd/system/machines.target.wants/systemd-nspawn@$machine.service" ] ||
        enable="$enable $machine"
    systemctl --quiet is-active "systemd-nspawn@$machine.service" || start="$start $machine"
done
# shellcheck disable=SC2086
[ -z "$enable" ] || machinectl --quiet enable $enable
# shellcheck disable=SC2086
[ -z "$start" ] || machinectl start $start
