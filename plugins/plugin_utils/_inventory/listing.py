# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The inventory of machines. Private to the collection."""

from __future__ import annotations

import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.helpers import get_group_vars
from ansible.inventory.host import Host
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.plugins.inventory import (
    BaseInventoryPlugin,
    Cacheable,
    Constructable,
    to_safe_group_name,
)
from ansible.plugins.loader import connection_loader
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources

from ...module_utils._core.plan import Failure
from ...module_utils._core.printable import printable
from . import asking, kept, naming, variables
from .answer import Answer, Found, NoAnswer
from .reach import Reach

_ENDINGS = ("machined.yml", "machined.yaml")
_OURS = (variables.HERE, variables.OVER_SSH, variables.IMAGE)
# The group "all" is not whole before all sources have been read.
_EVERYTHING = {"all": "*", "!all": "!*", "&all": "&*"}
# How many of many are named in a warning.
_SOME = 3
_LONGEST = 255


def _group_name(name: str) -> str:
    return str(to_safe_group_name(name))[:_LONGEST]


class MachinesInventory(BaseInventoryPlugin, Constructable, Cacheable):
    """Every machine of many hosts."""

    NAME = ""
    # There are, whenever something is called.
    inventory: t.Any
    loader: t.Any
    _sanitize_group_name = staticmethod(_group_name)

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(_ENDINGS)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            wanted = naming.filters_of(self.get_option("filters"))
            hosts = self._hosts()
            answers = self._answers(hosts, path, cache)
            found = [
                one for name, told in answers.items() for one in told.found if wanted.want(one)
            ]
            self._list(found, hosts)
        except Failure as error:
            raise AnsibleParserError(error.message) from None

    # --- hosts ---

    def _hosts(self) -> dict[str, Reach]:
        """Those that are asked: without machines that another source has found."""
        found, wrong = {}, {}
        for host in self._matching(self.get_option("hosts")):
            known = self._known(host)
            if known.get("ansible_connection") in _OURS:
                continue
            try:
                reach = Reach(host.name, known, self.loader)
            except AnsibleError as error:
                wrong[host.name] = NoAnswer(printable(str(error)))
            else:
                found[host.name] = reach
        self._without(wrong, {})
        return found

    def _matching(self, patterns: t.Sequence[str]) -> list[Host]:
        wanted = [_EVERYTHING.get(one, one) for one in split_host_pattern(patterns)]
        manager = InventoryManager(self.loader, parse=False)
        manager._inventory = self.inventory
        hosts: list[Host] = manager.get_hosts(wanted)
        if not hosts:
            self.warn(f"no host matches {', '.join(patterns)}; name its source before this one")
        return hosts

    def _known(self, host: Host) -> dict[str, t.Any]:
        """The variables of a host, as far as there are any before there is a play."""
        sources = getattr(self.inventory, "processed_sources", [])
        groups = host.get_groups()
        known: dict[str, t.Any] = {}
        for more in (
            get_group_vars(groups),
            get_vars_from_inventory_sources(self.loader, sources, groups, "all"),
            host.get_vars(),
            get_vars_from_inventory_sources(self.loader, sources, [host], "all"),
        ):
            known = combine_vars(known, more)
        return dict(combine_vars(known, self._vars))

    def _answers(self, hosts: t.Mapping[str, Reach], path: str, fresh: bool) -> dict[str, Answer]:
        wish = asking.Wish(
            stopped=self.get_option("stopped"),
            images=self.get_option("images"),
            timeout=self.get_option("timeout"),
        )
        memory = kept.Kept(self, f"{self.get_cache_key(path)}_{wish.stopped:d}{wish.images:d}")
        answers = memory.fresh(hosts) if fresh else {}
        asked = [host for name, host in hosts.items() if name not in answers]
        told = asking.ask_all(asked, wish, max(1, self.get_option("forks")))
        wrong = {}
        for name, raw in told.items():
            try:
                answers[name] = kept.believed(name, raw)
                memory.keep(name, raw)
            except NoAnswer as error:
                wrong[name] = error
        older = memory.older(wrong)
        self._without(wrong, older)
        answers.update(older)
        for name, answer in answers.items():
            self._doubt(name, answer)
        return {name: answers[name] for name in hosts if name in answers}

    def _without(self, wrong: t.Mapping[str, NoAnswer], older: t.Mapping[str, Answer]) -> None:
        """What becomes of hosts that did not answer."""
        how = self.get_option("unreachable")
        if how == "fail" and wrong:
            told = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
            raise AnsibleParserError(f"hosts that do not tell their machines: {told}")
        for name, reason in wrong.items() if how == "warn" else ():
            then = "its machines are left out"
            if name in older:
                age = max(0, round(time.time() - older[name].asked))
                then = f"its machines are those of {age} s ago"
            self.warn(f"{name} does not tell its machines, {then}: {reason}")

    def _doubt(self, host: str, answer: Answer) -> None:
        if answer.doubts:
            some = "; ".join(answer.doubts[:_SOME])
            count = len(answer.doubts)
            self.warn(f"not all that {host} tells of can be listed, {count} are left out: {some}")

    def warn(self, text: str) -> None:
        self.display.warning(f"{self.NAME}: {text}")

    # --- machines ---

    def _list(self, found: t.Sequence[Found], hosts: t.Mapping[str, Reach]) -> None:
        lister = _Lister(self, {name: hosts[name].way for name in {one.host for one in found}})
        values = lister.values(found)
        groups = [list(map(_group_name, variables.groups_of(one))) for one in found]
        own = {variables.MACHINES, *(name for some in groups for name in some)}
        taken = lister.taken(own | set(map(_group_name, self.get_option("groups"))))
        named = naming.names_of([lister.wished(one) for one in values], found, taken)
        lister.tell_left(found, named)
        for group in sorted(own):
            self.inventory.add_group(group)
        for name, index in named.items():
            self.inventory.add_host(name)
            for key, value in values[index].items():
                self.inventory.set_variable(name, key, value)
            for group in groups[index]:
                self.inventory.add_host(name, group)
        self._construct(named)
        # In this process, as Ansible does with plugins of its own before it forks: every task of
        # every machine would load and compile it anew, for 20 ms.
        for kind in {values[index]["ansible_connection"] for index in named.values()}:
            connection_loader.get(kind, class_only=True)

    def _construct(self, names: t.Iterable[str]) -> None:
        """What the user makes of it. Groups come when all has been set: names could be alike."""
        strict = self.get_option("strict")
        hosts = [self.inventory.get_host(name) for name in names]
        for host in hosts:
            compose = self.get_option("compose")
            self._set_composite_vars(compose, host.get_vars(), host.name, strict=strict)
        for add, option in (
            (self._add_host_to_composed_groups, "groups"),
            (self._add_host_to_keyed_groups, "keyed_groups"),
        ):
            wanted = self.get_option(option)
            for host in hosts if wanted else ():
                add(wanted, host.get_vars(), host.name, strict=strict, fetch_hostvars=False)


class _Lister:
    """What the machines that were found are in the inventory."""

    def __init__(self, plugin: MachinesInventory, ways: t.Mapping[str, variables.Way]) -> None:
        self._plugin = plugin
        self._ways = ways

    def values(self, found: t.Iterable[Found]) -> list[dict[str, t.Any]]:
        """The variables of each."""
        allowed = self._plugin.get_option("connection_vars")
        wanted = self._plugin.get_option("vars")
        values, without = [], []
        for one in found:
            declared, left = variables.declared_of(one, allowed) if wanted else ({}, [])
            without += [f"{one.name} of {one.host}: {printable(name[:99])}" for name in left]
            facts = variables.facts_of(one)
            values.append(
                {**declared, **facts, **variables.connection_of(one, self._ways[one.host])}
            )
        if without:
            some = "; ".join(without[:_SOME])
            self._plugin.warn(
                "not all variables of declarations are taken (connection_vars says which),"
                f" {len(without)} are left out: {some}"
            )
        return values

    def taken(self, own: set[str]) -> set[str]:
        """The names that mean something else: all groups, and hosts that are no machines yet."""
        inventory = self._plugin.inventory
        known = set(inventory.hosts)
        for group in (variables.MACHINES, variables.IMAGES):
            if group in inventory.groups:
                known -= {host.name for host in inventory.groups[group].get_hosts()}
        return {*known, *inventory.groups, *C.LOCALHOST, *own}

    def wished(self, values: dict[str, t.Any]) -> str:
        """The name that the user wishes for one."""
        name = str(values["nspawn_name"])
        template = self._plugin.get_option("hostname")
        if not template:
            return name
        templar = self._plugin.templar
        templar.available_variables = values
        try:
            wish = templar.template(template)
        except AnsibleError as error:
            if self._plugin.get_option("strict"):
                raise AnsibleParserError(f"hostname of {printable(name)}: {error}") from error
            return name
        return str(wish).strip()[:_LONGEST] or name

    def tell_left(self, found: t.Sequence[Found], named: t.Mapping[str, int]) -> None:
        left = set(range(len(found))) - set(named.values())
        if left:
            some = "; ".join(
                f"{found[one].name} of {found[one].host}" for one in sorted(left)[:_SOME]
            )
            self._plugin.warn(f"no name is left for all machines, {len(left)} are left out: {some}")
