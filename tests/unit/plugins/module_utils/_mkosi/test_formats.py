# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import text
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.formats import (
    Form,
    without_el_torito,
    without_endings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.spelling import Draft

ROOT: t.Any = {"10-root.conf": {"Partition": {"Type": ("root",)}}}
ESP: t.Any = {**ROOT, "00-esp.conf": {"Partition": {"Type": ("esp",)}}}


@pytest.mark.parametrize(
    ("output", "version", "repart", "without"),
    [
        ({}, 27, {}, True),
        ({"Format": "disk"}, 27, ROOT, True),
        ({"Format": "disk", "Bootable": True}, 27, ROOT, True),
        ({"Format": "raw_gpt", "Bootable": False}, 27, {}, True),
        ({"Format": "raw_gpt", "Bootable": True}, 27, {}, False),
        ({"Format": "disk"}, 27, ESP, False),
        ({"Format": "disk", "ElTorito": True}, 27, ROOT, False),
        ({"Format": "directory"}, 27, {}, False),
        ({"Format": "disk"}, 25, ROOT, False),
        ({"Format": "gpt_ext4"}, 14, {}, False),
    ],
)
def test_a_disk_without_an_esp_has_no_boot_catalog(
    output: dict[str, t.Any], version: int, repart: t.Any, without: bool
) -> None:
    settings = text.normalise({"Output": output})
    now = without_el_torito(settings, version, repart)
    assert (now.get("Output", {}).get("ElTorito") == ("no",)) == without


@pytest.mark.parametrize("version", [25, 27])
def test_partitions_are_defined_only_for_what_the_old_words_said_of_a_disk(version: int) -> None:
    form = Form(Draft(version), "zstd", qcow2=False)
    form.handlers["Format"]("Output", "Format", ("disk",))
    assert form.definitions() == {}
    form.handlers["RootSize"]("Partitions", "RootSize", ("5G",))
    assert form.definitions()["10-root.conf"]["Partition"]["SizeMaxBytes"] == ("5G",)


@pytest.mark.parametrize(
    ("name", "bare"),
    [("leap.raw.xz", "leap"), ("leap.tar", "leap"), ("leap-15.1", "leap-15.1"), (".raw", ".raw")],
)
def test_an_output_is_called_without_its_endings(name: str, bare: str) -> None:
    assert without_endings(name) == bare
