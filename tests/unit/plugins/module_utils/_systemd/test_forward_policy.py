# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._systemd.forward_policy import (
    drops,
    surprises,
)


def table(policy: str, *links: str) -> str:
    """As nft tells of a table of iptables."""
    where: dict[str, t.Any] = {"family": "ip", "table": "filter"}
    base = {"type": "filter", "hook": "forward", "prio": 0, "policy": policy}
    rules = [
        {
            "rule": {
                **where,
                "chain": "FORWARD",
                "expr": [
                    {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": link}},
                    {"counter": {"packets": 0, "bytes": 0}},
                    {"accept": None},
                ],
            }
        }
        for link in links
    ]
    return json.dumps(
        {
            "nftables": [
                {"metainfo": {"version": "1.1.3"}},
                {"table": {"family": "ip", "name": "filter", "handle": 1}},
                {"chain": {**where, "name": "FORWARD", **base}},
                {"chain": {**where, "name": "DOCKER-USER"}},
                *rules,
            ]
        }
    )


@pytest.mark.parametrize(
    ("text", "dropping"),
    [
        (table("drop", "docker0"), True),
        (table("accept", "docker0"), False),
        (table("drop", "docker0", "ve-*"), False),
        ('{"nftables": []}', False),
    ],
)
def test_a_chain_that_drops_and_does_not_know_machines_cuts_them_off(
    text: str, dropping: bool
) -> None:
    assert drops(text) is dropping


def test_the_lines_that_help_are_told() -> None:
    (told,) = surprises(["ip"])
    for line in ("in-interface ve-+", "out-interface ve-+", "in-interface vz-+"):
        assert f"iptables --insert FORWARD --{line} --jump ACCEPT;" in told
    (told,) = surprises(["ip6"])
    assert "ip6tables --insert FORWARD --in-interface ve-+ --jump ACCEPT;" in told
    assert list(surprises([])) == []
