# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The names and numbers of signals. Private to the collection. Pure."""

from __future__ import annotations

import re
import signal

from .._core.plan import Failure


def number_of(name: str) -> int:
    """The number of a signal, from its name with or without SIG, SIGRTMIN+N, or the number."""
    word = name.strip().upper()
    word = word[3:] if word.startswith("SIG") else word
    realtime = re.fullmatch(r"RTM(IN\+|AX-)([0-9]{1,2})", word)
    number = 0
    if realtime and realtime.group(1) == "IN+":
        number = signal.SIGRTMIN + int(realtime.group(2))
    elif realtime:
        number = signal.SIGRTMAX - int(realtime.group(2))
    elif re.fullmatch(r"[0-9]{1,2}", word):
        number = int(word)
    elif f"SIG{word}" in signal.Signals.__members__:
        number = signal.Signals[f"SIG{word}"]
    least = signal.SIGRTMIN if realtime else 1
    if not least <= number <= signal.SIGRTMAX:
        raise Failure(
            f"signal: {name!r} is no signal; expected a name like SIGHUP or SIGRTMIN+4, or a"
            f" number from 1 to {int(signal.SIGRTMAX)}"
        )
    return int(number)


def name_of(number: int) -> str:
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name
