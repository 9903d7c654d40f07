# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._shares.wanted import (
    Share,
    added,
    shares_in,
)


def share(**given: t.Any) -> Share:
    (one,) = shares_in({"binds": [{"src": "/srv/web", **given}]}, "machine web")
    return one


def test_a_path_alone_is_shown_at_the_same_place() -> None:
    assert share().line(private=True) == "/srv/web"


def test_options_need_the_place_to_be_said() -> None:
    one = share(mapping="rootidmap")
    assert one.line(private=True) == "/srv/web:/srv/web:rootidmap"
    assert share(dest="/var/www").line(private=True) == "/srv/web:/var/www"


def test_a_path_is_brought_into_its_shortest_form() -> None:
    assert share(src="//srv///web/./").source == "/srv/web"


@pytest.mark.parametrize(
    "path", ["", "srv", "~/web", "/srv/../etc", "/..", "/a\nb", "/a\0b", "/a\x7f"]
)
@pytest.mark.parametrize("word", ["src", "dest"])
def test_what_is_no_plain_absolute_path_is_refused(word: str, path: str) -> None:
    if word == "dest" and not path:
        return  # as if it were left out
    with pytest.raises(Failure, match="machine web, binds"):
        share(**{word: path})


@pytest.mark.parametrize("mode", ["", "u=rwx", "8", "07777777", "-755", "0x1ff"])
def test_a_mode_is_octal_digits(mode: str) -> None:
    with pytest.raises(Failure, match="octal digits"):
        share(create=True, mode=mode)


def test_modes_are_for_what_is_made() -> None:
    assert share(create=True, mode="2750").mode == 0o2750
    with pytest.raises(Failure, match="create: true"):
        share(mode="0750")


def test_two_cannot_be_shown_at_one_place() -> None:
    binds = [{"src": "/srv/a", "dest": "/x/"}, {"src": "/srv/b", "dest": "/x"}]
    with pytest.raises(Failure, match="/srv/a and /srv/b shall both be shown at /x"):
        shares_in({"binds": binds}, "machine web")


@given(path=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30))
def test_no_path_reads_as_more_than_a_path(path: str) -> None:
    try:
        one = share(src=f"/{path}", mapping="idmap")
    except Failure:
        return
    parts = nspawn_file._split(one.line(private=True))
    assert parts == [one.source, one.source, "idmap"]


# --- the socket of Docker -------------------------------------------------------------------


def test_a_socket_that_makes_root_is_refused_without_the_word_for_it() -> None:
    with pytest.raises(Failure, match="is root of the host"):
        shares_in({"docker_socket": {"members": ["mary"]}}, "machine ci")


def test_a_socket_is_mapped_where_users_are_private() -> None:
    (one,) = shares_in({"docker_socket": {"accept_root_on_host": True}}, "machine ci")
    assert one.line(private=True) == "/run/docker.sock:/run/docker.sock:idmap"
    assert one.line(private=False) == "/run/docker.sock"


# --- as settings ----------------------------------------------------------------------------


def test_what_the_settings_say_already_stays() -> None:
    settings = nspawn_file.Settings(
        {"Files": {"Bind": ["/srv/theirs"], "BindReadOnly": ["/usr/x"]}}
    )
    found = added(settings, [share()], private=True)
    assert found.values_of("Files", "Bind") == ("/srv/theirs", "/srv/web")
    assert not found.values_of("Files", "BindReadOnly")


def test_what_was_ours_and_is_wanted_no_more_goes() -> None:
    settings = nspawn_file.Settings({"Files": {"Bind": ["/srv/old", "/srv/theirs"]}})
    found = added(settings, [share(read_only=True)], private=True, old=["/srv/old"])
    assert found.values_of("Files", "Bind") == ("/srv/theirs",)
    assert found.values_of("Files", "BindReadOnly") == ("/srv/web",)


def test_nothing_is_said_when_all_is_there() -> None:
    settings = nspawn_file.Settings({"Files": {"Bind": ["/srv/web"]}})
    assert not added(settings, [share()], private=True, old=["/srv/web"])
