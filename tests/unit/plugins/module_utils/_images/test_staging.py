# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import staging
from ansible_collections.nspawn.machined.plugins.module_utils._images.identity import identity_of


def image(path: Path, what: str) -> Path:
    path.mkdir(parents=True)
    (path / "what").write_text(what)
    return path


def stage(root: Path) -> staging.Stage:
    place = staging.Stage("web", str(root), -1)
    Path(place.directory).mkdir(parents=True)
    return place


def test_what_a_new_image_replaces_lies_where_it_goes_with_the_stage(tmp_path: Path) -> None:
    place, old = stage(tmp_path), image(tmp_path / "web", "old")
    made = image(Path(place.directory) / "made", "new")
    seen = staging.Old(str(old), identity_of(str(old)))
    assert staging.publish(str(made), place, seen) == str(old)
    assert (old / "what").read_text() == "new"
    assert (made / "what").read_text() == "old"


@pytest.mark.parametrize("identity", ["", "inode:1:1"])
def test_an_image_that_is_not_the_one_that_was_seen_is_not_replaced(
    tmp_path: Path, identity: str
) -> None:
    place, theirs = stage(tmp_path), image(tmp_path / "web", "theirs")
    made = image(Path(place.directory) / "made", "new")
    with pytest.raises(Failure, match="web: it is not the image that was there"):
        staging.publish(str(made), place, staging.Old(str(theirs), identity))
    assert (theirs / "what").read_text() == "theirs"
    assert (made / "what").read_text() == "new"


def test_an_image_that_takes_its_place_in_the_last_moment_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, old = stage(tmp_path), image(tmp_path / "web", "old")
    made = image(Path(place.directory) / "made", "new")
    seen = staging.Old(str(old), identity_of(str(old)))

    def quicker(path: str) -> None:
        """Somebody moves it away and makes another one, once we have looked."""
        Path(path).rename(tmp_path / "away")
        image(Path(path), "theirs")

    monkeypatch.setattr(trees, "make_writable", quicker)
    with pytest.raises(Failure, match="nothing of it was changed"):
        staging.publish(str(made), place, seen)
    assert (old / "what").read_text() == "theirs"
    assert (made / "what").read_text() == "new"


def test_an_image_of_another_type_is_given_back_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, old = stage(tmp_path), image(tmp_path / "web", "old")
    made = Path(place.directory) / "made.raw"
    made.write_text("new")
    seen = staging.Old(str(old), identity_of(str(old)))

    def quicker(path: str) -> None:
        Path(path).rename(tmp_path / "away")
        image(Path(path), "theirs")

    monkeypatch.setattr(trees, "make_writable", quicker)
    with pytest.raises(Failure, match="nothing of it was changed"):
        staging.publish(str(made), place, seen)
    assert (old / "what").read_text() == "theirs"
    assert made.read_text() == "new" and not (tmp_path / "web.raw").exists()
