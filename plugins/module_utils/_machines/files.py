# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the files of a machine shall say: its settings, and the drop-in of its unit.

Private to the collection. Pure.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._access import private_users
from .._settings import nspawn_file
from .._shares import wanted as shares_wanted
from .._users import wanted as users_wanted
from .seen import Seen, Snapshot
from .wanted import Wanted


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one machine."""

    snapshot: Snapshot
    wanted: Wanted

    @property
    def seen(self) -> Seen:
        return self.snapshot.of(self.wanted.name)

    @property
    def cloned(self) -> bool:
        """Its image is yet to be cloned, and then there are files of its template."""
        return bool(self.wanted.image) and not self.seen.image

    def settings(self) -> t.Optional[str]:
        """The text that the machine's settings shall have."""
        text, path = self._settings_after_clone(), nspawn_file.path_of(self.wanted.name)
        exactly = self.exact_settings()
        if exactly is not None:
            return nspawn_file.merge(text, exactly, exclusive=True, what=path)
        users = self._users()
        old = self.seen.record.binds if self.seen.record else ()
        if text is None and (users or self.wanted.shares or not self._counts_elsewhere):
            text = nspawn_file.merge(None, nspawn_file.DEFAULTS)
        if text is None:
            return None
        added = users.updated(self._shown_in(nspawn_file.parse(text, path), old))
        return nspawn_file.merge(text, added, what=path) if added else text

    def _users(self) -> nspawn_file.Settings:
        """Those who are declared; in place of those whom the file has from here."""
        users = users_wanted.settings_of(self.wanted.bound)
        if self.seen.record is None or not self.seen.record.users:
            return users
        nobody = nspawn_file.Settings({"Files": {"BindUser": (), "BindUserShell": ()}})
        return nobody.updated(users)

    def exact_settings(self) -> t.Optional[nspawn_file.Settings]:
        """All that the settings shall say; nothing when that was left open."""
        given = self.wanted.settings
        if given is None:
            return None
        users = users_wanted.settings_of(self.wanted.bound)
        exactly = nspawn_file.with_defaults(given).updated(users)
        return exactly.updated(self._shown_in(exactly))

    @property
    def private(self) -> bool:
        """Whether the machine will have users of its own."""
        if self.wanted.settings is not None:
            return self._is_private(nspawn_file.with_defaults(self.wanted.settings))
        text = self._settings_after_clone()
        if text is None:
            return self._is_private(nspawn_file.DEFAULTS)
        return self._is_private(nspawn_file.parse(text, nspawn_file.path_of(self.wanted.name)))

    def binds(self) -> tuple[str, ...]:
        """The lines of its settings that are there for what it is shown of the host."""
        shares = self.wanted.shares
        return shares_wanted.lines_of(shares, private=self.private) if shares else ()

    def _shown_in(
        self, settings: nspawn_file.Settings, old: t.Collection[str] = ()
    ) -> nspawn_file.Settings:
        shares = self.wanted.shares
        if not (shares or old):
            return nspawn_file.Settings({})
        return shares_wanted.added(settings, shares, private=self._is_private(settings), old=old)

    def _is_private(self, settings: nspawn_file.Settings) -> bool:
        facts = private_users.Facts(
            settings=nspawn_file.render(settings),
            command=private_users.command_in(self.unit()),
            image_uid=private_users.FIRST_PRIVATE,
        )
        return private_users.why_shared(facts) is None

    @property
    def _counts_elsewhere(self) -> bool:
        """Not for a machine of ours: a clone may have brought that file along."""
        made = self.cloned or (self.seen.record is not None and self.seen.record.made)
        return self.seen.settings_elsewhere and not made

    def _settings_after_clone(self) -> t.Optional[str]:
        if self.seen.settings is None and self.cloned:
            return self.snapshot.image_settings.get(self.wanted.image or "")
        return self.seen.settings

    def unit(self) -> t.Optional[str]:
        """The text that the drop-in of its unit shall have."""
        return self.seen.unit if self.wanted.unit is None else self.wanted.unit or None

    def zone(self) -> t.Optional[str]:
        """The network zone that the machine is in once it runs."""
        return zone_in(self.settings())


def zone_in(settings: t.Optional[str]) -> t.Optional[str]:
    return nspawn_file.parse(settings).last("Network", "Zone") if settings else None
