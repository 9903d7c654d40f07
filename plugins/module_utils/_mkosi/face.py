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
from . import act, build, builder, ground, host, wanted, within
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
    entries = entries_of(module.params)
    unprepared = module.check_mode and not host.is_installed()
    with contextlib.ExitStack() as stack:
        staff = _Staff(stack)
        requests = [wanted.request_of(one, _reader(one, staff, unprepared)) for one in entries]
        for request in requests:
            wanted.check(request)
        wanted.check_all(requests)
        if unprepared:
            return _without_mkosi(module, requests, staff)
        builders = _builders(requests, staff)
        things = [build.thing(request.directory) for request in requests]
        things += [locks.image(one.import_as) for one in requests if one.import_as]
        stack.enter_context(locks.held(things, "mkosi_image", waiting=module.warn))
        planned = [_planned(request, builders[request.directory]) for request in requests]
        return _carried_out(module, planned, builders)


def entries_of(params: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    """The builds of a call: those of its list, also when that is empty, or the one that it is."""
    builds: t.Optional[list[t.Mapping[str, t.Any]]] = params["builds"]
    return [params] if builds is None else builds


class _Staff:
    """Those who build, one process for each user; to be asked for before there are threads."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._found: dict[Account, builder.Builder] = {}

    def of(self, account: Account) -> builder.Builder:
        if account not in self._found:
            self._found[account] = self._stack.enter_context(builder.as_user(account))
        return self._found[account]


def _nothing(_path: str) -> str:
    """What a file has when it does not matter, or an earlier task has not made file or user yet."""
    return ""


def _reader(entry: t.Mapping[str, t.Any], staff: _Staff, unprepared: bool) -> wanted.Read:
    """Who reads the files that are to go into a build: who could otherwise lead root to others."""
    if unprepared or entry["state"] == "absent":
        return _nothing
    user = entry["user"]

    def read(path: str) -> t.Optional[str]:
        if not user or user == "root":
            return within.source_of(path)
        who = staff.of(builder.account_named(user))
        try:
            return t.cast("t.Optional[str]", who.call(within.source_of, path))
        except Failure as failure:
            raise Failure(f"as {user}, who builds: {failure.message}", **failure.details) from None

    return read


def _builders(requests: t.Sequence[Request], staff: _Staff) -> act.Builders:
    """Who builds in each directory."""
    return {request.directory: staff.of(_account(request)) for request in requests}


def _account(request: Request) -> Account:
    if request.state != "absent":
        return builder.account_named(request.user) if request.user else builder.ROOT
    # To take away is done by whose it is; the user may have been taken away before.
    there = ground.look(request.directory)
    uid = there.owner if there.there else mkosi_record.read(request.directory).uid
    return builder.ROOT if uid == 0 else deputy.account_of(uid)


def _without_mkosi(
    module: Module, requests: t.Sequence[Request], staff: _Staff
) -> dict[str, t.Any]:
    """In check mode, before an earlier task of the same run has really installed mkosi."""
    there = [request for request in requests if request.state != "absent"]
    if there:
        module.warn(
            "mkosi is not installed on this host yet: whether it understands the configuration, "
            "and whether what it would build is there already, shows only when it is"
        )
    steps = [step for request in there for step in mkosi_plan.plan_unseen(request)]
    gone = [request for request in requests if request.state == "absent"]
    builders = _builders(gone, staff)
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
