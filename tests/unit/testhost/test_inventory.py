# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st
from testhost import inventory, places
from testhost.network import Link

KEYS = st.from_regex(r"\A[a-z_]{1,10}\Z")
# What variables are made of; in a block, YAML keeps neither leading blanks nor odd line ends.
LINES = st.from_regex(r"\A[A-Za-z:/#'{][ -~]{0,20}\Z").map(str.rstrip)
SCALARS = st.one_of(
    st.text(alphabet=st.characters(codec="ascii", exclude_characters="\n"), max_size=20),
    st.integers(),
    st.booleans(),
    st.lists(LINES, min_size=2, max_size=4).map(lambda lines: "".join(f"{x}\n" for x in lines)),
)
TREES = st.recursive(
    st.dictionaries(KEYS, SCALARS, min_size=1, max_size=4),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(TREES)
def test_an_inventory_is_read_as_it_was_meant(tree: dict[str, object]) -> None:
    assert yaml.safe_load(inventory.yaml(tree)) == tree


def test_a_host_is_reached_by_its_address_and_its_own_host_key() -> None:
    host, link = places.host("web"), Link(2)
    read = yaml.safe_load(inventory.inventory(host, link, {"extra": 1}))
    variables = read["testhosts"]["hosts"]["web"]
    assert variables["ansible_host"] == link.address
    assert variables["extra"] == 1
    assert 'StrictHostKeyChecking="yes"' in variables["ansible_ssh_common_args"]
    assert str(host.known_hosts) in variables["ansible_ssh_common_args"]
