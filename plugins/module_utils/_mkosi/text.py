# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The text of a mkosi configuration: read, checked and written.

Private to the collection. Pure. What a setting means stands in C(_mkosi.translate).
"""

from __future__ import annotations

import typing as t

from .._core import ini, lines
from .._core.plan import Failure

Values = tuple[str, ...]
"""The lines of a setting's value; lists have several."""

Settings = t.Mapping[str, t.Mapping[str, Values]]
Definitions = t.Mapping[str, Settings]
"""systemd-repart's files: their names and what they say."""


def parse(text: str, what: str = "the configuration") -> dict[str, dict[str, list[str]]]:
    """Read a mkosi.conf or mkosi.default as mkosi does, to whom an empty line of many is none."""
    config: dict[str, dict[str, list[str]]] = {}
    keys: t.Optional[dict[str, list[str]]] = None
    values: t.Optional[list[str]] = None
    for number, raw in enumerate(lines.lines_of(text), 1):
        _check_end(raw, f"{what}, line {number}")
        line = raw.partition("#")[0]
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        if line[0].isspace() and values is not None:
            values.append(line.strip())
            continue
        line = line.strip()
        if line.startswith("["):
            if not line.endswith("]") or not line[1:-1].strip():
                raise Failure(f"{what}, line {number}: it is no section; expected [Section]")
            keys, values = config.setdefault(line[1:-1].strip(), {}), None
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if keys is None or not equals or not name:
            where = "before the first section" if keys is None else "without a '='"
            raise Failure(f"{what}, line {number}: it stands {where}; expected Key=value")
        values = keys.setdefault(name, [])
        values.append(value)
    return {
        section: {name: list(filter(None, values)) or [""] for name, values in keys.items()}
        for section, keys in config.items()
    }


def _check_end(raw: str, what: str) -> None:
    """Refuse what is a line to us and several to mkosi, which takes more than newlines for ends."""
    found = lines.LIKE_ENDS.search(raw[:-1] if raw.endswith("\r") else raw)
    if found:
        raise Failure(
            f"{what}: it contains the control character {found.group()!r}, where a line ends for"
            " mkosi and for nobody else; expected newlines alone"
        )


def render(settings: Settings, what: str = "config") -> str:
    """The text of a mkosi.conf that says exactly this; what would not come back is refused."""
    blocks = []
    for section, keys in settings.items():
        ini.check_name(section, what)
        said = [_line(section, name, values, what) for name, values in keys.items() if values]
        if said:
            blocks.append(f"[{section}]\n" + "".join(said))
    return "\n".join(blocks)


def _line(section: str, name: str, values: Values, what: str) -> str:
    ini.check_name(name, what)
    for value in values:
        _check_line(value, len(values) > 1, f"{what}: [{section}] {name}=")
    # Several lines are one list to every mkosi; a setting given twice replaced itself in some.
    joined = "\n        ".join(values)
    return f"{name}={joined}\n"


def _check_line(value: str, one_of_many: bool, what: str) -> None:
    checked(value, what)
    if value != value.strip():
        raise Failure(f"{what} begins or ends with a blank, which mkosi would take away")
    if "#" in value:
        raise Failure(f"{what} contains '#', with which mkosi begins a comment wherever it stands")
    if one_of_many and (not value or value.startswith(";")):
        raise Failure(f"{what} has a value that is empty or begins with ';', which is no value")


def render_definition(settings: Settings, what: str = "repart") -> str:
    """systemd-repart's files repeat a setting for each value, as systemd does."""
    return ini.render(ini.Settings(settings), what)


def normalise(config: t.Mapping[str, t.Any], what: str = "config") -> dict[str, dict[str, Values]]:
    """The values of a dictionary from YAML as mkosi writes them; null leaves a setting out."""
    result: dict[str, dict[str, Values]] = {}
    if not isinstance(config, t.Mapping):
        raise Failure(f"{what} is {type(config).__name__}; expected sections with their settings")
    for section, keys in config.items():
        if keys is None:
            continue
        ini.check_name(str(section), what)
        if not isinstance(keys, t.Mapping):
            raise Failure(
                f"{what}: section {section!r} is {type(keys).__name__}; expected its settings,"
                " {Key: value}"
            )
        for name, value in keys.items():
            ini.check_name(str(name), f"{what}, [{section}]")
            if value is not None:
                given = _values_of(value, f"{what}: [{section}] {name}=")
                result.setdefault(str(section), {})[str(name)] = given
    return result


def _values_of(value: t.Any, what: str) -> Values:
    if isinstance(value, t.Mapping):
        return tuple(checked(f"{key}={_value_of(one, what)}", what) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        # A list with nothing in it empties what mkosi has by itself.
        return tuple(line for one in value for line in _values_of(one, what)) or ("",)
    return (_value_of(value, what),)


def _value_of(value: t.Any, what: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        # A block in YAML ends in a newline; mkosi takes blanks at both ends away as well.
        return checked(value.strip(" \t\r\n"), what)
    raise Failure(
        f"{what} is {type(value).__name__}; expected a string, number, boolean, list or dictionary"
    )


def checked(line: str, what: str) -> str:
    """One line that is one to every reader."""
    if "\n" in line:
        raise Failure(f"{what} has a value of several lines; expected one, or several as a list")
    if not line.isprintable():
        raise Failure(f"{what} contains a control character; expected printable text")
    return line


def is_true(value: str) -> bool:
    """Whether mkosi takes a value for yes."""
    return value.lower() in ("1", "yes", "true", "on", "y", "t")
