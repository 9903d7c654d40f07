# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules about rights call. Private to the collection."""

from __future__ import annotations

import typing as t

from .._core import module as core_module
from . import act, info, plan
from . import seen as access_seen
from . import wanted as access_wanted

Module = core_module.Module


def converge(module: Module) -> t.NoReturn:
    """The module C(access): who may do what with the machines of a host."""
    core_module.run(module, lambda: _converged(module))


def _converged(module: Module) -> dict[str, t.Any]:
    entries = module.params["machines"]
    if module.params["state"] == "absent":
        wanted = access_wanted.gone_of(entries)
    else:
        wanted = access_wanted.wanted_of(entries, exclusive=module.params["exclusive"])
    seen = access_seen.snapshot(wanted)
    # In check mode a task before this one has not installed polkit.
    steps = plan.plan(seen, wanted, installing=module.check_mode)
    for warning in plan.warnings(seen, wanted):
        module.warn(warning)
    granted = {one.machine: info.told(one) for one in plan.granted(seen, wanted)}
    return core_module.converge(module, steps, act.VERBS, facts=lambda: {"machines": granted})


def tell(module: Module) -> t.NoReturn:
    """The module C(access_info): who may do what now."""
    names, users = module.params["name"], module.params["user"]
    core_module.run(module, lambda: {"changed": False, **info.tell(names, users)})
