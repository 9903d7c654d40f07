# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The settings of machines: C(.nspawn) files read, checked, merged and written.

Private to the collection. systemd's own words are passed through; this file knows what is a
word of systemd's and what is a typing error. All of it is pure but C(locate).
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import typing as t

from .._core import ini, masks
from .._core.ini import Place, Settings, Values
from .._core.plan import Failure
from . import table

DIRECTORY = "/etc/systemd/nspawn"
RUNTIME_DIRECTORY = "/run/systemd/nspawn"

__all__ = ["Settings", "Values"]

# Machines that the collection makes say when they have booted, and have users of their own.
# Without NotifyReady "started" means only that the first process runs, and a stop that follows
# too soon is lost. Private users are paired with their ownership, because 252 and 257 otherwise
# change the owners of the image's files on disk.
DEFAULTS = Settings(
    {
        "Exec": {"NotifyReady": ["yes"], "PrivateUsers": ["pick"]},
        "Files": {"PrivateUsersOwnership": ["auto"]},
    }
)

_TRUE = frozenset(("1", "yes", "y", "true", "t", "on"))
_FALSE = frozenset(("0", "no", "n", "false", "f", "off"))


def path_of(name: str) -> str:
    return f"{DIRECTORY}/{name}.nspawn"


@dataclasses.dataclass(frozen=True)
class Found:
    """The file that systemd reads for a machine. There is only ever one: nothing is merged."""

    path: str
    trusted: bool


def locate(name: str, image: t.Optional[str] = None) -> t.Optional[Found]:
    """The file that counts for a machine; O(image) is the path of its image."""
    for directory in (DIRECTORY, RUNTIME_DIRECTORY):
        path = f"{directory}/{name}.nspawn"
        if os.path.lexists(path):
            return Found(path, True)
    if image is not None:
        path = os.path.join(os.path.dirname(image), f"{name}.nspawn")
        if os.path.lexists(path):
            return Found(path, False)
    return None


# --- from YAML ------------------------------------------------------------------------------


def normalise(raw: t.Mapping[str, t.Any], what: str = "settings") -> Settings:
    """Settings from what was written in YAML.

    True and false become C(yes) and C(no), a list becomes one assignment for each item, null
    means that the key is not to be there. C(Environment) may also be a mapping.
    """
    return ini.normalise(raw, what, _quoted)


def _quoted(word: str, what: str) -> str:
    """One word for systemd-nspawn, which takes backslashes as they stand in these lists."""
    if word and not re.search(r"[\s\"']", word):
        return word
    for quote in ('"', "'"):
        if quote not in word:
            return f"{quote}{word}{quote}"
    raise Failure(f"{what}: a word of it has both kinds of quotes, which systemd cannot read here")


def with_defaults(settings: Settings) -> Settings:
    """What was wished, and the defaults for what was left open (see C(DEFAULTS))."""
    defaults = {section: dict(keys) for section, keys in DEFAULTS.items()}
    users = settings.last("Exec", "PrivateUsers")
    if users is not None and users != "pick":
        del defaults["Files"]["PrivateUsersOwnership"]
    if settings.values_of("Files", "PrivateUsersChown"):
        del defaults["Files"]["PrivateUsersOwnership"]
    return Settings(defaults).updated(settings)


# --- text -----------------------------------------------------------------------------------


def parse(text: str, what: str = "the .nspawn file") -> Settings:
    """What systemd reads in the text of a file, in the spelling of the file."""
    return ini.parse(text, what)


def render(settings: Settings) -> str:
    """The text of a file that says exactly this. Refuses what would not come back as given."""
    _check_safe(settings, "settings")
    return ini.render(settings)


def merge(
    existing: t.Optional[str],
    wanted: Settings,
    exclusive: bool = False,
    what: str = "the .nspawn file",
) -> str:
    """The text changed so that it says what is wanted; comments, order and spelling stay.

    A key without values goes. With O(exclusive) every key goes that is not wanted.
    """
    _check_safe(wanted, what)
    return ini.merge(existing or "", wanted, exclusive=exclusive, same=same, what=what)


def _check_safe(settings: Settings, what: str) -> None:
    for (section, key), values in settings.places():
        for value in values or ("",):
            ini.check_safe(section, key, value, what)


def same(place: Place, found: Values, wanted: Values) -> bool:
    """Whether two lists of values of a key mean the same to systemd."""
    return _meaning(place, found) == _meaning(place, wanted)


def _meaning(place: Place, values: Values) -> tuple[str, ...]:
    """Values reduced to what systemd makes of them, to compare two spellings."""
    key = table.TABLE.get(place[0], {}).get(place[1])
    if key is None or not values:
        return values
    kind = key.kind
    if kind.boolean:
        values = tuple(_boolean(value) for value in values)
    if kind.first_stays:
        return values
    if not kind.several:
        return values[-1:]
    if (
        kind.words
        and "" not in values
        and not any(quote in value for value in values for quote in "\"'\\")
    ):
        return tuple(word for value in values for word in value.split())
    return values


def _boolean(value: str) -> str:
    lower = value.lower()
    return "yes" if lower in _TRUE else "no" if lower in _FALSE else value


# --- check ----------------------------------------------------------------------------------


def check(settings: Settings, systemd_version: int = table.NEWEST, what: str = "settings") -> None:
    """Refuse what this systemd would ignore, misread or stumble over; name all of it at once."""
    found: list[str] = []
    for (section, key), values in settings.places():
        found += _problems(section, key, values, systemd_version)
    if found:
        raise Failure(f"{what}: {'; '.join(found)}", problems=found)


def _problems(section: str, key: str, values: Values, version: int) -> t.Iterator[str]:
    if section.startswith("X-") or (section in table.TABLE and key.startswith("X-")):
        return  # systemd leaves these to others
    if section not in table.TABLE:
        yield f"there is no section [{section}]; expected {_sections_hint(section, key)}"
        return
    known = table.TABLE[section].get(key)
    if known is None:
        yield f"there is no key {key}= in [{section}]; {_key_hint(section, key)}"
        return
    if not values:
        return
    if version < known.since:
        yield _too_new(f"[{section}] {key}=", known.since, version)
        return
    if len(values) > 1 and not known.kind.several:
        shown = ", ".join(masks.masked(key, values))
        yield f"[{section}] {key}= takes one value, found {len(values)}: {shown}"
        return
    for value in values:
        fault = _fault(known.kind, value)
        if fault:
            (shown,) = masks.masked(key, [value])
            yield f"[{section}] {key}={shown}: {fault}"
        for pattern, newer in table.NEWER_VALUES.get((section, key), {}).items():
            if version < newer and re.fullmatch(pattern, value):
                yield _too_new(f"[{section}] {key}={value}", newer, version)


def _too_new(what: str, needed: int, version: int) -> str:
    return f"{what} needs systemd {needed} or later, this host has {version}"


def _sections_hint(section: str, key: str) -> str:
    owners = [name for name, keys in table.TABLE.items() if key in keys]
    near = owners[0] if owners else ini.nearest(section, table.TABLE)
    return f"[{near}]" if near else ", ".join(f"[{name}]" for name in table.TABLE)


def _key_hint(section: str, key: str) -> str:
    owners = [name for name, keys in table.TABLE.items() if key in keys]
    if owners:
        return f"it belongs into [{owners[0]}]"
    here = ini.nearest(key, table.TABLE[section])
    if here:
        return f"the nearest is {here}="
    for other, keys in table.TABLE.items():
        there = ini.nearest(key, keys)
        if there:
            return f"the nearest is [{other}] {there}="
    return f"it has {', '.join(sorted(table.TABLE[section]))}"


# --- values ---------------------------------------------------------------------------------


def _fault(kind: table.Kind, value: str) -> t.Optional[str]:
    """What is wrong with a value, if anything. An empty assignment only resets."""
    if value == "":
        return None
    if kind.boolean and value.lower() in _TRUE | _FALSE:
        return None
    if value in kind.choices:
        return None
    rule = _RULES.get(kind)
    if rule is None:
        return f"expected {kind.name}" if kind.boolean else None
    return rule(value) or None


def _expects(kind: table.Kind, matches: t.Callable[[str], bool]) -> t.Callable[[str], str]:
    return lambda value: "" if matches(value) else f"expected {kind.name}"


def _pattern(kind: table.Kind, pattern: str) -> t.Callable[[str], str]:
    compiled = re.compile(pattern)
    return _expects(kind, lambda value: compiled.fullmatch(value) is not None)


def _is_path(value: str) -> bool:
    return value.startswith("/")


def _is_source(value: str) -> bool:
    return value.startswith(("/", "+/"))


def _split(value: str) -> list[str]:
    """Cut at colons that no backslash protects; a backslash stands for what comes after it."""
    parts = [""]
    for match in re.finditer(r"\\(.)|(:)|(.)", value, re.DOTALL):
        if match[2]:
            parts.append("")
        else:
            parts[-1] += match[1] or match[3]
    return parts


def _is_bind(value: str) -> bool:
    source, *rest = _split(value)
    if source and not _is_source(source):
        return False
    return _is_path(rest[0]) if rest else bool(source)


def _is_tmpfs(value: str) -> bool:
    return _is_path(_split(value)[0])


def _is_overlay(value: str) -> bool:
    parts = _split(value)
    if len(parts) == 2:
        return all(_is_source(part) for part in parts)
    *lower, upper, destination = parts if len(parts) > 2 else ["", "", ""]
    return (
        all(_is_source(part) for part in lower)
        and (not upper or _is_source(upper))
        and _is_path(destination)
    )


def _is_pivot(value: str) -> bool:
    return all(_is_path(part) and ".." not in part.split("/") for part in value.split(":", 1))


def _is_interface(value: str) -> bool:
    return (
        0 < len(value) < 16
        and all("!" <= char <= "~" and char not in ":/%" for char in value)
        and not value.isdigit()
        and value not in (".", "..", "all", "default")
    )


def _is_pair(value: str) -> bool:
    parts = value.split(":")
    return len(parts) <= 2 and all(_is_interface(part) for part in parts)


def _is_port(value: str) -> bool:
    match = re.fullmatch(r"(?:tcp:|udp:)?([0-9]{1,5})(?::([0-9]{1,5}))?", value)
    return match is not None and all(
        0 < int(number) < 65536 for number in match.groups() if number is not None
    )


def _is_user(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}|[0-9]+", value) is not None


def _are(one: t.Callable[[str], bool]) -> t.Callable[[str], bool]:
    return lambda value: all(one(word) for word in value.split())


def _assignments(value: str) -> str:
    try:
        words = shlex.split(value, posix=True) if re.search("[\"']", value) else value.split()
    except ValueError:
        return "a quote is not closed"
    for word in words:
        if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word):
            return (
                f"expected {table.ENVIRONMENT.name}; put a whole assignment that contains spaces in"
                " quotes, or give a mapping"
            )
    return ""


_RULES: t.Mapping[table.Kind, t.Callable[[str], str]] = {
    table.ENVIRONMENT: _assignments,
    table.USER: _expects(table.USER, _is_user),
    table.USERS: _expects(table.USERS, _are(_is_user)),
    table.CAPABILITIES: _pattern(
        table.CAPABILITIES, r"(?i)(?:all|cap_[a-z_0-9]+)(?:\s+(?:all|cap_[a-z_0-9]+))*"
    ),
    table.SIGNAL: _pattern(table.SIGNAL, r"(?:SIG)?[A-Z]+[A-Z0-9]*(?:[+-][0-9]+)?|[0-9]{1,2}"),
    table.ID128: _pattern(
        table.ID128,
        r"(?!0+\Z)[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    ),
    table.PATH: _expects(table.PATH, _is_path),
    table.PATHS: _expects(table.PATHS, _is_path),
    table.PIVOT: _expects(table.PIVOT, _is_pivot),
    table.PRIVATE_USERS: _pattern(table.PRIVATE_USERS, r"[0-9]{1,10}(?::[0-9]{1,10})?"),
    table.NUMBER: _pattern(table.NUMBER, r"[0-9]{1,10}"),
    table.LIMIT: _pattern(table.LIMIT, r"[+-]?[0-9a-zA-Z. ]+(?::[0-9a-zA-Z. +-]+)?"),
    table.HOSTNAME: _pattern(
        table.HOSTNAME, r"(?=.{1,64}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    ),
    table.SCORE: _expects(
        table.SCORE,
        lambda value: re.fullmatch(r"-?[0-9]{1,4}", value) is not None and abs(int(value)) <= 1000,
    ),
    table.CPUS: _pattern(table.CPUS, r"[0-9]+(?:-[0-9]+)?(?:[\s,]+[0-9]+(?:-[0-9]+)?)*|numa"),
    table.BIND: _expects(table.BIND, _is_bind),
    table.TMPFS: _expects(table.TMPFS, _is_tmpfs),
    table.OVERLAY: _expects(table.OVERLAY, _is_overlay),
    table.SHELL: _expects(table.SHELL, _is_path),
    table.INTERFACE: _expects(table.INTERFACE, _is_interface),
    table.INTERFACES: _expects(table.INTERFACES, _are(_is_pair)),
    table.VETH: _expects(table.VETH, _is_pair),
    table.ZONE: _expects(table.ZONE, lambda value: _is_interface(f"vz-{value}")),
    table.PORT: _expects(table.PORT, _is_port),
}


# --- advice ---------------------------------------------------------------------------------


def advice(settings: Settings, systemd_version: int = table.NEWEST) -> list[str]:
    """What is allowed, but probably not what was meant."""
    found: list[str] = []
    users = settings.last("Exec", "PrivateUsers")
    owns = settings.values_of("Files", "PrivateUsersOwnership")
    chown = settings.values_of("Files", "PrivateUsersChown")
    if (owns or chown) and users is None:
        found.append(
            "[Files] PrivateUsersOwnership= without [Exec] PrivateUsers= turns private users off"
        )
    if users == "pick" and not owns and not chown and systemd_version < table.OWNERSHIP_FOLLOWS:
        found.append(
            "[Exec] PrivateUsers=pick without [Files] PrivateUsersOwnership=auto changes the owners"
            f" of the image's files on disk, on systemd {systemd_version}"
        )
    if settings.values_of("Files", "BindUser") and users is not None and _boolean(users) == "no":
        found.append("[Files] BindUser= needs private users up to systemd 257")
    if settings.last("Exec", "Ephemeral") is not None and settings.last("Files", "Volatile"):
        found.append("[Exec] Ephemeral= already throws away what [Files] Volatile= would")
    return found


def ignored_next_to_image(settings: Settings, systemd_version: int = table.NEWEST) -> list[str]:
    """The keys, as C(Section.Key), that have no effect in a file next to the image."""
    return [
        f"{section}.{key}"
        for (section, key), values in settings.places()
        if values and _is_ignored((section, key), values, systemd_version)
    ]


def _is_ignored(place: Place, values: Values, version: int) -> bool:
    key = table.TABLE.get(place[0], {}).get(place[1])
    if key is None or version < key.since:
        return True
    if key.untrusted == table.PARTLY:
        return not all(value.startswith("~") for value in values)
    return key.untrusted == table.IGNORED and version > table.TRUSTED_BY_MISTAKE.get(place, 0)
