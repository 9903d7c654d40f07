#!/bin/sh
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# watch.sh DIRECTORY PREFIX, the prefix backwards: begins to watch, and shows a word to everybody.
set -eu
date +@%s > "$1/began"
setsid setpriv --reuid=65534 --regid=65534 --clear-groups \
    nice timeout 5400 python3 /usr/local/lib/it-planted-watch.py "$2" \
    > "$1/seen" 2> "$1/errors" < /dev/null &
echo $! > "$1/watcher"
word=$(echo "$2" | rev)9999
echo "$word" > /var/tmp/it-planted-control
chmod 0644 /var/tmp/it-planted-control
logger "$word"
systemd-run --quiet --unit=run-it-planted --description="$word" sleep 8
systemd-run --quiet --machine=it-planted --description="$word" true
sh -c 'sleep 6; true' "$word"
