#!/bin/sh
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# look.sh DIRECTORY PREFIX, the prefix backwards: says where which words are, a line for each.
set -u
prefix=$(echo "$2" | rev)
began=$(cat "$1/began")
if ! kill "$(cat "$1/watcher")"; then
    echo "the watcher has ended before the modules did" >&2
    exit 1
fi
cat "$1/seen"
journalctl --sync
find_in() { grep -aoE "${prefix}[0-9]{4}" | sort -u | sed "s/^/$1 /"; }
journalctl --quiet --since="$began" --output=export --all | find_in journal
journalctl --quiet --machine=it-planted --output=export --all | find_in "journal of a machine"
# The pattern comes from a file that only root can open: grep's arguments are open to all.
echo "${prefix}[0-9]{4}" > "$1/pattern"
setpriv --reuid=65534 --regid=65534 --clear-groups \
    grep -raohsE -D skip --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -f - / \
    < "$1/pattern" | sort -u | sed 's/^/files /'
true
