# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What hosts have told before, each by itself. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible.plugins.inventory import get_cache_plugin

from . import answer
from .answer import Answer, NoAnswer


def believed(name: str, raw: t.Any) -> Answer:
    """What can be believed of what a host has told, now or before."""
    if isinstance(raw, NoAnswer):
        raise raw
    return answer.answer_of(name, raw)


class Kept:
    """The answers in a plugin's cache, if it has one.

    Each is kept as a text: Ansible reads what is in its caches as its own, and with the right words
    in it a host's answer would come back as a template that is trusted.
    """

    def __init__(self, plugin: t.Any, key: str) -> None:
        self._plugin = plugin
        self._is_there = bool(plugin.get_option("cache"))
        self._key = key

    def keep(self, host: str, raw: t.Any) -> None:
        if self._is_there:
            self._plugin.cache[self._key_of(host)] = json.dumps(raw)

    def fresh(self, hosts: t.Iterable[str]) -> dict[str, Answer]:
        """Those that are young enough."""
        return self._read(self._plugin.cache, hosts) if self._is_there else {}

    def older(self, hosts: t.Iterable[str]) -> dict[str, Answer]:
        """Those of any age."""
        hosts = list(hosts)
        if not self._is_there or not hosts:
            return {}
        options = {
            "_uri": self._plugin.get_option("cache_connection"),
            "_prefix": self._plugin.get_option("cache_prefix"),
        }
        given = {name: value for name, value in options.items() if value is not None}
        kind = self._plugin.get_option("cache_plugin")
        return self._read(get_cache_plugin(kind, _timeout=0, **given), hosts)

    def _read(self, cache: t.Any, hosts: t.Iterable[str]) -> dict[str, Answer]:
        found = {}
        for host in hosts:
            text = cache.get(self._key_of(host))
            try:
                found[host] = believed(host, json.loads(text))
            except (NoAnswer, TypeError, ValueError):
                continue
        return found

    def _key_of(self, host: str) -> str:
        return f"{self._key}_{hashlib.sha256(host.encode()).hexdigest()[:24]}"
