# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(mkosi_image) calls. Private to the collection."""

from __future__ import annotations

import contextlib
import typing as t

from .._core import deputy, locks
from .._core import module as core_module
from .._core.deputy import Account
from .._core.plan import Failure, Plan, ordered
from . import act, build, builder, ground, host, wanted
from . import plan as mkosi_plan
from . import record as mkosi_record
from . import seen as mkosi_seen
from .seen import Remains, Snapshot
from .wanted import Request

Module = core_module.Module

CLEAN_LEVELS = list(wanted.CLEAN_LEVELS)
DEFAULT_TIMEOUT = wanted.DEFAULT_TIMEOUT
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
    for request in requests:
        wanted.check(request)
    wanted.check_all(requests)
    if module.check_mode and not host.is_installed():
        return _without_mkosi(module, requests)
    with contextlib.ExitStack() as stack:
        builders = _builders(requests, stack)
        things = [build.thing(request.directory) for request in requests]
        stack.enter_context(locks.held(things, "mkosi_image", waiting=module.warn))
        planned = [_planned(request, builders[request.directory]) for request in requests]
        return _carried_out(module, planned, builders)


def _builders(requests: t.Sequence[Request], stack: contextlib.ExitStack) -> act.Builders:
    """Who builds in each directory, one process for each of them. Before there are threads."""
    accounts = {request.directory: _account(request) for request in requests}
    found = {
        account: stack.enter_context(builder.as_user(account))
        for account in sorted(set(accounts.values()), key=lambda account: account.uid)
    }
    return {directory: found[account] for directory, account in accounts.items()}


def _account(request: Request) -> Account:
    if request.state != "absent":
        return builder.account_named(request.user) if request.user else builder.ROOT
    # To take away is done by whose it is; the user may have been taken away before.
    there = ground.look(request.directory)
    uid = there.owner if there.there else mkosi_record.read(request.directory).uid
    return builder.ROOT if uid == 0 else deputy.account_of(uid)


def _without_mkosi(module: Module, requests: t.Sequence[Request]) -> dict[str, t.Any]:
    """In check mode, before an earlier task of the same run has really installed mkosi."""
    there = [request for request in requests if request.state != "absent"]
    if there:
        module.warn(
            "mkosi is not installed on this host yet: whether it understands the configuration, "
            "and whether what it would build is there already, shows only when it is"
        )
    steps = [step for request in there for step in mkosi_plan.plan_unseen(request)]
    gone = [request for request in requests if request.state == "absent"]
    with contextlib.ExitStack() as stack:
        builders = _builders(gone, stack)
        planned = [_planned(request, builders[request.directory]) for request in gone]
        steps += [step for _request, _seen, plan in planned for step in plan]
        return core_module.converge(module, ordered(steps), act.verbs(builders))


def _planned(request: Request, who: builder.Builder) -> Planned:
    try:
        if request.state == "absent":
            remains = mkosi_seen.remains(request, who)
            return request, remains, mkosi_plan.plan_absent(request, remains)
        seen = mkosi_seen.snapshot(request, who)
        return request, seen, mkosi_plan.plan(request, seen)
    except Failure as failure:
        raise Failure(f"{request.directory}: {failure.message}", **failure.details) from None


def _carried_out(
    module: Module, planned: t.Sequence[Planned], builders: act.Builders
) -> dict[str, t.Any]:
    for request, seen, plan in planned:
        for warning in mkosi_plan.warnings(request, seen, plan):
            module.warn(f"{request.directory}: {warning}")
    plan = ordered(step for _request, _seen, plan in planned for step in plan)
    if not module.check_mode:
        for request, seen, _plan in planned:
            if isinstance(seen, Snapshot):
                act.claim(request, seen)
    result = core_module.converge(module, plan, act.verbs(builders), workers=WORKERS)
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
