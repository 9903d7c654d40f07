# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is wanted of machines, from the arguments of the modules.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t
from signal import SIGKILL

from .._access import wanted as access_wanted
from .._core.plan import Failure
from .._settings import nspawn_file
from .._shares import wanted as shares_wanted
from .._systemd import machined, signals, unit_text
from .._users import wanted as users_wanted


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One machine as it shall be. Nothing where it shall be left as it is."""

    name: str
    state: t.Optional[str] = None
    """started, stopped, restarted, paused, killed, absent"""
    image: t.Optional[str] = None
    """Cloned from it when the machine has no image."""
    declared: bool = False
    """By the module machines: its settings, its unit and its record are looked after."""
    settings: t.Optional[nspawn_file.Settings] = None
    bound: users_wanted.Bound = users_wanted.NOBODY
    """The users of the host who shall be users of it."""
    shares: tuple[shares_wanted.Share, ...] = ()
    """Directories, files and sockets of the host that it is shown."""
    unit: t.Optional[str] = None
    """The text of the drop-in; empty: none."""
    enabled: t.Optional[bool] = None
    owner: t.Optional[str] = None
    grant: t.Optional[access_wanted.Grant] = None
    """What its owners may do with it."""
    shared_users: bool = False
    """It may have owners although its root is the host's."""
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    restart: str = "never"
    """never, when_needed, always"""
    wait: str = "booted"
    """booted, registered, none"""
    wait_timeout: float = 120
    force: bool = False
    signal: int = SIGKILL
    """For the state killed, and who gets it: all, leader."""
    whom: str = "all"

    @property
    def users(self) -> tuple[str, ...]:
        """Those who are declared as users, and not in the settings."""
        return self.bound.declared


# --- from arguments -------------------------------------------------------------------------


def wanted_of(entry: t.Mapping[str, t.Any], common: t.Mapping[str, t.Any]) -> Wanted:
    """What one entry of C(machines) wants, checked as far as it can be without looking."""
    name = entry["name"]
    machined.check_name(name)
    if entry["image"] is not None:
        machined.check_image_name(entry["image"])
    here = f"machine {name}"
    settings = _settings_of(entry["settings"], f"{here}, settings")
    return Wanted(
        name=name,
        state=entry["state"],
        image=entry["image"],
        declared=True,
        settings=settings,
        bound=_bound_in(entry, settings),
        shares=() if entry["state"] == "absent" else shares_wanted.shares_in(entry, here),
        unit=None if entry["unit"] is None else unit_text.render(entry["unit"], f"{here}, unit"),
        enabled=entry["enabled"],
        owner=entry["owner"],
        grant=None if entry["state"] == "absent" else access_wanted.grant_in(entry),
        shared_users=bool(entry["owner_shared_users"]),
        variables=entry["vars"] or {},
        restart=entry["restart"] or common["restart"],
        wait=entry["wait"] or common["wait"],
        wait_timeout=_timeout(entry["wait_timeout"], common["wait_timeout"]),
        force=common["force"],
    )


def _timeout(given: t.Optional[float], common: float) -> float:
    timeout = common if given is None else given
    if timeout <= 0:
        raise Failure(f"wait_timeout: {timeout:g} is too short; expected seconds above 0")
    return timeout


def _settings_of(
    raw: t.Optional[t.Mapping[str, t.Any]], what: str
) -> t.Optional[nspawn_file.Settings]:
    if raw is None:
        return None
    settings = nspawn_file.normalise(raw, what)
    nspawn_file.check(settings, machined.systemd_version(), what)
    return settings


def _bound_in(
    entry: t.Mapping[str, t.Any], settings: t.Optional[nspawn_file.Settings]
) -> users_wanted.Bound:
    """Nobody is a user of a machine that goes, whoever that was."""
    if entry["state"] == "absent":
        return users_wanted.Bound(entry["name"])
    return users_wanted.bound_in(entry, settings)


def named(names: t.Sequence[str], parameters: t.Mapping[str, t.Any]) -> list[Wanted]:
    """What the arguments of C(machine) want of machines that are there."""
    for name in names:
        machined.check_name(name)
    number = signals.number_of(parameters["signal"])
    return [
        Wanted(
            name=name,
            state=parameters["state"],
            enabled=parameters["enabled"],
            wait=parameters["wait"],
            wait_timeout=_timeout(None, parameters["wait_timeout"]),
            force=parameters["force"],
            signal=number,
            whom=parameters["kill_whom"],
        )
        for name in names
    ]


def check_all(wanted: t.Sequence[Wanted]) -> None:
    """Refuse what contradicts itself, whatever is on the host."""
    names = [one.name for one in wanted]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(f"{', '.join(doubled)}: wanted more than once; give each machine one entry")
