# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixtures of all scenarios' tests.

A test with ``host`` runs once for each host of the inventory; a test with ``machine`` once for
each machine that the scenario's ``machines_wanted`` names, on each host.
"""

from __future__ import annotations

import functools
import json
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit import (
    hosts,
    nspawn,
    playbook,
    state,
)

nspawn.register()

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each host or machine that it speaks of."""
    inventory = _inventory_of(metafunc.config)
    if "on" in metafunc.fixturenames:
        metafunc.parametrize("on", inventory.names, scope="session")
    if "machine" in metafunc.fixturenames:
        names = [f"{name}@{host}" for host in inventory.names for name in inventory.machines(host)]
        metafunc.parametrize("machine", names, indirect=True, scope="session")


def _inventory_of(config: pytest.Config) -> hosts.Inventory:
    """What Molecule hands over as pytest's option, and what the scenario adds."""
    given = config.getoption("--ansible-inventory")
    if not given:
        raise pytest.UsageError("these tests need hosts: run 'molecule verify -s SCENARIO'")
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "inventory")
    return _inventory(given, *([str(scenario)] if scenario.is_dir() else []))


@functools.cache
def _inventory(*sources: str) -> hosts.Inventory:
    return hosts.Inventory(sources)


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> hosts.Inventory:
    return _inventory_of(pytestconfig)


@pytest.fixture(scope="session")
def host(on: str, inventory: hosts.Inventory) -> hosts.Host:
    """A host; ``on`` is its name."""
    return inventory.host(on)


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest, inventory: hosts.Inventory) -> hosts.Machine:
    """A machine, inside and outside."""
    name, _at, on = request.param.partition("@")
    return inventory.machine(name, on)


@pytest.fixture(scope="session")
def machines(on: str, inventory: hosts.Inventory) -> t.Mapping[str, hosts.Machine]:
    """All machines of a host, by name."""
    return {name: inventory.machine(name, on) for name in inventory.machines(on)}


Look = t.Callable[[], dict[str, state.State]]


@pytest.fixture(scope="session")
def look(inventory: hosts.Inventory) -> Look:
    """Reads the state of all hosts, at the time of the call."""
    source = Path(state.__file__).read_text()

    def read(name: str) -> state.State:
        return t.cast(
            state.State, json.loads(inventory.host(name).check_output("python3 -c %s", source))
        )

    def look_now() -> dict[str, state.State]:
        with ThreadPoolExecutor() as pool:
            return dict(zip(inventory.names, pool.map(read, inventory.names), strict=True))

    return look_now


@pytest.fixture(scope="session")
def before(on: str) -> state.State:
    """How a host was when the scenario was prepared."""
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], f"before-{on}.json")
    return t.cast(state.State, json.loads(path.read_text()))


@pytest.fixture(scope="session")
def play(inventory: hosts.Inventory) -> t.Callable[..., playbook.Run]:
    """Runs a playbook on all hosts: one of the collection by its name, or a file."""

    def play_now(name: str | Path, *arguments: str) -> playbook.Run:
        path = name if isinstance(name, Path) else PLAYBOOKS / f"{name}.yml"
        return playbook.play(path, inventory.sources, *arguments)

    return play_now
