# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import translate
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.files import (
    Contents,
    File,
    Script,
    User,
    layout,
    users_of,
    users_script,
)

HASH = "$6$KOQkMxMqSDppB2QB$Tl3usIqM.lymKexE0d33cnZbKyOCCSzENiTU5afYfzE8U2lkHmp3BgTx.Wxql6GBREDTd1"
INSIDE = "#!/bin/sh\nuseradd opensuse\n"
OUTSIDE = '#!/bin/sh\ntouch "$BUILDROOT/etc/x"\n'
ME = os.getuid() or 1234
MY_GROUP = os.getgid() or 1234


def scripts(version: int, **some: Script) -> set[str]:
    contents = Contents(scripts={name.replace("_", "."): one for name, one in some.items()})
    return set(layout(contents, None, version))


@pytest.mark.parametrize(
    ("version", "script", "path"),
    [
        (14, Script(INSIDE), "mkosi.postinst"),
        (25, Script(INSIDE), "mkosi.postinst.chroot"),
        (25, Script(OUTSIDE), "mkosi.postinst"),
        (25, Script(INSIDE, chroot=False), "mkosi.postinst"),
        (25, Script(OUTSIDE, chroot=True), "mkosi.postinst.chroot"),
    ],
)
def test_a_script_of_mkosi_5_still_runs_inside_the_image(
    version: int, script: Script, path: str
) -> None:
    assert scripts(version, postinst=script) == {path}


def test_a_script_named_chroot_runs_inside_whatever_it_says() -> None:
    assert scripts(25, postinst_chroot=Script(OUTSIDE)) == {"mkosi.postinst.chroot"}


def test_a_finalize_script_runs_outside() -> None:
    assert scripts(25, finalize=Script(INSIDE)) == {"mkosi.finalize"}
    assert scripts(14, finalize=Script(INSIDE)) == {"mkosi.finalize"}


def test_scripts_are_executable() -> None:
    files = layout(Contents(scripts={"build": Script(INSIDE)}), None, 25)
    assert files["mkosi.build.chroot"].mode == 0o700


@pytest.mark.parametrize(
    ("version", "name", "script", "words"),
    [
        (25, "postinstall", Script(INSIDE), "is no script of mkosi"),
        (25, "postinst.sh", Script(INSIDE), "is no script of mkosi"),
        (25, "postinst", Script("useradd x"), "expected '#!'"),
        (25, "sync", Script(INSIDE, chroot=True), "cannot run inside"),
        (14, "sync", Script(INSIDE), "has no script sync"),
        (14, "postinst", Script(OUTSIDE), "only inside"),
        (14, "finalize", Script(INSIDE, chroot=True), "only outside"),
        (20, "postoutput", Script(INSIDE), "needs mkosi 24"),
    ],
)
def test_a_script_that_this_version_would_not_run_so_is_refused(
    version: int, name: str, script: Script, words: str
) -> None:
    with pytest.raises(Failure, match=words):
        layout(Contents(scripts={name: script}), None, version)


def test_the_same_script_given_twice_is_refused() -> None:
    some = {"postinst": Script(INSIDE), "postinst.chroot": Script(INSIDE)}
    with pytest.raises(Failure, match="given twice"):
        layout(Contents(scripts=some), None, 25)


# --- trees and passwords ---


def test_files_of_a_tree_stand_in_mkosi_s_own_places() -> None:
    some = {"/etc/motd": File("hello\n")}
    files = layout(Contents(sandbox=some, extra=some, skeleton=some), None, 25)
    trees = ("sandbox", "extra", "skeleton")
    assert set(files) == {f"mkosi.{tree}/etc/motd" for tree in trees}


@given(st.lists(st.sampled_from(["etc", "..", ".", "", "a b", "-x"]), max_size=5))
def test_no_file_of_a_tree_leaves_it(parts: list[str]) -> None:
    path = "/".join(parts)
    try:
        files = layout(Contents(extra={path: File("x")}), None, 25)
    except Failure:
        return
    there = next(iter(files))
    assert len(files) == 1
    assert os.path.normpath(there) == there
    assert there.startswith("mkosi.extra/")


def test_mkosi_14_has_no_sandbox() -> None:
    with pytest.raises(Failure, match="Mirror="):
        layout(Contents(sandbox={"etc/x": File("x")}), None, 14)


@pytest.mark.parametrize("name", ["root", "../root.conf", "a/b.conf"])
def test_a_strange_name_of_a_definition_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="no name of a definition"):
        layout(Contents(repart={name: {}}), None, 25)


@pytest.mark.parametrize(("version", "text"), [(14, "s3cret\n"), (25, "hashed:s3cret\n")])
def test_the_root_password_is_for_the_builder_alone(version: int, text: str) -> None:
    config = {"Content": {"RootPassword": ("hashed:s3cret",)}}
    files = layout(Contents(), translate.translate(config, version), version)
    assert files["mkosi.rootpw"] == File(text, 0o600)
    assert "s3cret" not in files["mkosi.conf"].text


# --- users ---


@pytest.fixture
def image(tmp_path: pathlib.Path) -> pathlib.Path:
    """The few files of an image that users are made of."""
    for name, text in {
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nman:x:6:12::/:/bin/sh\n",
        "etc/shadow": "root:*:::::::\n",
        "etc/group": f"root:x:0:\nusers:x:{MY_GROUP}:\nadm:x:4:\nsudo:x:27:ann\n",
        "etc/gshadow": "root:*::\nadm:*::\nsudo:*::ann\n",
        "etc/skel/.profile": "umask 022\n",
        "bin/sh": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(script: str, image: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = image / "script"
    path.write_text(script)
    return subprocess.run(
        ["sh", str(path), *arguments],
        env={**os.environ, "BUILDROOT": str(image)},
        capture_output=True,
        text=True,
        check=False,
    )


def alan(**more: t.Any) -> User:
    return User("alan", ME, group="users", groups=("adm", "sudo"), password=HASH, **more)


def test_a_user_comes_into_the_image_with_password_home_and_groups(image: pathlib.Path) -> None:
    done = run(users_script([alan(comment="Alan T.")]), image)
    assert (done.returncode, done.stderr) == (0, "")
    passwd = (image / "etc/passwd").read_text()
    assert f"alan:x:{ME}:{MY_GROUP}:Alan T.:/home/alan:/bin/sh\n" in passwd
    assert f"alan:{HASH}::0:99999:7:::\n" in (image / "etc/shadow").read_text()
    group = (image / "etc/group").read_text()
    assert "adm:x:4:alan\nsudo:x:27:ann,alan\n" in group
    assert "sudo:*::ann,alan\n" in (image / "etc/gshadow").read_text()
    assert (image / "home/alan/.profile").exists()
    assert (image / "home/alan").stat().st_mode & 0o777 == 0o700


def test_the_shadow_file_keeps_its_mode(image: pathlib.Path) -> None:
    (image / "etc/shadow").chmod(0o600)
    (image / "etc/group").chmod(0o640)
    assert run(users_script([alan()]), image).returncode == 0
    assert (image / "etc/shadow").stat().st_mode & 0o777 == 0o600
    assert (image / "etc/group").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (User("man", 1700), "man exists in the image"),
        (User("alan", 6), "user ID 6 of alan is taken"),
        (User("alan", ME, group="alans", gid=27), "group ID 27 of alans is taken"),
        (User("alan", ME, group="users", groups=("wheel",)), "no group wheel"),
        (User("alan", ME, "users", None, (), "", None, "/bin/zsh"), "no /bin/zsh"),
    ],
)
def test_a_user_who_does_not_fit_fails_the_build(
    image: pathlib.Path, user: User, words: str
) -> None:
    done = run(users_script([user]), image)
    assert done.returncode == 1
    assert words in done.stderr


def test_the_given_script_runs_after_the_users_with_its_arguments(image: pathlib.Path) -> None:
    own = (
        '#!/bin/sh\necho "$1" > "$BUILDROOT/said"\n'
        'grep -q alan "$BUILDROOT/etc/passwd" || exit 3\nexit 7\n'
    )
    contents = Contents(users=(alan(),), scripts={"postinst": Script(own)})
    files = layout(contents, None, 25)
    assert set(files) == {"mkosi.postinst"}
    assert files["mkosi.postinst"].mode == 0o700
    assert run(files["mkosi.postinst"].text, image, "final").returncode == 7
    assert (image / "said").read_text() == "final\n"


def test_users_stand_beside_a_script_that_runs_inside() -> None:
    contents = Contents(users=(alan(),), scripts={"postinst": Script(INSIDE)})
    assert set(layout(contents, None, 25)) == {"mkosi.postinst", "mkosi.postinst.chroot"}
    assert set(layout(contents, None, 14)) == {"mkosi.postinst"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "root"},
        {"name": "Alan"},
        {"name": "a:b"},
        {"name": "x" * 40},
        {"uid": 0},
        {"uid": 70000},
        {"gid": 0},
        {"group": "a b"},
        {"groups": ("a\nb",)},
        {"password": "plain text"},
        {"password": "$6$a:b"},
        {"comment": "a:b"},
        {"home": "home"},
        {"home": "/home/../etc"},
        {"shell": "/bin/s:h"},
    ],
)
def test_a_user_that_no_system_accepts_is_refused(wrong: t.Mapping[str, t.Any]) -> None:
    fields = {"name": "alan", "uid": 1000, **wrong}
    with pytest.raises(Failure, match="users"):
        users_script([User(**fields)])


def test_users_without_an_id_get_those_that_nobody_asked_for() -> None:
    some = users_of([{"name": "a"}, {"name": "b", "uid": 1000}, {"name": "c"}])
    assert [user.uid for user in some] == [1001, 1000, 1002]


def test_a_user_given_twice_is_refused() -> None:
    with pytest.raises(Failure, match="given twice"):
        users_of([{"name": "a"}, {"name": "a"}])


shell_words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(comment=shell_words)
def test_no_comment_of_a_user_is_ever_a_command(
    tmp_path_factory: pytest.TempPathFactory, comment: str
) -> None:
    if ":" in comment:
        return
    image = tmp_path_factory.mktemp("image")
    (image / "etc").mkdir()
    (image / "etc/passwd").write_text("")
    (image / "etc/group").write_text(f"users:x:{MY_GROUP}:\n")
    (image / "etc/shadow").write_text("")
    script = users_script([User("alan", ME, "users", None, (), comment, None, "/etc/group")])
    assert run(script, image).returncode == 0
    assert (image / "etc/passwd").read_text().split(":")[4] == comment
