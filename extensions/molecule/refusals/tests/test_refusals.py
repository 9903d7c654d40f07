# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong input: a clear message before anything changes, and nothing half made afterwards."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit import served
from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import Inventory
from ansible_collections.nspawn.machined.extensions.molecule.testkit.playbook import Run, Task
from ansible_collections.nspawn.machined.extensions.molecule.testkit.state import (
    State,
    differences,
)


class Case(t.NamedTuple):
    """A task that must fail, and what its message must say."""

    title: str
    module: str
    arguments: dict[str, t.Any]
    says: tuple[str, ...]


def in_one_call(**entry: t.Any) -> dict[str, t.Any]:
    """The entry among others that are fine, so that theirs is what must not be done either."""
    fine = {"name": "fine", "image": "guest"}
    also_changed = {"name": "bystander", "state": "stopped"}
    return {"machines": [fine, {"image": "guest", **entry}, also_changed]}


WRONG_NAMES = {
    "a slash": ("a/b", "'/'"),
    "the way up": ("..", "empty"),
    "65 characters": ("a" * 65, "65 characters"),
    "a leading dash": ("-web", "hyphen"),
}
NAMES = [
    case
    for what, (name, reason) in WRONG_NAMES.items()
    for case in (
        Case(f"machines: {what}", "machines", in_one_call(name=name), (repr(name), reason)),
        Case(
            f"machine: {what}",
            "machine",
            {"name": ["bystander", name], "state": "stopped"},
            (repr(name), reason),
        ),
        Case(
            f"nspawn_settings: {what}",
            "nspawn_settings",
            {"name": name, "settings": {"Network": {"Zone": "quiet"}}},
            (repr(name), reason),
        ),
    )
]
IMAGE_NAMES = [
    Case(f"image: {what}", "image", {"name": name, "clone_from": "guest"}, (repr(name),))
    for what, name in (("a slash", "a/b"), ("the way up", ".."), ("a leading dash", "-web"))
]
SETTINGS = [
    Case(f"{module}: {title}", module, arguments, says)
    for title, settings, says in (
        ("an unknown key", {"Network": {"Zonne": "x"}}, ("Zonne", "Zone")),
        ("an unknown section", {"Netwrok": {"Zone": "x"}}, ("Netwrok", "Network")),
        (
            "a key newer than the host's systemd",
            {"Network": {"NamespacePath": "/run/netns/x"}},
            ("NamespacePath", "259", r"25[27]"),
        ),
    )
    for module, arguments in (
        ("machines", in_one_call(name="web", settings=settings)),
        ("nspawn_settings", {"name": "bystander", "settings": settings}),
    )
]
IMAGES = [
    Case(
        "machines: an image that does not exist",
        "machines",
        in_one_call(name="web", image="nosuch"),
        ("nosuch",),
    ),
    Case(
        "machine: a machine that does not exist",
        "machine",
        {"name": ["bystander", "nosuch"], "state": "restarted"},
        ("nosuch",),
    ),
    Case(
        "image: a clone of nothing", "image", {"name": "web", "clone_from": "nosuch"}, ("nosuch",)
    ),
    Case(
        "image: a file that does not exist",
        "image",
        {"name": "web", "path": "/srv/nosuch.tar", "remote_src": True},
        ("/srv/nosuch.tar",),
    ),
    Case(
        "image: a URL that answers 404",
        "image",
        {"name": "web", "url": "{{ testhost_url }}/nosuch.tar.gz", "verify": "none"},
        ("nosuch.tar.gz", "404"),
    ),
    Case(
        "images: a URL that answers 404, after one that is fine",
        "images",
        {
            "images": [
                {"name": "fine", "clone_from": "guest"},
                {"name": "web", "url": "{{ testhost_url }}/nosuch.tar.gz", "verify": "none"},
            ]
        },
        ("nosuch.tar.gz", "404"),
    ),
    Case(
        "image: a corrupt tar from a server",
        "image",
        {"name": "web", "url": f"{served.CORRUPT_URL}", "verify": "none"},
        (r"corrupt\.tar\.gz",),
    ),
    Case(
        "image: a corrupt tar from the controller",
        "image",
        {"name": "web", "path": f"{served.CORRUPT_PATH}"},
        (r"corrupt\.tar\.gz",),
    ),
    Case(
        "image: a connection that breaks",
        "image",
        {"name": "web", "url": f"{served.BROKEN_URL}", "verify": "none"},
        (r"whole\.tar\.gz",),
    ),
    Case(
        "image: another checksum",
        "image",
        {"name": "web", "url": f"{served.WHOLE_URL}", "checksum": f"sha256:{'0' * 64}"},
        ("0" * 64,),
    ),
]
FIREWALL = [
    Case(
        "firewalld: a zone and a policy of one name",
        "firewalld",
        {
            "zones": [{"name": "same", "services": ["dhcp"]}],
            "policies": [{"name": "same", "ingress_zones": ["public"], "egress_zones": ["HOST"]}],
        },
        ("same", "zone", "policy"),
    )
]
CASES = {case.title: case for case in (*NAMES, *IMAGE_NAMES, *SETTINGS, *IMAGES, *FIREWALL)}


class Refused(t.NamedTuple):
    """What became of all cases, and the hosts before and after."""

    tasks: dict[tuple[str, str], Task]
    before: dict[str, State]
    after: dict[str, State]


@pytest.fixture(scope="session")
def refused(
    play: t.Callable[..., Run],
    look: t.Callable[[], dict[str, State]],
    web_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Refused:
    """All cases in one run of Ansible, each task's failure ignored."""
    tasks = [
        {"name": case.title, f"nspawn.machined.{case.module}": case.arguments}
        for case in CASES.values()
    ]
    plays = [{"hosts": "all", "gather_facts": False, "ignore_errors": True, "tasks": tasks}]
    file = tmp_path_factory.mktemp("playbook") / "refusals.yml"
    file.write_text(json.dumps(plays))
    before = look()
    run = play(file)
    return Refused({(task.host, task.name): task for task in run.tasks}, before, look())


@pytest.mark.parametrize("title", CASES)
def test_wrong_input_is_refused_with_a_clear_message(refused: Refused, on: str, title: str) -> None:
    task = refused.tasks[on, title]
    assert task.outcome == "ignored", f"was not refused: {task.result}"
    assert "Traceback" not in json.dumps(task.result)
    for words in CASES[title].says:
        assert re.search(words, task.message), f"not {words!r} in: {task.message}"


def test_nothing_changes_and_nothing_half_made_is_left(refused: Refused, on: str) -> None:
    assert differences(refused.before[on], refused.after[on]) == {}


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"machines_wanted": [{"name": "-web", "image": "guest"}]}, "'-web'"),
        ({"machines_wanted": [{"name": "web", "settings": {"Exec": {"Bot": 1}}}]}, "Bot.*Boot"),
        ({"machines_wanted": [{"name": "web", "image": "nosuch"}]}, "nosuch"),
        ({"firewall_zone": "same", "firewall_policy": "same"}, "same"),
    ],
)
def test_site_yml_refuses_wrong_variables_before_anything_changes(
    play: t.Callable[..., Run],
    look: t.Callable[[], dict[str, State]],
    inventory: Inventory,
    variables: dict[str, t.Any],
    says: str,
) -> None:
    before = look()
    run = play("site", "--extra-vars", json.dumps(variables))
    after = look()
    for host in inventory.names:
        assert re.search(says, run.error(host))
        assert run.changed(host) == []
        assert differences(before[host], after[host]) == {}
