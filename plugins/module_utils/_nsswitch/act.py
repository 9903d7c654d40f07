# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Change what glibc asks. Private to the collection."""

from __future__ import annotations

from .._core import beneath, beneath_write
from .._core.plan import Step, Verbs
from .._core.run import run
from .seen import PATH


def write(root: str, text: str) -> None:
    """Put a text in place; what a link in the root leads to is in the root."""
    with beneath.image(root) as found:
        beneath_write.write(found, PATH, text)


def _write(step: Step) -> None:
    write(step.arguments["root"], step.arguments["text"])


def _remove(step: Step) -> None:
    with beneath.image(step.arguments["root"]) as root:
        beneath_write.remove(root, PATH)


def _enable(step: Step) -> None:
    run(["authselect", "enable-feature", "--", step.arguments["feature"]])


def _disable(step: Step) -> None:
    run(["authselect", "disable-feature", "--", step.arguments["feature"]])


VERBS: Verbs = {
    "write": _write,
    "remove": _remove,
    "enable-feature": _enable,
    "disable-feature": _disable,
}
