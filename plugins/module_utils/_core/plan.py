# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Plans: what will be done, as data; how it is shown; how it is carried out.

Private to the collection. Knows nothing of systemd, firewalld or Ansible.

A plan is a tuple of steps. It is computed by a pure function from what was seen
and what is wanted, printed by check and diff mode, and carried out by C(apply).
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import typing as t

from .printable import printable

Value = t.Any
State = t.Union[t.Mapping[str, Value], str, None]
"""A subject before or after a step: properties, the text of a file, or nothing at all."""


class Failure(Exception):
    """Something went wrong that the user can act upon.

    The message names the thing, what was found, what was expected and what to do;
    the details become fields of the module's result.
    """

    def __init__(self, message: str, **details: Value) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing to do. Only data: the table of verbs given to C(apply) knows how."""

    verb: str
    subject: str
    arguments: t.Mapping[str, Value] = dataclasses.field(default_factory=dict)
    before: State = None
    after: State = None
    needs: frozenset[str] = frozenset()
    """Identities of the steps of the same plan that must have succeeded before this one."""

    @property
    def identity(self) -> str:
        return f"{self.verb} {self.subject}"


Plan = tuple[Step, ...]
Verbs = t.Mapping[str, t.Callable[[Step], None]]


def identities(*steps: Step) -> frozenset[str]:
    return frozenset(step.identity for step in steps)


def ordered(steps: t.Iterable[Step]) -> Plan:
    """Sort steps so that each comes after what it needs, otherwise as given.

    Needs that name no step of the plan are dropped: the thing is already there.
    """
    given = list(steps)
    known = {step.identity for step in given}
    if len(known) != len(given):
        raise ValueError(f"a step stands twice in the plan: {[s.identity for s in given]}")
    waiting = [dataclasses.replace(step, needs=step.needs & known) for step in given]
    done: set[str] = set()
    result: list[Step] = []
    while waiting:
        ready = [step for step in waiting if step.needs <= done]
        if not ready:
            raise ValueError(f"steps wait for each other: {[s.identity for s in waiting]}")
        result += ready
        done |= identities(*ready)
        waiting = [step for step in waiting if step.identity not in done]
    return tuple(result)


# --- show -----------------------------------------------------------------------------------


def describe(plan: Plan) -> list[str]:
    return [step.identity for step in plan]


def diff(plan: Plan) -> list[dict[str, str]]:
    """The plan in the form that Ansible prints in diff mode: one entry per subject.

    It is printed as it is, so nothing in it may be meant for the screen.
    """
    subjects: dict[str, list[Step]] = {}
    for step in plan:
        subjects.setdefault(step.subject, []).append(step)
    return [_diff_of(subject, steps) for subject, steps in subjects.items()]


def _diff_of(subject: str, steps: t.Sequence[Step]) -> dict[str, str]:
    return {
        "before_header": printable(subject),
        "after_header": printable(subject),
        "before": printable(_text(_merged([one.before for one in reversed(steps)])), lines=True),
        "after": printable(_text(_merged([step.after for step in steps])), lines=True),
    }


def _merged(states: t.Sequence[State]) -> State:
    """Several steps of one subject: their properties together; of texts the last counts."""
    properties: dict[str, Value] = {}
    last: State = None
    for state in states:
        if isinstance(state, t.Mapping):
            properties.update(state)
        elif state is not None:
            last = state
    return properties or last


def _text(state: State) -> str:
    if state is None:
        return ""
    if isinstance(state, str):
        return state if not state or state.endswith("\n") else state + "\n"
    lines = (f"{key}: {_scalar(state[key])}\n" for key in sorted(state))
    return "".join(lines)


def _scalar(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


# --- apply ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Outcome:
    """What became of the steps of a plan."""

    done: list[Step] = dataclasses.field(default_factory=list)
    noted: list[tuple[Step, Warning]] = dataclasses.field(default_factory=list)
    """Steps that were done, and what the user should know of how."""
    failed: list[tuple[Step, Exception]] = dataclasses.field(default_factory=list)
    skipped: list[Step] = dataclasses.field(default_factory=list)

    def failure(self) -> t.Optional[Failure]:
        """The first failure, ready for the user; nothing when all went well."""
        if not self.failed:
            return None
        step, error = self.failed[0]
        message = f"Could not {step.identity}: {error}"
        if len(self.failed) > 1:
            others = ", ".join(other.identity for other, _error in self.failed[1:])
            message += f" (also failed: {others})"
        details = dict(error.details) if isinstance(error, Failure) else {}
        # Not "failed" and "skipped": Ansible takes those for its own.
        details.update(
            done=describe(tuple(self.done)),
            failed_steps=[other.identity for other, _error in self.failed],
            skipped_steps=describe(tuple(self.skipped)),
        )
        failure = Failure(message, **details)
        failure.__cause__ = error
        return failure


def apply(
    plan: Plan,
    verbs: Verbs,
    *,
    workers: int = 8,
    keep_going: bool = False,
    report: t.Optional[t.Callable[[Step], None]] = None,
) -> Outcome:
    """Carry out a plan, independent steps side by side.

    At the first failure no further step is begun, and those under way are waited for. With
    O(keep_going) only the steps that need a failed one are left out.
    """
    unknown = sorted({step.verb for step in plan} - set(verbs))
    if unknown:
        raise ValueError(f"no way to carry out: {', '.join(unknown)}")
    outcome = Outcome()
    waiting = list(plan)
    succeeded: set[str] = set()
    running: dict[concurrent.futures.Future[None], Step] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
        while waiting or running:
            if not outcome.failed or keep_going:
                for step in [step for step in waiting if step.needs <= succeeded]:
                    waiting.remove(step)
                    running[pool.submit(verbs[step.verb], step)] = step
            if not running:
                break
            finished, _pending = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in finished:
                step = running.pop(future)
                error = future.exception()
                if error is None:
                    outcome.done.append(step)
                    succeeded.add(step.identity)
                    if report:
                        report(step)
                elif isinstance(error, Exception):
                    outcome.failed.append((step, error))
                else:  # KeyboardInterrupt, SystemExit: not a step's own failure
                    raise error
    outcome.skipped = waiting
    return outcome
