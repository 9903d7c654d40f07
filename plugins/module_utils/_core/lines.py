# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a line is: what a newline ends, and nothing else. Private to the collection. Pure.

C(str.splitlines) also parts at form feeds, at separators of groups and paragraphs and the like.
Who has a say in a value that some program prints could so add a line to what it prints.
"""

from __future__ import annotations

import re

LIKE_ENDS = re.compile("[\0\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line for some readers, and for others does not."""


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    found = text.split("\n")
    return found if found[-1] else found[:-1]


def said_lines(text: str) -> list[str]:
    """The lines of what was said to a person, where a carriage return begins one anew."""
    return [line for line in lines_of(text.replace("\r", "\n")) if line.strip()]
