# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(mkosi_image) calls. Private to the collection."""

from __future__ import annotations

import contextlib
import typing as t

from .._core import module as core_module
from .._core.plan import Failure, Plan, ordered
from . import act, build, host, wanted
from . import plan as mkosi_plan
from . import record as mkosi_record
from . import seen as mkosi_seen
from .seen import Remains, Snapshot
from .wanted import Request

Module = core_module.Module

CLEAN_LEVELS = list(wanted.CLEAN_LEVELS)
DEFAULT_TIMEOUT = wanted.DEFAULT_TIMEOUT
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
PASSWORDS = ("Password", "RootPassword")
WORKERS = 2
"""One image is imported while the next is built; two builds at once do not get along."""

Planned = tuple[Request, t.Union[Snapshot, Remains], Plan]
"""One directory: what is wanted of it, what was seen, and the steps between."""


def converge(module: Module) -> t.NoReturn:
    """Bring all builds of one call into their wanted state."""
    core_module.run(module, lambda: _converge(module))


def _converge(module: Module) -> dict[str, t.Any]:
    entries: list[dict[str, t.Any]] = module.params["builds"] or [module.params]
    requests = [wanted.request_of(entry) for entry in entries]
    for entry in entries:
        _hide_passwords(entry)
    for request in requests:
        wanted.check(request)
    wanted.check_all(requests)
    if module.check_mode and not host.is_installed():
        return _without_mkosi(module, requests)
    with contextlib.ExitStack() as locks:
        # Always in the same order, so that two runs cannot wait for each other.
        for directory in sorted(request.directory for request in requests):
            locks.enter_context(build.lock_of(directory))
        return _carried_out(module, [_planned(request) for request in requests])


def _without_mkosi(module: Module, requests: t.Sequence[Request]) -> dict[str, t.Any]:
    """In check mode, before an earlier task of the same run has really installed mkosi."""
    there = [request for request in requests if request.state != "absent"]
    if there:
        module.warn(
            "mkosi is not installed on this host yet: whether it understands the configuration, "
            "and whether what it would build is there already, shows only when it is"
        )
    steps = [step for request in there for step in mkosi_plan.plan_unseen(request)]
    planned = [_planned(request) for request in requests if request.state == "absent"]
    steps += [step for _request, _seen, plan in planned for step in plan]
    return core_module.converge(module, ordered(steps), act.verbs())


def _planned(request: Request) -> Planned:
    try:
        if request.state == "absent":
            remains = mkosi_seen.remains(request)
            return request, remains, mkosi_plan.plan_absent(request, remains)
        seen = mkosi_seen.snapshot(request)
        return request, seen, mkosi_plan.plan(request, seen)
    except Failure as failure:
        raise Failure(f"{request.directory}: {failure.message}", **failure.details) from None


def _carried_out(module: Module, planned: t.Sequence[Planned]) -> dict[str, t.Any]:
    for request, seen, plan in planned:
        for warning in mkosi_plan.warnings(request, seen, plan):
            module.warn(f"{request.directory}: {warning}")
    plan = ordered(step for _request, _seen, plan in planned for step in plan)
    if not module.check_mode:
        for request, seen, _plan in planned:
            if isinstance(seen, Snapshot):
                act.claim(request, seen)
    result = core_module.converge(module, plan, act.verbs(), workers=WORKERS)
    told = []
    for request, seen, _plan in planned:
        if isinstance(seen, Snapshot):
            if not module.check_mode:
                act.settle(request, seen)
            told.append(_tell(request, seen))
    return {**result, "builds": told} if told else result


# --- what is told back ----------------------------------------------------------------------


def _tell(request: Request, seen: Snapshot) -> dict[str, t.Any]:
    """A build as the module returns it."""
    return {
        "directory": request.directory,
        "mkosi": seen.mkosi.text,
        "format": seen.format,
        "digest": seen.digest,
        "outputs": list(mkosi_record.read(request.directory).outputs),
        "translated": list(seen.warnings),
        "image": request.import_as,
        "drift": mkosi_plan.held_back(request, seen),
    }


def _hide_passwords(entry: dict[str, t.Any]) -> None:
    """Take passwords out of what is told back as the arguments of the module."""
    config = entry["config"]
    if isinstance(config, str) and any(f"{name}=" in config for name in PASSWORDS):
        entry["config"] = HIDDEN
    elif isinstance(config, dict):
        entry["config"] = {section: _hidden(keys) for section, keys in config.items()}


def _hidden(keys: t.Any) -> t.Any:
    if not isinstance(keys, dict):
        return keys
    return {name: HIDDEN if name in PASSWORDS else value for name, value in keys.items()}
