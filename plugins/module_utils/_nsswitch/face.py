# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(nsswitch) calls. Private to the collection."""

from __future__ import annotations

import typing as t

from .._core import beneath, locks
from .._core import module as core_module
from . import act, plan
from . import seen as nsswitch_seen
from . import text as nsswitch_text
from . import wanted as nsswitch_wanted

Module = core_module.Module


def converge(module: Module) -> t.NoReturn:
    """The module C(nsswitch)."""
    core_module.run(module, lambda: _converged(module))


def _converged(module: Module) -> dict[str, t.Any]:
    wanted = nsswitch_wanted.wanted_of(
        module.params["databases"],
        module.params["root"],
        absent=module.params["state"] == "absent",
    )
    thing = locks.file(f"{wanted.root.rstrip('/')}{nsswitch_seen.PATH}")
    with core_module.holding(module, [thing]):
        seen = _look(wanted)
        steps = plan.plan(seen, wanted)
        for warning in plan.warnings(seen, wanted):
            module.warn(warning)

        def facts() -> dict[str, t.Any]:
            if module.check_mode and seen.profile is None:
                return _told(plan.text_of(seen, wanted), seen, wanted)
            now = _look(wanted)
            return _told(now.effective, now, wanted)

        return core_module.converge(module, steps, act.VERBS, workers=1, facts=facts)


def _look(wanted: nsswitch_wanted.Wanted) -> nsswitch_seen.Snapshot:
    services = {one.name for all_of_one in wanted.databases.values() for one in all_of_one}
    with beneath.image(wanted.root) as root:
        return nsswitch_seen.snapshot(root, services)


def _told(
    text: t.Optional[str], seen: nsswitch_seen.Snapshot, wanted: nsswitch_wanted.Wanted
) -> dict[str, t.Any]:
    return {
        "databases": {
            name: " ".join(nsswitch_text.services(text, name)) for name in wanted.databases
        },
        "path": seen.path,
        "authselect": seen.profile.name if seen.profile else None,
    }
