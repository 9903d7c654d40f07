# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""systemd's configuration syntax, read as systemd reads it and edited without losing a comment.

Private to the collection. Pure: text in, text out. Knows no particular section or key; those are
known to C(_settings.nspawn_file) and C(_systemd.unit_text).

A text is cut into pieces. A piece is what systemd takes as one line: several physical lines when
a backslash continues them. The pieces joined are always the text, byte for byte, so an edit
touches nothing but the pieces that it replaces.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from .plan import Failure

Values = tuple[str, ...]
"""The assignments of one key, in order. An empty string is an empty assignment (most lists are
reset by one); no values at all mean that the key is not to be there."""

Place = tuple[str, str]
"""A section and a key."""

BLANK, COMMENT, SECTION, ASSIGNMENT, JUNK, BROKEN = (
    "blank",
    "comment",
    "section",
    "assignment",
    "junk",
    "broken",
)
WHITESPACE = " \t\n\r"
LINE_LIMIT = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
# systemd 257 takes a header with one of *?[ in it, and one without a name, for sections that it
# does not know; 262 refuses the file.
_UNSAFE_HEADER = re.compile(r"[\x00-\x1f\x7f\\\"'*?\[]")
# Tabs are whitespace to systemd; anything else that controls could end the line or lie on a screen.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


class Settings(t.Mapping[str, t.Mapping[str, Values]]):
    """What a file says, or is to say: sections, their keys, and the values of each key."""

    def __init__(self, sections: t.Mapping[str, t.Mapping[str, t.Iterable[str]]]) -> None:
        self._sections = {
            section: {key: tuple(values) for key, values in keys.items()}
            for section, keys in sections.items()
            if keys
        }

    def __getitem__(self, section: str) -> t.Mapping[str, Values]:
        return self._sections[section]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def __repr__(self) -> str:
        return f"Settings({self._sections!r})"

    def values_of(self, section: str, key: str) -> Values:
        return self._sections.get(section, {}).get(key, ())

    def last(self, section: str, key: str) -> t.Optional[str]:
        """The value that counts for a key of one value."""
        values = self.values_of(section, key)
        return values[-1] if values else None

    def places(self) -> t.Iterator[tuple[Place, Values]]:
        for section, keys in self._sections.items():
            for key, values in keys.items():
                yield (section, key), values

    def as_lists(self) -> dict[str, dict[str, list[str]]]:
        """The form in which modules return it."""
        return {
            section: {key: list(values) for key, values in keys.items()}
            for section, keys in self._sections.items()
        }

    def updated(self, other: Settings) -> Settings:
        """Both together; where both name a key the other counts."""
        merged = {section: dict(keys) for section, keys in self._sections.items()}
        for (section, key), values in other.places():
            merged.setdefault(section, {})[key] = values
        return Settings(merged)


@dataclasses.dataclass(frozen=True)
class Piece:
    """One line as systemd counts them, continuation lines included."""

    text: str
    kind: str
    number: int
    section: str = ""
    key: str = ""
    value: str = ""
    open: bool = False
    """The text ends in the middle of it: what is put behind it would become a part of it."""

    @property
    def place(self) -> Place:
        return (self.section, self.key)


# --- from YAML ------------------------------------------------------------------------------

Quote = t.Callable[[str, str], str]
"""Makes one word of a text that may contain spaces, in the dialect of the reader."""


def normalise(raw: t.Mapping[str, t.Any], what: str, quote: Quote) -> Settings:
    """Settings from what was written in YAML: see C(_settings.nspawn_file.normalise)."""
    sections: dict[str, dict[str, Values]] = {}
    for section, keys in _mapping(raw, what).items():
        here = f"{what}, [{section}]"
        sections[section] = {
            key: tuple(_values(value, f"{here} {key}=", quote))
            for key, value in _mapping(keys, here).items()
        }
    settings = Settings(sections)
    for (section, key), values in settings.places():
        for value in values:
            check_safe(section, key, value, what)
    return settings


def _mapping(raw: t.Any, what: str) -> t.Mapping[str, t.Any]:
    if not isinstance(raw, t.Mapping):
        raise Failure(f"{what}: expected a mapping, found {_kind_of(raw)}")
    for name in raw:
        if not isinstance(name, str):
            raise Failure(f"{what}: {name!r} is no name of a section or key; put it in quotes")
        check_name(name, what)
    return raw


def _values(raw: t.Any, what: str, quote: Quote) -> t.Iterator[str]:
    if raw is None:
        return
    if isinstance(raw, (list, tuple)):
        for item in raw:
            yield _scalar(item, what)
    elif isinstance(raw, t.Mapping):
        for name, value in raw.items():
            yield quote(f"{name}={_scalar(value, what)}", what)
    else:
        yield _scalar(raw, what)


def _scalar(raw: t.Any, what: str) -> str:
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if isinstance(raw, (int, float)):
        return str(raw)
    if isinstance(raw, str):
        # A block in YAML ends in a newline; systemd strips both ends as well.
        return raw.strip(WHITESPACE)
    raise Failure(
        f"{what}: expected a text, a number, a boolean, or a list of them, found {_kind_of(raw)}"
    )


def _kind_of(raw: t.Any) -> str:
    """Not what it is: it may be a secret that stands in the wrong place."""
    names = {type(None): "nothing", list: "a list", dict: "a mapping", str: "a text"}
    return names.get(type(raw), f"a {type(raw).__name__}")


# --- read -----------------------------------------------------------------------------------


def parse(text: str, what: str = "the text") -> Settings:
    """What systemd takes from a text. A text that systemd refuses as a whole is a Failure."""
    return gathered(pieces(text), what)


def gathered(found: t.Iterable[Piece], what: str = "the text") -> Settings:
    sections: dict[str, dict[str, list[str]]] = {}
    for piece in found:
        if piece.kind == BROKEN:
            raise Failure(
                f"{what}, line {piece.number}: {piece.text.strip()!r} is no section header that"
                " every systemd accepts, and one that does not refuses the whole file; expected"
                " [Section]"
            )
        if piece.kind == ASSIGNMENT:
            keys = sections.setdefault(piece.section, {})
            keys.setdefault(piece.key, []).append(piece.value)
    return Settings(sections)


def pieces(text: str) -> list[Piece]:
    """Cut a text into what systemd takes as lines."""
    result: list[Piece] = []
    section = ""
    raw, logical, start = "", "", 1
    marked = False
    for number, line in enumerate(_lines(text), 1):
        content = line.rstrip("\n\r\0")
        if content.lstrip(WHITESPACE)[:1] in ("#", ";"):
            if raw:
                raw += line  # a comment within a continued line does not end it
            else:
                result.append(Piece(line, COMMENT, number))
            continue
        if not marked and content.startswith("\ufeff"):
            marked, content = True, content[1:]
        if not raw:
            start = number
        raw += line
        logical += content
        if _ends_escaped(logical):
            logical = logical[:-1] + " "
            continue
        piece = _piece(raw, logical, start, section)
        section = piece.section
        result.append(piece)
        raw, logical = "", ""
    if raw:
        last = _piece(raw, logical, start, section)
        result.append(dataclasses.replace(last, open=True))
    return result


def _lines(text: str) -> t.Iterator[str]:
    """Physical lines with their ends: one run of newline, return and NUL, none of them twice."""
    begin = end = 0
    while end < len(text):
        if text[end] not in "\n\r\0":
            end += 1
            continue
        first = end
        while end < len(text) and text[end] in "\n\r\0" and text[end] not in text[first:end]:
            end += 1
        yield text[begin:end]
        begin = end
    if begin < end:
        yield text[begin:end]


def _ends_escaped(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _piece(raw: str, logical: str, number: int, section: str) -> Piece:
    line = logical.strip(WHITESPACE)
    if not line:
        return Piece(raw, BLANK, number, section)
    if line.startswith("["):
        name = line[1:-1]
        if not line.endswith("]") or not name or _UNSAFE_HEADER.search(name):
            return Piece(raw, BROKEN, number, section, value=line)
        return Piece(raw, SECTION, number, name)
    key, equals, value = line.partition("=")
    key = key.strip(WHITESPACE)
    if not section or not equals or not key:
        return Piece(raw, JUNK, number, section)
    return Piece(raw, ASSIGNMENT, number, section, key, value.strip(WHITESPACE))


# --- names ----------------------------------------------------------------------------------


def nearest(word: str, known: t.Iterable[str]) -> str | None:
    """The known name that a misspelt one was probably meant to be."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, 1, 0.7)
    return names[near[0]] if near else None


# --- write ----------------------------------------------------------------------------------


def check_name(name: str, what: str = "settings") -> None:
    """Refuse what cannot be the name of a section or key."""
    if not _NAME.match(name):
        raise Failure(
            f"{what}: {name!r} cannot be the name of a section or key; expected letters,"
            " digits, '-', '_' and '.', as systemd spells them"
        )


def check_safe(section: str, key: str, value: str, what: str = "settings") -> None:
    """Refuse what would not come back from the file as it was given."""
    check_name(section, what)
    check_name(key, what)
    bad = _CONTROL.search(value)
    if bad:
        raise Failure(
            f"{what}: the value of [{section}] {key}= contains the control character"
            f" {bad.group()!r}, which would end or garble the line; a key is given several"
            " values as a list"
        )
    if value != value.strip(WHITESPACE):
        raise Failure(f"{what}: the value of [{section}] {key}= begins or ends with whitespace")
    if _ends_escaped(value):
        raise Failure(
            f"{what}: the value of [{section}] {key}= ends in a backslash, which would join it"
            " with the next line; write two"
        )
    if len(value.encode("utf-8", "surrogateescape")) > LINE_LIMIT - 1024:
        raise Failure(f"{what}: the value of [{section}] {key}= is longer than systemd reads")


def render(settings: Settings, what: str = "settings") -> str:
    """A text that says exactly this. Refuses what would not come back as it was given."""
    blocks: list[str] = []
    for section, keys in settings.items():
        lines = [
            piece.text
            for key, values in keys.items()
            for piece in _assignments((section, key), values, what)
        ]
        if lines:
            blocks.append(f"[{section}]\n" + "".join(lines))
    return "\n".join(blocks)


Same = t.Callable[[Place, Values, Values], bool]


def _identical(_place: Place, found: Values, wanted: Values) -> bool:
    return found == wanted


def merge(
    text: str,
    wanted: Settings,
    *,
    exclusive: bool = False,
    same: Same = _identical,
    what: str = "the text",
) -> str:
    """Change a text so that it says what is wanted, and keep its comments, order and spelling.

    A key without values is removed. With O(exclusive) so is every key that is not wanted, and
    every line that systemd would not understand. O(same) says whether two lists of values mean
    the same; then the text is left as it is. What would not come back as it was given is refused.
    """
    found = pieces(text)
    if exclusive:
        found = [piece for piece in found if piece.kind not in (JUNK, BROKEN)]
    present = gathered(found, what)
    targets = dict(wanted.places())
    if exclusive:
        targets = {**{place: () for place, _values in present.places()}, **targets}
    for place, values in targets.items():
        if not same(place, present.values_of(*place), values):
            found = _replaced(found, place, values, what)
    emptied = set(present) - {piece.section for piece in found if piece.kind == ASSIGNMENT}
    return "".join(piece.text for piece in _tidied(found, emptied))


def _replaced(found: list[Piece], place: Place, values: Values, what: str) -> list[Piece]:
    """Give a key new values; assignments that stay keep their line and its neighbourhood."""
    positions = [
        index
        for index, piece in enumerate(found)
        if piece.kind == ASSIGNMENT and piece.place == place
    ]
    if not positions:
        return _inserted(found, place, _assignments(place, values, what))
    old = [found[index].value for index in positions]
    new = _assignments(place, values, what)
    instead: dict[int, list[Piece]] = {index: [] for index in positions}
    matcher = difflib.SequenceMatcher(None, old, list(values), autojunk=False)
    for verb, begin, end, first, last in matcher.get_opcodes():
        if verb == "equal":
            for index in positions[begin:end]:
                instead[index].append(found[index])
        elif verb == "insert" and begin == 0:
            instead[positions[0]][:0] = new[first:last]
        else:
            anchor = positions[begin] if begin < end else positions[begin - 1]
            instead[anchor] += new[first:last]
    result: list[Piece] = []
    for index, piece in enumerate(found):
        result += instead.get(index, [piece])
    return _ended(result)


def _inserted(found: list[Piece], place: Place, new: list[Piece]) -> list[Piece]:
    """Put a new key behind what its section holds already, or in a new section at the end."""
    if not new:
        return found
    here = ""
    after = 0
    for index, piece in enumerate(found, 1):
        if piece.kind == SECTION:
            here = piece.section
        if here == place[0] and piece.kind in (SECTION, ASSIGNMENT, JUNK):
            after = index
    if after:
        return [*_ended(found[:after]), *new, *found[after:]]
    gap = [Piece("\n", BLANK, 0)] if found and found[-1].kind != BLANK else []
    header = Piece(f"[{place[0]}]\n", SECTION, 0, place[0])
    return [*_ended(found), *gap, header, *new]


def _assignments(place: Place, values: Values, what: str) -> list[Piece]:
    """The one place where lines are made."""
    section, key = place
    for value in values:
        check_safe(section, key, value, what)
    return [Piece(f"{key}={value}\n", ASSIGNMENT, 0, section, key, value) for value in values]


def _ended(found: list[Piece]) -> list[Piece]:
    """Every piece ends its line, so that something can be put behind it."""
    return [dataclasses.replace(piece, text=_end(piece), open=False) for piece in found]


def _end(piece: Piece) -> str:
    if piece.open:
        return piece.text + ("\n" if piece.text.endswith("\n") else "\n\n")
    return piece.text if piece.text.endswith(("\n", "\r", "\0")) else piece.text + "\n"


def _tidied(found: list[Piece], emptied: set[str]) -> list[Piece]:
    """Without the headers of emptied sections, unless something is left under them."""
    blocks: list[list[Piece]] = [[]]
    for piece in found:
        if piece.kind == SECTION:
            blocks.append([])
        blocks[-1].append(piece)
    result = list(blocks[0])
    for block in blocks[1:]:
        if block[0].section in emptied and all(piece.kind == BLANK for piece in block[1:]):
            if block is blocks[-1]:
                while result and result[-1].kind == BLANK:
                    result.pop()  # the gap before it
        else:
            result += block
    return result
