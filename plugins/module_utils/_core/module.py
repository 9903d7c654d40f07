# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Between Ansible and the rest: the only file of the core that knows AnsibleModule.

Private to the collection.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from .plan import Failure, Plan, Verbs, apply, describe, diff
from .printable import printable

Facts = t.Mapping[str, t.Any]


def run(module: AnsibleModule, body: t.Callable[[], dict[str, t.Any]]) -> t.NoReturn:
    """Run a module's body; what it returns is the result, a Failure becomes the error."""
    try:
        result = body()
    except Failure as failure:
        shown = _shown(failure)
        module.fail_json(msg=shown.message, exception=shown, **failure.details)
    module.exit_json(**result)


def _shown(failure: Failure) -> Failure:
    """A failure that can be printed as it is: also what is told of its cause is."""
    message = printable(failure.message, lines=True)
    cause = failure.__cause__
    if message == failure.message and (cause is None or _is_plain(cause)):
        return failure
    shown = Failure(message, **failure.details).with_traceback(failure.__traceback__)
    shown.__cause__ = cause if cause is not None and _is_plain(cause) else None
    return shown


def _is_plain(cause: t.Optional[BaseException]) -> bool:
    while cause is not None:
        if printable(str(cause), lines=True) != str(cause):
            return False
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return True


def converge(
    module: AnsibleModule,
    plan: Plan,
    verbs: Verbs,
    *,
    workers: int = 8,
    facts: t.Optional[t.Callable[[], Facts]] = None,
) -> dict[str, t.Any]:
    """Show the plan, carry it out unless in check mode, and return the module's result.

    O(facts) is asked after the change for what the module returns beside it.
    """
    result: dict[str, t.Any] = {"changed": bool(plan), "plan": describe(plan)}
    if module._diff:
        result["diff"] = diff(plan)
    if not module.check_mode:
        failure = apply(plan, verbs, workers=workers).failure()
        if failure:
            raise Failure(
                failure.message,
                changed=bool(failure.details["done"]),
                plan=describe(plan),
                **failure.details,
            ) from failure.__cause__
    if facts:
        result.update(facts())
    return result
