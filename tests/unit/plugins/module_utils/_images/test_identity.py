# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.nspawn.machined.plugins.module_utils._images.identity import identity_of


def test_a_link_is_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "other").symlink_to(tmp_path)
    found = identity_of(str(tmp_path / "link"))
    assert found.startswith("link:")
    assert found != identity_of(str(tmp_path / "other"))
    (tmp_path / "link").rename(tmp_path / "renamed")
    assert identity_of(str(tmp_path / "renamed")) == found
    assert identity_of(str(tmp_path / "none")) == ""
