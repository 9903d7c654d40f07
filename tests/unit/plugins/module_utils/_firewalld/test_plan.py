# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Plan,
    Step,
    apply,
    describe,
    diff,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    BINDINGS,
    POLICY,
    ZONE,
    Key,
    Settings,
    changed,
    coalesced,
    defaults_of,
    freeze,
    identities,
    items_of,
    properties_of,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.plan import (
    plan,
    zones_after,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.record import (
    Record,
    parse_record,
    record_text,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.reload import (
    lost_bindings,
    lost_settings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.seen import Entry, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.xml import edit, read

PUBLIC, HOME, WORK = (Key(ZONE, name) for name in ("public", "home", "work"))
MACHINED, EXTRA = Key(ZONE, "machined"), Key(ZONE, "extra")
OUT, OTHER = Key(POLICY, "machined-policy"), Key(POLICY, "other")
SERVICES = frozenset(["ssh", "http", "dhcp", "dhcpv6-client", "dns"])

VENDOR = {
    PUBLIC: '<zone><short>Public</short><service name="ssh"/><forward/></zone>\n',
    HOME: '<zone><!-- at home --><service name="ssh"/><service name="http"/></zone>\n',
}


class Firewall:
    """A model of firewalld: files, the running firewall, and what it refuses."""

    def __init__(self, admin: t.Optional[t.Mapping[Key, str]] = None, **more: t.Any) -> None:
        self.admin = dict(admin or {})
        self.backups: dict[Key, str] = {}
        self.record: Record = {}
        self.running = True
        self.version = (2, 3, 1)
        self.uplinks: tuple[str, ...] = ()
        self.reloads = 0
        vars(self).update(more)
        self.live: dict[Key, Settings] = dict(self.permanent()) if self.running else {}

    def copy(self) -> Firewall:
        other = Firewall(self.admin, version=self.version, running=self.running)
        other.backups, other.live, other.record = dict(self.backups), dict(self.live), self.record
        return other

    def permanent(self) -> dict[Key, Settings]:
        texts = {**VENDOR, **self.admin}
        return {key: read(key.kind, text) for key, text in texts.items()}

    def snapshot(self, recording: str | None = None) -> Snapshot:
        entries = {
            key: Entry(
                settings,
                read(key.kind, VENDOR[key]) if key in VENDOR else None,
                self.admin.get(key),
            )
            for key, settings in self.permanent().items()
        }
        return Snapshot(
            version=self.version,
            running=self.running,
            default_zone="public",
            entries=entries,
            backups=dict(self.backups),
            live=dict(self.live),
            services=SERVICES,
            live_services=SERVICES,
            icmp_types=frozenset(["echo-request"]),
            uplinks=self.uplinks,
            recording=recording,
            # As it is kept on a host.
            record=parse_record("record", record_text(self.record)) if recording else {},
        )

    def converge(self, *wanted: Wanted, record: str | None = None, **options: t.Any) -> Plan:
        steps = plan(self.snapshot(record), wanted, **options)
        self.apply(steps)
        return steps

    def apply(self, steps: Plan) -> None:
        verbs = {
            "open": self._write_record,
            "close": self._write_record,
            "unbind": self._change,
            "create": self._create,
            "change": self._change,
            "remove": self._remove,
            "reset": self._remove,
            "restore": self._restore,
            "reload": self._reload,
            "unbind live": self._change_live,
            "change live": self._change_live,
        }
        failure = apply(steps, verbs, workers=1).failure()
        if failure:
            raise AssertionError(failure.message)

    def _write_record(self, step: Step) -> None:
        self.record = step.arguments["record"]

    def _create(self, step: Step) -> None:
        key = step.arguments["key"]
        assert key not in self.permanent(), f"{key} is there already"
        self._write(key, {**defaults_of(key.kind), **step.arguments["settings"]})

    def _change(self, step: Step) -> None:
        key = step.arguments["key"]
        self._write(key, {**self.permanent()[key], **step.arguments["settings"]})

    def _write(self, key: Key, new: Settings) -> None:
        if key in self.admin:
            self.backups[key] = self.admin[key]
        self.admin[key] = edit(key.kind, self.admin.get(key, VENDOR.get(key)), new)
        check(self.permanent())

    def _remove(self, step: Step) -> None:
        key = step.arguments["key"]
        self.backups[key] = self.admin.pop(key)
        check(self.permanent())
        self._tidy(step)

    def _restore(self, step: Step) -> None:
        self._change(step)
        key = step.arguments["key"]
        assert not changed(key.kind, self.permanent()[key], read(key.kind, step.arguments["file"]))
        self.admin[key] = step.arguments["file"]
        self._tidy(step)

    def _tidy(self, step: Step) -> None:
        key = step.arguments["key"]
        if step.arguments.get("tidy", True):
            self.backups.pop(key)
            if step.arguments["backup"] is not None:
                self.backups[key] = step.arguments["backup"]

    def _change_live(self, step: Step) -> None:
        self._set_live(step.arguments["key"], step.arguments["settings"])

    def _set_live(self, key: Key, new: Settings) -> None:
        table = properties_of(key.kind)
        assert all(table[name].live for name in new), f"{new} cannot be set without a reload"
        assert changed(key.kind, self.live[key], {**self.live[key], **new}), "an idle call"
        self.live[key] = freeze({**self.live[key], **new})
        check(self.live)

    def _reload(self, step: Step) -> None:
        self.reloads += 1
        goals = {**self.live, **step.arguments["live"]}
        self.live = dict(self.permanent())
        for finder in (lost_bindings, lost_settings):
            for key, new in finder(self.live, goals):
                self._set_live(key, new)


def check(states: t.Mapping[Key, Settings]) -> None:
    """What firewalld itself refuses."""
    for name in BINDINGS:
        items = [item for state in states.values() for item in items_of(state, name)]
        assert len(items) == len(set(items)), f"bound twice: {items}"
    zones = {key.name for key in states if key.kind == ZONE} | {"HOST", "ANY"}
    for key, state in states.items():
        for side in ("ingress_zones", "egress_zones"):
            assert set(items_of(state, side)) <= zones, f"{key} names a zone that is not there"


def zone(key: Key, *, present: bool = True, exclusive: bool = False, **values: t.Any) -> Wanted:
    without = values.pop("without", {})
    return Wanted(key, present, exclusive, freeze(values), without)


MACHINES = zone(MACHINED, services=("dhcp", "dhcpv6-client"), interfaces=("ve-+", "vz-+"))
WAY_OUT = zone(
    OUT, ingress_zones=("machined",), egress_zones=("DEFAULT",), target="ACCEPT", masquerade=True
)

# --- examples -------------------------------------------------------------------------------


def test_a_zone_and_a_policy_are_made_with_one_reload() -> None:
    firewall = Firewall()
    steps = firewall.converge(MACHINES, WAY_OUT)
    assert describe(steps) == [
        "create zone machined",
        "create policy machined-policy",
        "reload firewalld",
    ]
    assert firewall.live[OUT]["egress_zones"] == ("public",)


def test_a_service_more_needs_no_reload() -> None:
    firewall = Firewall()
    firewall.converge(MACHINES, WAY_OUT)
    steps = firewall.converge(zone(MACHINED, services=("dns",)))
    assert describe(steps) == ["change zone machined", "change live zone machined"]


def test_a_service_lost_in_the_running_firewall_only_comes_back_there_only() -> None:
    firewall = Firewall()
    firewall.converge(MACHINES)
    firewall.live[MACHINED] = freeze({**firewall.live[MACHINED], "services": ("dhcp",)})
    steps = plan(firewall.snapshot(), [MACHINES])
    assert describe(steps) == ["change live zone machined"]
    (shown,) = diff(steps)
    assert shown["before"] == 'services (running firewall): ["dhcp"]\n'


def test_the_diff_shows_a_change_of_both_once() -> None:
    firewall = Firewall()
    firewall.converge(MACHINES)
    (shown,) = diff(plan(firewall.snapshot(), [zone(MACHINED, services=("dns",))]))
    assert shown["before_header"] == "zone machined"
    assert shown["after"] == 'services: ["dhcp", "dhcpv6-client", "dns"]\n'


def test_a_target_needs_a_reload_and_gets_one() -> None:
    firewall = Firewall()
    steps = firewall.converge(zone(PUBLIC, target="DROP"))
    assert describe(steps) == ["change zone public", "reload firewalld"]
    assert firewall.live[PUBLIC]["target"] == "DROP"


def test_a_description_alone_is_no_reason_to_reload() -> None:
    steps = plan(Firewall().snapshot(), [zone(PUBLIC, description="Ours")])
    assert describe(steps) == ["change zone public"]


def test_a_service_that_the_running_firewall_does_not_know_yet_needs_a_reload() -> None:
    seen = dataclasses.replace(Firewall().snapshot(), live_services=frozenset(["ssh"]))
    assert "reload firewalld" in describe(plan(seen, [zone(PUBLIC, services=("dns",))]))


def test_a_reload_keeps_what_somebody_set_in_the_running_firewall_only() -> None:
    firewall = Firewall()
    firewall.live[HOME] = freeze(
        {**firewall.live[HOME], "interfaces": ("wlan0",), "services": ("ssh",)}
    )
    firewall.converge(MACHINES)
    assert firewall.reloads == 1
    assert firewall.live[HOME]["interfaces"] == ("wlan0",)
    assert firewall.live[HOME]["services"] == ("ssh",)


def test_exclusive_lists_lose_the_rest_and_lists_not_given_stay() -> None:
    firewall = Firewall()
    firewall.converge(zone(HOME, ports=("80/tcp",)))
    firewall.converge(zone(HOME, exclusive=True, services=("dns",)))
    assert firewall.live[HOME]["services"] == ("dns",)
    assert firewall.live[HOME]["ports"] == ("80/tcp",)


def test_single_elements_can_be_taken_out() -> None:
    firewall = Firewall()
    firewall.converge(zone(HOME, without={"services": ("http",)}))
    assert firewall.permanent()[HOME]["services"] == firewall.live[HOME]["services"] == ("ssh",)


def test_an_interface_moves_to_the_zone_that_names_it() -> None:
    firewall = Firewall({WORK: '<zone><interface name="eth0"/></zone>'})
    steps = firewall.converge(zone(HOME, interfaces=("eth0",)))
    assert describe(steps)[0] == "unbind zone work"
    assert firewall.live[WORK]["interfaces"] == ()


def test_two_zones_can_swap_their_interfaces() -> None:
    firewall = Firewall(
        {
            WORK: '<zone><interface name="eth0"/></zone>',
            EXTRA: '<zone><interface name="eth1"/></zone>',
        }
    )
    firewall.converge(zone(WORK, interfaces=("eth1",)), zone(EXTRA, interfaces=("eth0",)))
    assert firewall.live[WORK]["interfaces"] == ("eth1",)
    assert firewall.permanent()[EXTRA]["interfaces"] == ("eth0",)


def test_with_firewalld_stopped_only_files_are_changed() -> None:
    firewall = Firewall(running=False)
    steps = firewall.converge(MACHINES, WAY_OUT)
    assert describe(steps) == ["create zone machined", "create policy machined-policy"]


def test_a_zone_goes_after_the_policy_that_uses_it() -> None:
    firewall = Firewall()
    firewall.converge(MACHINES, WAY_OUT)
    steps = firewall.converge(zone(MACHINED, present=False), zone(OUT, present=False))
    assert describe(steps) == [
        "remove policy machined-policy",
        "remove zone machined",
        "reload firewalld",
    ]


# --- the default zone before 2.0 ------------------------------------------------------------


def test_before_2_0_the_uplink_is_bound_so_that_the_policy_works() -> None:
    firewall = Firewall(version=(1, 3, 3), uplinks=("eth0",))
    firewall.converge(MACHINES, WAY_OUT, record="r", bind_uplinks=True)
    assert firewall.live[PUBLIC]["interfaces"] == ("eth0",)
    again = plan(firewall.snapshot("r"), [MACHINES, WAY_OUT], bind_uplinks=True)
    assert describe(again) == []
    firewall.converge(record="r")
    assert firewall.live[PUBLIC]["interfaces"] == ()
    assert firewall.admin == {}


def test_from_2_0_on_nothing_is_bound() -> None:
    firewall = Firewall(uplinks=("eth0",))
    firewall.converge(MACHINES, WAY_OUT, bind_uplinks=True)
    assert PUBLIC not in firewall.admin


def test_an_uplink_that_has_a_zone_stays_in_it() -> None:
    firewall = Firewall(
        {WORK: '<zone><interface name="eth0"/></zone>'}, version=(1, 3, 3), uplinks=("eth0", "eth1")
    )
    firewall.converge(MACHINES, WAY_OUT, bind_uplinks=True)
    assert firewall.live[PUBLIC]["interfaces"] == ("eth1",)


def test_links_of_machines_are_no_way_out() -> None:
    firewall = Firewall(version=(1, 3, 3), uplinks=("eth0", "ve-web", "vz-pair"))
    firewall.converge(MACHINES, WAY_OUT, bind_uplinks=True)
    assert firewall.live[PUBLIC]["interfaces"] == ("eth0",)


def test_a_default_zone_that_somebody_bound_an_interface_to_is_left_alone() -> None:
    firewall = Firewall(version=(1, 3, 3), uplinks=("eth0",))
    firewall.live[PUBLIC] = freeze({**firewall.live[PUBLIC], "interfaces": ("eth1",)})
    firewall.converge(MACHINES, WAY_OUT, bind_uplinks=True)
    assert PUBLIC not in firewall.admin


@pytest.mark.parametrize(("leaving", "bound"), [((), ()), (("vpn0",), ("eth0",))])
def test_a_link_that_leaves_the_default_zone_does_not_count_as_bound_to_it(
    leaving: tuple[str, ...], bound: tuple[str, ...]
) -> None:
    firewall = Firewall(version=(1, 3, 3), uplinks=("vpn0", "eth0"))
    firewall.live[PUBLIC] = freeze({**firewall.live[PUBLIC], "interfaces": ("vpn0",)})
    seen = dataclasses.replace(firewall.snapshot("r"), leaving=frozenset(leaving))
    after = zones_after(seen, [MACHINES, WAY_OUT], bind_uplinks=True)
    assert after["public"]["interfaces"] == bound


# --- the record -----------------------------------------------------------------------------


def test_a_later_call_takes_back_what_it_does_not_want_any_more() -> None:
    firewall = Firewall()
    firewall.converge(MACHINES, zone(PUBLIC, masquerade=True), record="r")
    firewall.converge(MACHINES, zone(HOME, masquerade=True), record="r")
    assert firewall.live[PUBLIC]["masquerade"] is False
    assert firewall.live[HOME]["masquerade"] is True
    assert PUBLIC not in firewall.admin


def test_what_somebody_else_added_meanwhile_stays() -> None:
    firewall = Firewall()
    firewall.converge(zone(PUBLIC, services=("http",)), record="r")
    firewall.converge(zone(PUBLIC, services=("dns",)))
    firewall.converge(record="r")
    assert firewall.permanent()[PUBLIC]["services"] == ("ssh", "dns")


def test_an_interface_that_somebody_bound_elsewhere_meanwhile_stays_there() -> None:
    firewall = Firewall(
        {WORK: '<zone><interface name="eth0"/></zone>', EXTRA: "<zone></zone>"},
    )
    firewall.converge(zone(HOME, interfaces=("eth0",)), record="r")
    firewall.converge(zone(EXTRA, interfaces=("eth0",)))
    firewall.converge(record="r")
    assert firewall.live[EXTRA]["interfaces"] == ("eth0",)
    assert firewall.live[WORK]["interfaces"] == ()


def test_a_move_that_was_cut_off_before_the_running_firewall_can_be_taken_back() -> None:
    firewall = Firewall()
    firewall.converge(zone(WORK, interfaces=("eth0",)), record="r")
    cut = plan(firewall.snapshot("r"), [zone(PUBLIC, interfaces=("eth0",))])
    firewall.apply(tuple(step for step in cut if step.verb in ("open", "unbind")))
    firewall.converge(record="r")
    assert firewall.admin == {}
    assert WORK not in firewall.live


def test_a_second_target_that_was_cut_off_does_not_hide_the_first() -> None:
    firewall = Firewall()
    firewall.converge(zone(PUBLIC, target="DROP"), record="r")
    cut = plan(firewall.snapshot("r"), [zone(PUBLIC, target="ACCEPT")])
    firewall.apply(tuple(step for step in cut if step.verb == "open"))
    firewall.converge(record="r")
    assert firewall.live[PUBLIC]["target"] == "default"


def test_a_backup_of_somebody_elses_is_put_back() -> None:
    firewall = Firewall({WORK: "<zone><!-- mine --></zone>"})
    firewall.backups[WORK] = "older"
    firewall.converge(zone(WORK, services=("dns",)), record="r")
    firewall.converge(zone(WORK, services=("http",)), record="r")
    firewall.converge(record="r")
    assert firewall.admin == {WORK: "<zone><!-- mine --></zone>"}
    assert firewall.backups == {WORK: "older"}


def test_a_record_of_nothing_is_not_written() -> None:
    steps = plan(Firewall().snapshot("r"), [zone(PUBLIC, services=("ssh",))])
    assert describe(steps) == []


# --- properties -----------------------------------------------------------------------------

ZONE_KEYS = [PUBLIC, HOME, WORK, MACHINED, EXTRA]
POLICY_KEYS = [OUT, OTHER]


def some(*values: str, most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=most).map(tuple)


PORTS = some("80/tcp", "80-85/tcp", "84-90/tcp", "80/udp").map(coalesced)
RULES = some(
    "rule service name=ssh accept",
    'rule service name="http" drop',
    'rule family="ipv4" source address="192.0.2.1" accept',
)
ZONE_VALUES: dict[str, st.SearchStrategy] = {
    "services": some(*sorted(SERVICES)),
    "ports": PORTS,
    "interfaces": some("eth0", "eth1", "ve-+"),
    "sources": some("192.0.2.0/24", "ipset:friends"),
    "rich_rules": RULES,
    "masquerade": st.booleans(),
    "forward": st.booleans(),
    "target": st.sampled_from(["default", "ACCEPT", "DROP", "REJECT"]),
    "description": st.sampled_from(["", "words"]),
}
SIDE = st.one_of(
    some("public", "home", "machined", "DEFAULT").filter(bool),
    st.sampled_from([("HOST",), ("ANY",)]),
)
POLICY_VALUES: dict[str, st.SearchStrategy] = {
    "services": some(*sorted(SERVICES)),
    "ports": PORTS,
    "target": st.sampled_from(["CONTINUE", "ACCEPT"]),
    "priority": st.sampled_from([-1, 5]),
    "masquerade": st.booleans(),
}


def dictionary(
    values: t.Mapping[str, st.SearchStrategy[t.Any]],
) -> st.SearchStrategy[dict[str, t.Any]]:
    return st.fixed_dictionaries({}, optional=dict(values))


@st.composite
def firewalls(draw: st.DrawFn, synchronous: bool = False) -> Firewall:
    admin: dict[Key, str] = {}
    taken: set[str] = set()
    for key in draw(st.lists(st.sampled_from(ZONE_KEYS), unique=True, max_size=3)):
        values = draw(dictionary(ZONE_VALUES))
        for name in BINDINGS:
            values[name] = tuple(item for item in values.get(name, ()) if item not in taken)
            taken |= set(values[name])
        base = VENDOR.get(key, "<zone>\n  <!-- by hand -->\n</zone>\n")
        admin[key] = edit(ZONE, base, {**read(ZONE, base), **values})
    names = sorted({key.name for key in [*VENDOR, *admin]})
    for key in draw(st.lists(st.sampled_from(POLICY_KEYS), unique=True, max_size=2)):
        values = draw(dictionary(POLICY_VALUES))
        values["ingress_zones"] = (draw(st.sampled_from(names)),)
        values["egress_zones"] = (draw(st.sampled_from(names)),)
        admin[key] = edit(POLICY, None, {**defaults_of(POLICY), **values})
    firewall = Firewall(admin)
    if draw(st.booleans()):
        firewall.backups = dict.fromkeys([*admin, MACHINED, OUT], "<zone/>\n")
    if not synchronous and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(key for key in firewall.live if key.kind == ZONE)))
        values = draw(dictionary({name: ZONE_VALUES[name] for name in ("services", "masquerade")}))
        firewall.live[key] = freeze({**firewall.live[key], **values})
        if "eth7" not in taken:
            firewall.live[key] = freeze({**firewall.live[key], "interfaces": ("eth7",)})
    return firewall


@st.composite
def some_wanted(draw: st.DrawFn, removals: bool = True) -> list[Wanted]:
    result = []
    taken: set[str] = set()
    for key in draw(st.lists(st.sampled_from([*ZONE_KEYS, *POLICY_KEYS]), unique=True, max_size=4)):
        present = not removals or draw(st.integers(0, 4)) > 0
        if key.kind == ZONE:
            values = draw(dictionary(ZONE_VALUES))
            for name in BINDINGS:
                if name in values:
                    values[name] = tuple(item for item in values[name] if item not in taken)
                    taken |= set(values[name])
        else:
            values = draw(dictionary(POLICY_VALUES))
            values["ingress_zones"], values["egress_zones"] = draw(SIDE), draw(SIDE)
        without = draw(dictionary({"services": some("telnet", "dns", most=1)}))
        gone = tuple(
            item for item in without.get("services", ()) if item not in values.get("services", ())
        )
        exclusive = key.kind == POLICY or draw(st.booleans())
        result.append(Wanted(key, present, exclusive, freeze(values), {"services": gone}))
    return result


def planned(firewall: Firewall, wanted: list[Wanted], record: str | None = None) -> Plan:
    """The plan, where what is wanted is possible here."""
    try:
        return plan(firewall.snapshot(record), wanted)
    except Failure:
        assume(False)
        raise


def fulfils(state: t.Mapping[str, t.Any], wanted: Wanted) -> bool:
    table = properties_of(wanted.key.kind)
    values: t.Mapping[str, t.Any] = wanted.settings
    for name, value in values.items():
        shape = table[name].shape
        if not table[name].is_list:
            if state[name] != value:
                return False
            continue
        value = tuple("public" if item == "DEFAULT" else item for item in value)
        have, want = state[name], identities(shape, value)
        if wanted.exclusive:
            if identities(shape, have) != want:
                return False
        elif identities(shape, (*have, *value)) != identities(shape, have):
            return False
    return all(not set(state[name]) & set(items) for name, items in wanted.without.items())


@given(firewalls(), some_wanted())
@settings(max_examples=100, deadline=None)
def test_applying_the_plan_gives_what_is_wanted_and_planning_again_gives_nothing(
    firewall: Firewall, wanted: list[Wanted]
) -> None:
    firewall.apply(planned(firewall, wanted))
    for one in wanted:
        for states in (firewall.permanent(), firewall.live):
            if one.present:
                names = {} if states is not firewall.live else {"description": ""}
                known = {name: value for name, value in one.settings.items() if name not in names}
                assert fulfils(states[one.key], dataclasses.replace(one, settings=known))
            else:
                assert one.key not in states
    assert describe(plan(firewall.snapshot(), wanted)) == []
    assert firewall.reloads <= 1


@given(firewalls(), some_wanted())
@settings(max_examples=100, deadline=None)
def test_nothing_that_is_not_named_is_touched(firewall: Firewall, wanted: list[Wanted]) -> None:
    before = (firewall.permanent(), dict(firewall.live))
    firewall.apply(planned(firewall, wanted))
    named = {one.key for one in wanted}
    claimed = {
        item
        for one in wanted
        if one.present
        for name in BINDINGS
        for item in items_of(one.settings, name)
    }
    for old, new in zip(before, (firewall.permanent(), firewall.live), strict=True):
        assert set(old) - named == set(new) - named
        for key in set(old) - named:
            expected: dict[str, t.Any] = dict(old[key])
            if key.kind == ZONE:
                for name in BINDINGS:
                    expected[name] = tuple(i for i in expected[name] if i not in claimed)
            assert not changed(key.kind, expected, new[key])
        for one in wanted:
            if one.present and one.key in old:
                kept = (
                    set(properties_of(one.key.kind)) - set(one.settings) - {*BINDINGS, "services"}
                )
                assert not kept & set(changed(one.key.kind, old[one.key], new[one.key]))


@given(firewalls(synchronous=True), st.lists(some_wanted(removals=False), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_was_recorded_is_taken_back_to_the_last_byte(
    firewall: Firewall, calls: list[list[Wanted]]
) -> None:
    before = (dict(firewall.admin), dict(firewall.backups), dict(firewall.live))
    for wanted in calls:
        firewall.apply(planned(firewall, wanted, "r"))
        assert describe(plan(firewall.snapshot("r"), wanted)) == []
    firewall.converge(record="r")
    assert (firewall.admin, firewall.backups) == before[:2]
    assert set(firewall.live) == set(before[2])
    for key, state in before[2].items():
        # A description alone is not worth a reload: the running firewall has it until the next.
        table = properties_of(key.kind)
        left = changed(key.kind, state, firewall.live[key])
        assert not [name for name in left if not table[name].cosmetic]
    assert firewall.record == {}


@given(
    firewalls(synchronous=True),
    some_wanted(removals=False),
    some_wanted(removals=False),
    st.integers(0, 8),
)
@settings(max_examples=100, deadline=None)
def test_a_call_that_was_cut_off_is_finished_or_taken_back_by_the_next(
    firewall: Firewall, first: list[Wanted], second: list[Wanted], steps: int
) -> None:
    before = (dict(firewall.admin), dict(firewall.backups))
    firewall.apply(planned(firewall, first, "r"))
    cut = planned(firewall, second, "r")
    firewall.apply(cut[:steps])
    finished = firewall.copy()
    finished.converge(*second, record="r")
    assert describe(plan(finished.snapshot("r"), second)) == []
    for one in second:
        assert fulfils(finished.permanent()[one.key], one)
    firewall.converge(record="r")
    assert (firewall.admin, firewall.backups) == before


@given(firewalls(synchronous=True), some_wanted())
@settings(max_examples=100, deadline=None)
def test_with_firewalld_stopped_the_files_come_out_the_same(
    firewall: Firewall, wanted: list[Wanted]
) -> None:
    stopped = Firewall(firewall.admin, running=False)
    firewall.apply(planned(firewall, wanted))
    stopped.apply(planned(stopped, wanted))
    for key, state in firewall.permanent().items():
        assert not changed(key.kind, state, stopped.permanent()[key])
