# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An image that does not run, here or on another host. Private to the collection."""

from __future__ import annotations

import typing as t

from .over_ssh import OverSshConnection

if t.TYPE_CHECKING:
    from . import entry, making


class OfflineConnection(OverSshConnection):
    """A container around each run's tasks, with nothing else of the system in it."""

    what = "the image"

    @property
    def target(self) -> str:
        return str(self.get_option("image"))

    @property
    def owned(self) -> bool:
        return False

    def host(self) -> str:
        kind = "ephemeral " if self.get_option("ephemeral") else ""
        return kind + (super().host() if self.get_option("ssh") else "")

    def how(self) -> str:
        return super().how() if self.get_option("ssh") else ""

    def way(self) -> making.Way:
        if self.get_option("ssh"):
            return super().way()
        from . import here, hosts, making

        host = hosts.Host(here.local(self._given), hosts.become_of(self))
        return making.Way(host, self._target(), self._patience)

    def _target(self) -> entry.Target:
        from . import making

        return making.image(self.target, ephemeral=bool(self.get_option("ephemeral")))
