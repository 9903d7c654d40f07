# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Look, plan, act and tell: one run of a module that changes machines.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core import locks
from .._core import module as core_module
from .._core.module import Module
from .._core.plan import Failure, Outcome, Plan, describe, diff
from .._shares import check as shares_check
from .._systemd import machined
from .._users import check as users_check
from .._users.wanted import Rules
from . import limits, published
from . import record as machines_record
from . import result as machines_result
from . import seen as machines_seen
from .plan import plan, purged
from .wanted import Wanted


def converge(
    module: Module,
    wanted: t.Sequence[Wanted],
    *,
    rolling: int = 0,
    purge: bool = False,
    limited: bool = True,
    expected: t.Collection[str] = (),
    rules: t.Optional[Rules] = None,
) -> dict[str, t.Any]:
    """Bring the machines into the wanted state, unless in check mode, and tell what became of each.

    O(expected) are images that would be there by now, had earlier tasks not been in check mode too.
    """
    if not module.check_mode:
        machined.require()
    made = machines_record.names() if purge else []
    names = [*(one.name for one in wanted), *made]
    with core_module.holding(module, map(locks.machine, names)):
        # In check mode nobody has got a private group by now.
        given = rules or Rules()
        making = given.make_groups and module.check_mode
        rules = dataclasses.replace(given, make_groups=making)
        snapshot = machines_seen.snapshot(wanted, also=made, rules=rules)
        if module.check_mode:
            snapshot = dataclasses.replace(snapshot, images=snapshot.images.union(expected))
        every = [*wanted, *(purged(snapshot, wanted) if purge else ())]
        steps = plan(snapshot, every, rolling=rolling)
        if limited:
            limits.check(snapshot, every, steps)
        outcome = _carried_out(steps, module.check_mode)
    for surprise in _surprises(wanted, snapshot):
        module.warn(surprise)
    told = machines_result.tell(every, snapshot, outcome, module.check_mode)
    result: dict[str, t.Any] = {
        "changed": bool(outcome.done),
        "plan": describe(steps),
        "machines": told,
    }
    if module._diff:
        result["diff"] = diff(steps)
    for _step, warning in outcome.noted:
        module.warn(str(warning))
    for name, one in told.items():
        if one.get("failed_units"):
            module.warn(f"{name} has booted but is degraded: {', '.join(one['failed_units'])}")
    if outcome.failed:
        raise Failure(machines_result.summary(told), **result)
    return result


def _surprises(wanted: t.Iterable[Wanted], snapshot: machines_seen.Snapshot) -> t.Iterator[str]:
    """What is taken, and may not do what was meant."""
    wanted = list(wanted)
    yield from published.warnings(
        (one.name, one.settings) for one in wanted if one.state != "absent"
    )
    for machine in wanted:
        yield from shares_check.warnings(machine.name, machine.shares, snapshot.host)
        yield from users_check.concerns(
            machine.bound,
            snapshot.named_for(machine),
            snapshot.residents,
            snapshot.rules,
            snapshot.version,
        )
        image = machine.name if snapshot.of(machine.name).image else machine.image or ""
        if image in snapshot.trees:
            surprise = users_check.warning(machine.bound, snapshot.trees[image], image)
            if surprise:
                yield surprise


def _carried_out(steps: Plan, checking: bool) -> Outcome:
    """Most runs have nothing to do; those need not compile what does it."""
    if checking or not steps:
        return Outcome(done=list(steps))
    from . import act

    return act.apply(steps)
