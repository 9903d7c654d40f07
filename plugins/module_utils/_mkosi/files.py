# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module writes into a mkosi directory, by version of mkosi.

Private to the collection. Pure: what is wanted in, paths and their contents out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shlex
import typing as t

from .._core.plan import Failure
from . import table
from . import text as mkosi_text
from .translate import Beside, Translated

CONFIGURATION = "mkosi.conf"
OLD_CONFIGURATION = "mkosi.default"
FIRST_WITH_SANDBOX = 25
FIRST_WITH_CHROOT = 19
"""mkosi 15 to 18 ran scripts inside the image or outside by rules of their own."""

SCRIPTS = ("configure", "sync", "prepare", "build", "postinst", "finalize", "postoutput", "clean")
_INSIDE = ("prepare", "build", "postinst", "finalize")
_OLD_SCRIPTS = ("prepare", "build", "postinst", "finalize")
_FIRST_VERSIONS = {"sync": 22, "clean": 23, "configure": 23, "postoutput": 24}

_USER_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")
_HASH = re.compile(r"([!*]|\$?[./0-9A-Za-z,=$_-]+)")


@dataclasses.dataclass(frozen=True)
class File:
    """A file in the mkosi directory."""

    text: str
    mode: int = 0o644


@dataclasses.dataclass(frozen=True)
class Script:
    """One of mkosi's scripts; C(chroot) none means: inside the image unless it looks outside."""

    text: str
    chroot: t.Optional[bool] = None


@dataclasses.dataclass(frozen=True)
class User:
    """A user that the image has from its first boot."""

    name: str
    uid: int
    group: t.Optional[str] = None
    gid: t.Optional[int] = None
    groups: tuple[str, ...] = ()
    comment: str = ""
    home: t.Optional[str] = None
    shell: str = "/bin/sh"
    password: str = "!"


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything that was asked to be in the directory, beside the configuration."""

    scripts: t.Mapping[str, Script] = dataclasses.field(default_factory=dict)
    sandbox: t.Mapping[str, File] = dataclasses.field(default_factory=dict)
    skeleton: t.Mapping[str, File] = dataclasses.field(default_factory=dict)
    extra: t.Mapping[str, File] = dataclasses.field(default_factory=dict)
    repart: mkosi_text.Definitions = dataclasses.field(default_factory=dict)
    users: tuple[User, ...] = ()


Layout = t.Mapping[str, File]
"""Paths relative to the mkosi directory, and what they hold."""


def layout(contents: Contents, translated: t.Optional[Translated], version: int) -> dict[str, File]:
    """All files that the directory is to hold. Without a configuration its own is left alone."""
    files: dict[str, File] = {}
    definitions = contents.repart
    if translated:
        # It may say what nobody else on the host shall read, such as Environment=.
        files[CONFIGURATION] = File(mkosi_text.render(translated.settings), 0o600)
        definitions = contents.repart or translated.repart
        files.update(root_password(translated.beside, version))
    if definitions and version <= table.OLDEST:
        raise Failure(
            f"repart: mkosi {version} has no repart definitions; choose the file system with"
            " [Output] Format=gpt_ext4, gpt_xfs or gpt_btrfs, and sizes in [Partitions]"
        )
    for name, settings in definitions.items():
        if not name.endswith(".conf") or "/" in name or not name.isprintable():
            raise Failure(f"repart: {name!r} is no name of a definition; expected NAME.conf")
        files[f"mkosi.repart/{name}"] = File(
            mkosi_text.render_definition(settings, f"repart: {name}")
        )
    if contents.sandbox and version < FIRST_WITH_SANDBOX:
        raise Failure(
            f"sandbox_files: mkosi {version} has no sandbox (25 and later have); name the mirror"
            " with [Distribution] Mirror= or LocalMirror="
        )
    trees = (
        ("mkosi.sandbox", contents.sandbox),
        ("mkosi.skeleton", contents.skeleton),
        ("mkosi.extra", contents.extra),
    )
    for tree, inside in trees:
        for path, file in inside.items():
            files[f"{tree}/{_relative(path, tree)}"] = file
    files.update(_scripts(contents, version))
    return files


def _relative(path: str, tree: str) -> str:
    parts = path.strip("/").split("/")
    strange = not path.isprintable() or any(part in ("", ".", "..") for part in parts)
    if not path.strip("/") or strange:
        raise Failure(
            f"{tree}: {path!r} is no path of a file inside the tree; expected one like"
            " etc/apt/sources.list.d/mine.sources, without '..' and control characters"
        )
    return "/".join(parts)


def root_password(beside: Beside, version: int) -> dict[str, File]:
    if beside.root_password is None:
        return {}
    hashed = "hashed:" if beside.root_password_hashed and version > table.OLDEST else ""
    return {"mkosi.rootpw": File(f"{hashed}{beside.root_password}\n", 0o600)}


# --- scripts --------------------------------------------------------------------------------

Place = tuple[str, bool]
"""A script's name, and whether it runs inside the image."""


def _scripts(contents: Contents, version: int) -> dict[str, File]:
    texts: dict[Place, str] = {}
    for name, script in contents.scripts.items():
        place = _place(name, script, version)
        if place in texts:
            raise Failure(f"scripts: {_file_name(place, version)} is given twice; give one of them")
        texts[place] = script.text
    users_place = ("postinst", version <= table.OLDEST)
    if contents.users:
        # Before the script that was given: that may want to use the users' homes.
        texts[users_place] = users_script(contents.users) + _embedded(texts.get(users_place))
    return {_file_name(place, version): File(text, 0o700) for place, text in texts.items()}


def _file_name(place: Place, version: int) -> str:
    name, inside = place
    return f"mkosi.{name}.chroot" if inside and version > table.OLDEST else f"mkosi.{name}"


def _place(key: str, script: Script, version: int) -> Place:
    name, _dot, suffix = key.partition(".")
    if name not in SCRIPTS or suffix not in ("", "chroot"):
        raise Failure(
            f"scripts: {key!r} is no script of mkosi; expected one of {', '.join(SCRIPTS)},"
            " or one of prepare, build, postinst and finalize with .chroot"
        )
    if not script.text.startswith("#!"):
        raise Failure(f"scripts: {key} begins with something else than a program; expected '#!'")
    inside = _runs_inside(name, suffix, script)
    if inside and name not in _INSIDE:
        raise Failure(f"scripts: {name} cannot run inside the image; leave chroot out")
    if version > table.OLDEST:
        first = _FIRST_VERSIONS.get(name, FIRST_WITH_CHROOT)
        if version < first:
            raise Failure(f"scripts: {name} needs mkosi {first} or later; this host has {version}")
    elif name not in _OLD_SCRIPTS:
        raise Failure(
            f"scripts: mkosi {version} has no script {name}; it has {', '.join(_OLD_SCRIPTS)}"
        )
    elif inside == (name == "finalize"):
        where = "outside" if name == "finalize" else "inside"
        raise Failure(f"scripts: mkosi {version} runs {name} only {where} the image")
    return name, inside


def _runs_inside(name: str, suffix: str, script: Script) -> bool:
    if suffix or script.chroot is not None:
        return bool(suffix or script.chroot)
    # What mkosi 5 to 14 did with it, unless it is plainly written for a newer one.
    looks_outside = re.search(r"\bBUILDROOT\b|\bmkosi-(chroot|install|as-caller)\b", script.text)
    return name in ("prepare", "build", "postinst") and not looks_outside


def _embedded(text: t.Optional[str]) -> str:
    """Shell lines that run a whole script of any language."""
    if text is None:
        return ""
    end = f"END_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    body = text if text.endswith("\n") else text + "\n"
    return (
        "\nscript=$(mktemp)\n"
        f"cat > \"$script\" <<'{end}'\n{body}{end}\n"
        'chmod 0700 "$script"\n'
        'status=0\n"$script" "$@" || status=$?\n'
        'rm -f "$script"\nexit "$status"\n'
    )


# --- users ----------------------------------------------------------------------------------

# Text files only: an image need not have useradd, and newer versions run this outside of it.
_USERS_HEAD = r"""#!/bin/sh
# Users of the image. Made by the module mkosi_image.
set -eu
root=${BUILDROOT:-}

refuse() {
    echo "users: $1" >&2
    exit 1
}

id_of() { # FILE NAME
    while IFS=: read -r name _ id _; do
        if [ "$name" = "$2" ]; then echo "$id"; return; fi
    done < "$root$1"
}

name_of() { # FILE ID
    while IFS=: read -r name _ id _; do
        if [ "$id" = "$2" ]; then echo "$name"; return; fi
    done < "$root$1"
}

join() { # FILE GROUP USER FIELDS: append a member to the last field
    copy="$root$1.new"
    : > "$copy"
    while IFS= read -r line; do
        case $line in
            "$2:"*:) line=$line$3 ;;
            "$2:"*) line=$line,$3 ;;
        esac
        printf '%s\n' "$line" >> "$copy"
    done < "$root$1"
    cat "$copy" > "$root$1"
    rm -f "$copy"
}

group() { # NAME GID
    [ -z "$(id_of /etc/group "$1")" ] || return 0
    [ -z "$(name_of /etc/group "$2")" ] || refuse "the group ID $2 of $1 is taken in the image"
    printf '%s:x:%s:\n' "$1" "$2" >> "$root/etc/group"
    [ ! -e "$root/etc/gshadow" ] || printf '%s:!::\n' "$1" >> "$root/etc/gshadow"
}

user() { # NAME UID GROUP GID COMMENT HOME SHELL PASSWORD
    [ -z "$(id_of /etc/passwd "$1")" ] || refuse "$1 exists in the image already"
    [ -z "$(name_of /etc/passwd "$2")" ] || refuse "the user ID $2 of $1 is taken in the image"
    [ -e "$root$7" ] || [ -L "$root$7" ] || refuse "$1: the image has no $7; add its package"
    group "$3" "$4"
    gid=$(id_of /etc/group "$3")
    printf '%s:x:%s:%s:%s:%s:%s\n' "$1" "$2" "$gid" "$5" "$6" "$7" >> "$root/etc/passwd"
    printf '%s:%s::0:99999:7:::\n' "$1" "$8" >> "$root/etc/shadow"
    mkdir -p "$root$6"
    [ ! -d "$root/etc/skel" ] || cp -R "$root/etc/skel/." "$root$6/"
    chown -R "$2:$gid" "$root$6"
    chmod 0700 "$root$6"
}

member() { # USER GROUP
    [ -n "$(id_of /etc/group "$2")" ] || refuse "$1: the image has no group $2"
    join /etc/group "$2" "$1"
    [ ! -e "$root/etc/gshadow" ] || join /etc/gshadow "$2" "$1"
}

"""


def users_script(users: t.Iterable[User]) -> str:
    lines = []
    for user in users:
        _check_user(user)
        fields = (
            user.name,
            str(user.uid),
            user.group or user.name,
            str(user.uid if user.gid is None else user.gid),
            user.comment,
            user.home or f"/home/{user.name}",
            user.shell,
            user.password,
        )
        lines.append("user " + " ".join(shlex.quote(field) for field in fields) + "\n")
        lines += [f"member {user.name} {shlex.quote(group)}\n" for group in user.groups]
    return _USERS_HEAD + "".join(lines)


def _check_user(user: User) -> None:
    for name in (user.name, user.group or user.name, *user.groups):
        if not _USER_NAME.fullmatch(name):
            raise Failure(
                f"users: {name!r} is no name of a user or group; expected a lower-case letter or"
                " '_', then at most 30 of these, digits and '-'"
            )
    if user.name == "root":
        raise Failure("users: root exists in every image; set root_password instead")
    for number in (user.uid, user.uid if user.gid is None else user.gid):
        if not 1 <= number < 65534:
            raise Failure(f"users: {user.name}: the ID {number} is not between 1 and 65533")
    if not _HASH.fullmatch(user.password):
        raise Failure(
            f"users: {user.name}: the password is no hash; expected what"
            " {{ password | password_hash }} gives, or '!' for none"
        )
    home = user.home or f"/home/{user.name}"
    for word, path in (("home", home), ("shell", user.shell)):
        if not path.startswith("/") or re.search(r"[:\x00-\x20]", path) or ".." in path.split("/"):
            raise Failure(f"users: {user.name}: {word} {path!r} is no absolute path")
    if ":" in user.comment or not user.comment.isprintable():
        raise Failure(f"users: {user.name}: the comment contains ':' or a control character")


def users_of(entries: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[User, ...]:
    """Users as the module is given them; who has no ID gets the next one from 1000 on."""
    entries = list(entries)
    taken = {entry["uid"] for entry in entries if entry.get("uid") is not None}
    free = (number for number in range(1000, 65534) if number not in taken)
    users = []
    for entry in entries:
        given = {key: value for key, value in entry.items() if value is not None}
        if given.get("uid") is None:
            given["uid"] = next(free)
        given["groups"] = tuple(given.get("groups", ()))
        users.append(User(**given))
    names = [user.name for user in users]
    if len(set(names)) != len(names):
        raise Failure(f"users: a name is given twice: {', '.join(sorted(names))}")
    return tuple(users)
