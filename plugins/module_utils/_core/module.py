# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Between Ansible and the rest: the only file of the core that knows AnsibleModule.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from . import arguments, locks, masks, memory, progress
from .plan import Failure, Plan, Verbs, apply, describe, diff
from .printable import printable, printable_data

Facts = t.Mapping[str, t.Any]
UMASK = 0o022

# What is written for people, wherever it stands in a result. Names and paths are for tasks that
# come after, and what a command said is what was asked for.
SENTENCES = frozenset(("cause", "cmd", "journal", "msg", "problems"))


class Module(AnsibleModule):
    """An C(AnsibleModule) that tells only those of its arguments that cannot be secret.

    Ansible's own writes them all to the host's journal, and gives them back with each result. Its
    C(no_log) in an argument's spec takes the values of that argument out of the whole result,
    however short they are: with C(DEBUG=1) in an environment, each digit 1. So here it only says
    that an argument is secret, and what is said of it stands in C(arguments).

    All that leaves passes here, and nothing in it reaches a screen as more than text.
    """

    raw: frozenset[str] = frozenset()
    """What of the result stays as a machine has said it; the documentation of each says so."""

    def _log_invocation(self) -> None:
        self.no_log_values = set()
        told = json.dumps(self._told_arguments(), sort_keys=True, default=str)
        self.log(f"Invoked with {told}")

    def warn(self, warning: str, **kwargs: t.Any) -> None:
        super().warn(printable(masks.without(self._secrets(), warning), lines=True), **kwargs)

    def exit_json(self, **kwargs: t.Any) -> t.NoReturn:
        super().exit_json(**self._told(kwargs))

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        told = self._told({"msg": str(msg), **kwargs})
        error = told.get("exception")
        if isinstance(error, BaseException):
            told["exception"] = _told_error(error, self._secrets())
        super().fail_json(**told)

    # Also called by the constructor, for arguments that it refuses.

    def _told(self, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        secrets = self._secrets()
        self.no_log_values = set()
        told = {key: _told_sentences(value, secrets, key) for key, value in result.items()}
        told = {
            key: value if key in self.raw else printable_data(value) for key, value in told.items()
        }
        told.setdefault("invocation", {"module_args": self._told_arguments()})
        return told

    def _told_arguments(self) -> dict[str, t.Any]:
        return arguments.told(self.argument_spec, self.params)

    def _secrets(self) -> frozenset[str]:
        return arguments.secrets(self.argument_spec, self.params)


def _told_sentences(value: t.Any, secrets: t.Collection[str], key: str = "") -> t.Any:
    """A part of a result, its sentences without secrets."""
    if isinstance(value, t.Mapping):
        return {name: _told_sentences(one, secrets, str(name)) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told_sentences(one, secrets, key) for one in value]
    if isinstance(value, str) and key in SENTENCES:
        return masks.without(secrets, value)
    return value


def _told_error(error: BaseException, secrets: t.Collection[str]) -> BaseException:
    """An error, and those that it came from, without secrets in what they say."""
    said = masks.without(secrets, str(error))
    cause = error.__cause__ and _told_error(error.__cause__, secrets)
    if said == str(error) and cause is error.__cause__:
        return error
    told = Failure(said).with_traceback(error.__traceback__)
    told.__cause__ = cause
    return told


def run(module: AnsibleModule, body: t.Callable[[], dict[str, t.Any]]) -> t.NoReturn:
    """Run a module's body; what it returns is the result, a Failure becomes the error."""
    # Neither open to all nor closed to the daemons that read it, whoever logged in and how. What
    # is for root alone says so by itself.
    os.umask(UMASK)
    try:
        memory.inspect()
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


@contextlib.contextmanager
def holding(
    module: AnsibleModule,
    things: t.Iterable[locks.Thing],
    *,
    beside: t.Iterable[locks.Thing] = (),
) -> t.Iterator[None]:
    """Keep other runs away from some things, from the look at them to the last step.

    O(beside) are only looked at, and others may do so as well. Check mode changes nothing, not
    even who waits for whom.
    """
    if module.check_mode:
        yield
        return
    doing = f"the module {module._name}"
    with contextlib.ExitStack() as held:
        with contextlib.ExitStack() as told:

            def tell(message: str) -> None:
                # Now, where the module's action shows how far it is; and in the end.
                waits = progress.Phases("waiting", str(module._name))
                told.enter_context(waits).enter(message)
                module.warn(message)

            held.enter_context(locks.held(things, doing, beside=beside, waiting=tell))
        yield


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
