# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Text of somebody else's, shown so that it can do nothing to the screen that it is shown on.

Private to the collection. Pure. What a machine, an image, a server or a user has chosen may hold
sequences that move the cursor, colour what follows, or turn the direction of writing.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

# Controls, marks of formatting and direction, halves of pairs, private use, separators of lines.
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_PLAIN = re.compile(r"[\x20-\x7e]*")
# CSI with its parameters, OSC and its kin up to their end, and the short ones.
_COLOURS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)


def printable(text: t.Union[str, bytes], *, lines: bool = False) -> str:
    """The same text with everything escaped that is not seen, as it would be in Python.

    With O(lines) it may have several, and tabs.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if _PLAIN.fullmatch(text):
        return text
    kept = "\n\t" if lines else ""
    return "".join(one if one in kept else _shown(one) for one in text)


def _shown(one: str) -> str:
    if unicodedata.category(one) not in _HIDDEN and (one == " " or not one.isspace()):
        return one
    number = ord(one)
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00  # a byte that is no UTF-8
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def without_colours(text: str) -> str:
    """What a program has said, without what it has said to a terminal; to be shown by lines."""
    return _COLOURS.sub("", text)


def printable_data(value: t.Any) -> t.Any:
    """The same for all texts in lists and mappings, names of keys included; lines stay lines."""
    if isinstance(value, (str, bytes)):
        return printable(value, lines=True)
    if isinstance(value, t.Mapping):
        return {printable_data(key): printable_data(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_data(one) for one in value]
    return value
