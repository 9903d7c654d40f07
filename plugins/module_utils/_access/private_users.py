# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether root of a machine is somebody else than root of its host.

Private to the collection. Pure. What is read of a machine's unit and settings here is what
systemd-nspawn makes of it.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

from .._core import ini
from .._core.lines import lines_of
from .._core.plan import Failure
from .._settings import nspawn_file

# Users of the host are below, whoever they are.
FIRST_PRIVATE = 65536
# From here on PrivateUsers=managed is known; before, it is ignored.
MANAGED_SINCE = 261

_TRUE = frozenset(("1", "yes", "y", "true", "t", "on"))
_FALSE = frozenset(("0", "no", "n", "false", "f", "off"))
# The short options of systemd-nspawn that take a value: what follows them in a word is that.
_WITH_VALUE = "DuLMSZipE"

TEMPLATE_COMMAND = ("systemd-nspawn", "-U", "--settings=override")


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that decides whose root a machine's root is."""

    settings: t.Optional[str] = None
    """The text of the .nspawn file that counts."""
    trusted: bool = True
    """It lies where systemd heeds all of it."""
    command: tuple[str, ...] = TEMPLATE_COMMAND
    """What its unit runs."""
    image_uid: t.Optional[int] = None
    """The user who owns the root directory of its image; nothing when that cannot be seen."""
    uid_map: t.Optional[str] = None
    """Of the machine that runs under this name, as the kernel tells it."""
    version: int = MANAGED_SINCE


def why_shared(facts: Facts) -> t.Optional[str]:
    """Why the root of a machine is the host's, or may be; nothing when its users are private."""
    if facts.uid_map is not None:
        running = _of_map(facts.uid_map)
        if running:
            return running
    if not facts.command or facts.command[0].rpartition("/")[2] != "systemd-nspawn":
        runs = facts.command[0] if facts.command else "nothing"
        return f"its unit runs {runs} instead of systemd-nspawn, so its users cannot be known"
    try:
        in_file = _in_file(facts)
    except Failure as failure:
        return f"its settings cannot be read: {failure.message}"
    flags = _Flags.of(facts.command)
    mode = flags.of_users
    if in_file is not None and flags.settings_count(facts.trusted) and not flags.beat(mode):
        mode = in_file
    return _of_mode(mode or _Mode("its unit's command has no -U", shared=True), facts)


@dataclasses.dataclass(frozen=True)
class _Mode:
    """One way to say what a machine's users are."""

    said: str
    shared: bool = False
    of_image: bool = False


def _of_mode(mode: _Mode, facts: Facts) -> t.Optional[str]:
    if not mode.of_image:
        return mode.said if mode.shared else None
    if facts.image_uid is None:
        return f"{mode.said} takes the users of its image, which cannot be seen from outside"
    if facts.image_uid < FIRST_PRIVATE:
        return f"{mode.said} takes the users of its image, which are the host's"
    return None


def _of_map(text: str) -> t.Optional[str]:
    """Who root inside is outside, by the lines of a uid_map."""
    for line in lines_of(text):
        inside, outside, _count = (int(number) for number in line.split())
        if inside == 0:
            if outside >= FIRST_PRIVATE:
                return None
            who = "root" if outside == 0 else f"user {outside}"
            return f"it runs, and its root is {who} of the host"
    return None


def command_in(drop_in: t.Optional[str]) -> tuple[str, ...]:
    """What a unit with this drop-in runs; the template's command when it does not say."""
    commands = ini.parse(drop_in or "", "unit").values_of("Service", "ExecStart")
    given = [command for command in commands if command]
    if not given:
        return TEMPLATE_COMMAND
    try:
        return tuple(shlex.split(given[-1].lstrip("@-:+!")))
    except ValueError:
        return ()


# --- the settings ---------------------------------------------------------------------------


def _in_file(facts: Facts) -> t.Optional[_Mode]:
    """What the settings say; nothing when they leave it to the unit's command."""
    settings = nspawn_file.parse(facts.settings or "")
    found = None
    for value in settings.values_of("Exec", "PrivateUsers"):
        boolean = value.lower()
        said = f"[Exec] PrivateUsers={value}"
        if boolean in _FALSE:
            found = _Mode(said, shared=True)
        elif boolean in _TRUE:
            found = _Mode(said, of_image=True)
        else:
            found = _mode_of(value, said, facts.version) or found
    if found is None:
        for key in ("PrivateUsersOwnership", "PrivateUsersChown"):
            if settings.values_of("Files", key):
                said = f"[Files] {key}= without [Exec] PrivateUsers= turns private users off"
                return _Mode(said, shared=True)
    return found


def _mode_of(value: str, said: str, version: int) -> t.Optional[_Mode]:
    """Whose users a word or a range means; nothing for what systemd-nspawn ignores."""
    if value == "pick" or (value == "managed" and version >= MANAGED_SINCE):
        return _Mode(said)
    if value == "identity":
        return _Mode(said, shared=True)
    if re.fullmatch(r"[0-9]+(?::[0-9]+)?", value):
        return _Mode(said, shared=int(value.partition(":")[0]) < FIRST_PRIVATE)
    return None


# --- the command ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Flags:
    """What of a command of systemd-nspawn is about users and settings."""

    users: tuple[_Mode, ...] = ()
    settings: str = "yes"

    @classmethod
    def of(cls, command: t.Sequence[str]) -> _Flags:
        """Each option wherever it stands: what is private by one and not by another is not."""
        users = []
        settings = "yes"
        for word, following in zip(command[1:], [*command[2:], ""]):
            said = f"its unit's command has {word}"
            name, equals, value = word.partition("=")
            if name == "--settings":
                settings = value if equals else following
            elif name == "--private-users":
                users.append(_of_flag(value if equals else None, said))
            elif re.match(f"-[^-U{_WITH_VALUE}]*U", word):
                users.append(_Mode(said))
        return cls(tuple(users), settings.lower())

    @property
    def of_users(self) -> t.Optional[_Mode]:
        """The worst of what is said, as it is not known here which word is an option's value."""
        return next((one for one in self.users if one.shared or one.of_image), None) or (
            self.users[-1] if self.users else None
        )

    def settings_count(self, trusted: bool) -> bool:
        return self.settings == "trusted" or (trusted and self.settings not in _FALSE)

    def beat(self, mode: t.Optional[_Mode]) -> bool:
        """Whether an option counts more than the settings."""
        return mode is not None and self.settings != "override"


def _of_flag(value: t.Optional[str], said: str) -> _Mode:
    # Unlike in the file, a number is never a boolean here.
    if value is None or (value.lower() in _TRUE and not value.isdigit()):
        return _Mode(said, of_image=True)
    if value.lower() in _FALSE and not value.isdigit():
        return _Mode(said, shared=True)
    # What is ignored in a file ends systemd-nspawn here; a newer one may know the word.
    return _mode_of(value, said, MANAGED_SINCE) or _Mode(said, shared=True)
