# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Between the arguments of the module C(mkosi_image) and what knows mkosi.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from .._core import files
from .._core import module as core_module
from .._core.plan import Failure, Plan, ordered
from . import act, build, host, text
from . import files as mkosi_files
from . import plan as mkosi_plan

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
PASSWORDS = ("Password", "RootPassword")
WORKERS = 2
"""One image is imported while the next is built; two builds at once do not get along."""

Seen = t.Union[mkosi_plan.Snapshot, mkosi_plan.Remains]
Looked = tuple[mkosi_plan.Request, Seen, Plan]


def converge(module: AnsibleModule) -> dict[str, t.Any]:
    """Bring all builds of one call into their wanted state."""
    entries: list[dict[str, t.Any]] = module.params["builds"] or [module.params]
    requests = [request_of(entry) for entry in entries]
    for entry in entries:
        hide_passwords(entry)
    for request in requests:
        mkosi_plan.check(request)
    mkosi_plan.check_all(requests)
    if module.check_mode and not host.is_installed():
        return _unseen(module, requests)
    with contextlib.ExitStack() as locks:
        # Always in the same order, so that two runs cannot wait for each other.
        for directory in sorted(request.directory for request in requests):
            locks.enter_context(build.lock_of(directory))
        return _converge(module, [_look(request) for request in requests])


def _unseen(module: AnsibleModule, requests: t.Sequence[mkosi_plan.Request]) -> dict[str, t.Any]:
    """In check mode, before an earlier task of the same run has really installed mkosi."""
    there = [request for request in requests if request.state != "absent"]
    if there:
        module.warn(
            "mkosi is not installed on this host yet: whether it understands the configuration, "
            "and whether what it would build is there already, shows only when it is"
        )
    steps = [step for request in there for step in mkosi_plan.plan_unseen(request)]
    looked = [_look(request) for request in requests if request.state == "absent"]
    steps += [step for _request, _seen, plan in looked for step in plan]
    return core_module.converge(module, ordered(steps), act.VERBS)


def _look(request: mkosi_plan.Request) -> Looked:
    try:
        if request.state == "absent":
            remains = act.remains(request)
            return request, remains, mkosi_plan.plan_absent(request, remains)
        seen = act.snapshot(request)
        return request, seen, mkosi_plan.plan(request, seen)
    except Failure as failure:
        raise Failure(f"{request.directory}: {failure.message}", **failure.details) from None


def _converge(module: AnsibleModule, looked: t.Sequence[Looked]) -> dict[str, t.Any]:
    for request, seen, plan in looked:
        for warning in warnings_of(request, seen, plan):
            module.warn(f"{request.directory}: {warning}")
    plan = ordered(step for _request, _seen, plan in looked for step in plan)
    if not module.check_mode:
        for request, seen, _plan in looked:
            if isinstance(seen, mkosi_plan.Snapshot):
                act.claim(request, seen)
    result = core_module.converge(module, plan, act.VERBS, workers=WORKERS)
    told = []
    for request, seen, _plan in looked:
        if isinstance(seen, mkosi_plan.Snapshot):
            if not module.check_mode:
                act.settle(request, seen)
            told.append(act.tell(request, seen))
    return {**result, "builds": told} if told else result


def warnings_of(request: mkosi_plan.Request, seen: Seen, plan: Plan) -> list[str]:
    if isinstance(seen, mkosi_plan.Remains) or request.state != "built":
        return []
    # Of other names once, when they are written; a run that changes nothing has no news.
    configuration = os.path.join(request.directory, mkosi_files.CONFIGURATION)
    written = any((step.verb, step.subject) == ("write", configuration) for step in plan)
    said = list(seen.warnings) if written else []
    if mkosi_plan.held_back(request, seen):
        said.append(
            f"image {request.import_as} was left as it is, though it was built from something"
            " else; update: true builds it anew and replaces it"
        )
    return said


# --- arguments ------------------------------------------------------------------------------


def request_of(entry: t.Mapping[str, t.Any]) -> mkosi_plan.Request:
    """One build from its arguments; what cannot be meant is refused here."""
    repart = {
        name: text.normalise(sections, f"repart: {name}")
        for name, sections in entry["repart"].items()
    }
    contents = mkosi_files.Contents(
        scripts={name: _script(name, value) for name, value in entry["scripts"].items()},
        sandbox=_tree("sandbox_files", entry),
        skeleton=_tree("skeleton_files", entry),
        extra=_tree("extra_files", entry),
        repart=repart,
        users=mkosi_files.users_of(entry["users"]),
    )
    known = {field.name for field in dataclasses.fields(mkosi_plan.Request)}
    given = {key: value for key, value in entry.items() if key in known and value is not None}
    given.update(config=sections_of(entry["config"]), contents=contents)
    return mkosi_plan.Request(**given)


def sections_of(config: t.Any) -> t.Optional[dict[str, dict[str, text.Values]]]:
    if config is None:
        return None
    if isinstance(config, str):
        config = text.parse(config, "config")
    if not isinstance(config, t.Mapping):
        raise Failure(
            f"config is {type(config).__name__}; expected sections with their settings, or the"
            " text of a mkosi.conf"
        )
    return text.normalise(config)


def _script(name: str, value: t.Any) -> mkosi_files.Script:
    text, rest = _content(f"scripts: {name}", value, ("chroot",))
    chroot = rest.get("chroot")
    if chroot not in (None, True, False):
        raise Failure(f"scripts: {name}: chroot is {chroot!r}; expected true or false")
    return mkosi_files.Script(text, chroot)


def _tree(option: str, entry: t.Mapping[str, t.Any]) -> dict[str, mkosi_files.File]:
    files = {}
    for path, value in entry[option].items():
        what = f"{option}: {path}"
        text, rest = _content(what, value, ("mode",))
        files[path] = mkosi_files.File(text, _mode(what, rest.get("mode")))
    return files


def _content(what: str, value: t.Any, others: t.Sequence[str]) -> tuple[str, t.Mapping[str, t.Any]]:
    """The text of a file, given as it is, as content, or as the path of a file of the host."""
    if not isinstance(value, t.Mapping):
        value = {"content": value}
    unknown = sorted(set(value) - {"content", "src", *others})
    if unknown or ("content" in value) == ("src" in value):
        raise Failure(
            f"{what}: expected a text, or a dictionary with either content or src and perhaps"
            f" {' and '.join(others)}; found {', '.join(map(str, value)) or 'nothing'}"
        )
    if "src" in value:
        text = files.read(str(value["src"]))
        if text is None:
            raise Failure(f"{what}: this host has no file {value['src']}")
        return text, value
    if not isinstance(value["content"], str):
        raise Failure(f"{what}: the content is {value['content']!r}; expected a text")
    text = value["content"]
    return text if text.endswith("\n") else f"{text}\n", value


def _mode(what: str, mode: t.Any) -> int:
    if mode is None:
        return 0o644
    try:
        number = int(mode, 8) if isinstance(mode, str) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 0o7777:
        raise Failure(f"{what}: mode is {mode!r}; expected octal digits in quotes, such as '0644'")
    return number


def hide_passwords(entry: dict[str, t.Any]) -> None:
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
