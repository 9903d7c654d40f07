# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What may be secret, and what is shown in its place. Private to the collection. Pure.

A section's keys are shown, and of those that may hold a secret no more: a diff tells that such a
value is another one, and not which. No digest stands for it, as one that is not salted tells a
weak secret to whoever tries some.
"""

from __future__ import annotations

import json
import re
import typing as t

from . import ini
from .lines import lines_of
from .printable import printable

MASK = "********"
ANOTHER = f"{MASK} (another one)"
LEAST = 6
"""A shorter word stands in too many others to be taken out of a sentence."""

# Of all the files that systemd and mkosi read. What a key X-… means, nobody here knows.
_ASSIGNMENTS = frozenset(("Credentials", "Environment"))
_NAMED = frozenset(
    f"{how}Credential{encrypted}" for how in ("Set", "Load") for encrypted in ("", "Encrypted")
)
_COMMANDS = frozenset(
    "ExecCondition ExecReload ExecReloadPost ExecStart ExecStartPost ExecStartPre ExecStop"
    " ExecStopPost".split()
)
_WHOLE = frozenset(
    "Key KernelCommandLine KernelCommandLineExtra LogExtraFields Parameters Passphrase Password"
    " PresharedKey PrivateKey QemuArgs RootPassword SecureBootKey SignExpectedPcrKey"
    " StandardInputData StandardInputText UnitProperties VerityKey".split()
)
KEYS = _ASSIGNMENTS | _NAMED | _COMMANDS | _WHOLE

# No way of quoting escapes any of these.
_UNCHANGED = re.compile(r"[A-Za-z0-9 !#$%()*+,./:;<=>?@^_`{|}~-]*")

_COMMENTED = re.compile(r"(\s*[#;]+\s*)([A-Za-z0-9-]+)\s*=")


def may_be_secret(key: str) -> bool:
    """Whether the values of a key may be secrets."""
    return key in KEYS or key.startswith("X-")


# --- values of a key ------------------------------------------------------------------------


def masked(key: str, values: t.Iterable[str], beside: t.Iterable[str] = ()) -> list[str]:
    """The values of a key as they may be shown; O(beside) are those that they take the place of."""
    if not may_be_secret(key):
        return list(values)
    known = list(beside)
    taken = {_masked(key, value) for value in known}
    shown = []
    for value in values:
        mask = _masked(key, value)
        # What is new must not look like what was there.
        shown.append(f"{mask} (another one)" if value not in known and mask in taken else mask)
    return shown


def _masked(key: str, value: str) -> str:
    if not value:
        return value
    if key in _ASSIGNMENTS:
        names = re.findall(r"(?:^|\s)[\"']?([A-Za-z_][A-Za-z0-9_.-]*)=", value)
        # A blank in a value may stand before what only looks like the next name.
        return " ".join(f"{name}={MASK}" for name in names[:1]) or MASK
    if key in _NAMED:
        name, colon, _secret = value.partition(":")
        return f"{name}:{MASK}" if colon else MASK
    if key in _COMMANDS:
        program, _blank, arguments = value.partition(" ")
        return f"{program} {MASK}" if arguments else program
    return MASK


def sections(settings: t.Mapping[str, t.Mapping[str, t.Sequence[str]]]) -> dict[str, t.Any]:
    """Sections, their keys and the values of each, as modules return them."""
    return {
        section: {key: masked(key, values) for key, values in keys.items()}
        for section, keys in settings.items()
    }


# --- texts of files -------------------------------------------------------------------------


def texts(
    before: t.Optional[str], after: t.Optional[str]
) -> tuple[t.Optional[str], t.Optional[str]]:
    """The text of one of systemd's files before and after a change, as both may be shown."""
    return _text(before, None), _text(after, before)


def _text(text: t.Optional[str], before: t.Optional[str]) -> t.Optional[str]:
    if text is None:
        return None
    known: dict[ini.Place, list[str]] = {}
    for piece in ini.pieces(before or ""):
        if piece.kind == ini.ASSIGNMENT:
            known.setdefault(piece.place, []).append(piece.value)
    return "".join(_line(piece, known) for piece in ini.pieces(text))


def _line(piece: ini.Piece, known: t.Mapping[ini.Place, t.Sequence[str]]) -> str:
    if piece.kind == ini.ASSIGNMENT and may_be_secret(piece.key):
        (value,) = masked(piece.key, [piece.value], known.get(piece.place, ()))
        return f"{piece.key}={value}\n"
    if piece.kind == ini.JUNK:
        return f"{MASK}\n"  # a part of a value, perhaps
    commented = _COMMENTED.match(piece.text) if piece.kind == ini.COMMENT else None
    if commented and may_be_secret(commented.group(2)):
        return f"{commented.group()}{MASK}\n"
    return piece.text


Change = tuple[int, t.Optional[str], t.Optional[str]]
"""The mode that a file gets, and its texts before and after, as they may be shown."""


def change(text: t.Optional[str], mode: int, wanted: t.Optional[str]) -> t.Optional[Change]:
    """How a file becomes another one.

    Nothing when it is as it is wanted. One with secrets that others can read is not.
    """
    new = mode if wanted is None else mode_of(wanted, mode)
    if (text, mode) == (wanted, new):
        return None
    before, after = texts(text, wanted)
    if text is not None and mode != new:
        return new, f"(mode {mode:04o})\n{before}", f"(mode {new:04o})\n{after}"
    return new, before, after


def mode_of(text: str, given: int) -> int:
    """Who may read a file of this text that root alone has to: nobody else if it has secrets."""
    pieces = ini.pieces(text)
    secret = any(piece.kind == ini.ASSIGNMENT and may_be_secret(piece.key) for piece in pieces)
    return given & 0o600 if secret else given


# --- other data -----------------------------------------------------------------------------


def leaves(value: t.Any, beside: t.Any = None) -> t.Any:
    """Data by its keys alone; O(beside) is the data whose place it takes."""
    if isinstance(value, t.Mapping):
        others = beside if isinstance(beside, t.Mapping) else {}
        return {key: leaves(one, others.get(key)) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        old = beside if isinstance(beside, (list, tuple)) else ()
        return [
            leaves(one, old[number] if number < len(old) else None)
            for number, one in enumerate(value)
        ]
    if value is None or value == "":
        return value
    return MASK if beside in (None, "", value) else ANOTHER


# --- sentences ------------------------------------------------------------------------------


def words_in(value: t.Any, key: t.Optional[str] = None) -> t.Iterator[str]:
    """The secrets in an argument: what stands below keys that may have them, however deep."""
    if isinstance(value, t.Mapping):
        for name, one in value.items():
            secret = key if key is not None or not may_be_secret(str(name)) else str(name)
            yield from words_in(one, secret)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from words_in(one, key)
    elif key is None and isinstance(value, str):
        for found in re.finditer(r"(?m)^\s*([A-Za-z-]+)[ \t]*=[ \t]*(.+)$", value):
            if may_be_secret(found.group(1)):
                yield from words_of(found.group(2), found.group(1))
        yield from re.findall(r"://[^/@\s:]*:([^/@\s]+)@", value)
    elif key is not None and value is not None:
        yield from words_of(str(value), key)


def words_of(value: str, key: str = "") -> t.Iterator[str]:
    """One secret: whole, line by line, and without the name that stands before it."""
    yield value
    yield from (line.strip() for line in lines_of(value))
    if key in _ASSIGNMENTS:
        yield value.partition("=")[2]
        yield value.partition("=")[2].strip("'\"")
    elif key in _NAMED:
        yield value.partition(":")[2]


def without(words: t.Iterable[str], text: str) -> str:
    """A sentence without some words, also where it quotes or escapes them."""
    said = {form for one in words if len(one) >= LEAST for form in _forms_of(one)}
    for word in sorted(said, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text


def _forms_of(word: str) -> t.Iterator[str]:
    """A word as sentences may have it: as it is, quoted in Python or JSON, made printable."""
    yield word
    if not _UNCHANGED.fullmatch(word):
        yield from (repr(word)[1:-1], json.dumps(word)[1:-1])
        yield json.dumps(word, ensure_ascii=False)[1:-1]
        yield from (printable(word), printable(word, lines=True))
