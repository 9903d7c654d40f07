# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plants a word of its own in each argument of each module and role, going by their specs.

plant.py DIRECTORY PREFIX [MODULE…] writes into the directory: tasks.yml, which runs the modules and
roles (as roles/NAME); cases.json, their arguments; words.json, which word stands where, and why
it may be seen.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import sys
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils import basic

Arguments = dict[str, t.Any]

# What a module needs beside the argument that is tried. A new module needs a line here.
BASES: dict[str, Arguments] = {
    "access": {"machines": [{"name": "it-planted"}]},
    "access_info": {"name": ["it-planted"]},
    "docker_socket": {"machines": [{"name": "it-planted"}]},
    "drop_in": {"files": ["network/80-container-ve.network"], "drop_in": "90-planted"},
    "firewalld": {"zones": [{"name": "planted"}], "policies": [{"name": "planted-p"}]},
    "image": {"name": "it-planted-image"},
    "image_export": {"name": "it-guest", "dest": "/var/tmp/it-planted.tar"},
    "image_info": {"name": ["it-guest"]},
    "image_keys": {"keys": []},
    "image_prune": {"patterns": ["it-planted-*"]},
    "images": {"images": [{"name": "it-planted-image"}]},
    "machine": {"name": ["it-planted"], "state": "started"},
    "machine_bind": {"machine": "it-planted", "src": "/srv"},
    "machine_copy": {"machine": "it-planted", "src": "/etc/hostname", "dest": "/etc/planted"},
    "machine_exec": {"machine": "it-planted", "argv": ["sleep", "0.4"]},
    "machine_info": {"name": ["it-planted"]},
    "machine_sync": {"machine": "it-planted", "src": "/etc/skel", "dest": "/etc/planted.d"},
    "machines": {
        "machines": [{"name": "it-planted-other", "image": "it-guest", "state": "stopped"}]
    },
    "mkosi_image": {
        "directory": "/var/lib/it-planted-mkosi",
        "config": {"Distribution": {"Distribution": "debian", "Release": "trixie"}},
        "builds": [{"directory": "/var/lib/it-planted-mkosi", "config": {}}],
        "users": [{"name": "planted"}],
    },
    "nspawn_settings": {"name": ["it-planted-other"]},
    "nsswitch": {"databases": {"it_planted": ["files"]}, "root": "/var/lib/machines/it-planted"},
    "unit_override": {"name": ["it-planted-other"]},
    "users": {"machines": [{"name": "it-planted"}]},
    "roles/access": {"access_install": False, "machines_wanted": [{"name": "it-planted"}]},
    "roles/docker_socket": {"machines_wanted": [{"name": "it-planted"}]},
    "roles/firewall": {"firewall_install": False},
    "roles/host": {},
    "roles/images": {"images_wanted": [{"name": "it-planted-image"}]},
    "roles/machines": {
        "machines_wanted": [{"name": "it-planted-other", "image": "it-guest", "state": "stopped"}]
    },
    "roles/mkosi": {
        "mkosi_builds": [
            {
                "directory": "/var/lib/it-planted-mkosi",
                "config": {"Distribution": {"Distribution": "debian", "Release": "trixie"}},
            }
        ]
    },
    "roles/network": {},
    "roles/users": {"machines_wanted": [{"name": "it-planted"}]},
}
# They would change the host, or take minutes.
ONLY_ASKED = ("access", "docker_socket", "firewalld", "image_prune", "mkosi_image", "users")
# The mappings that mean something to these arguments; others are given all there are.
SHAPES: dict[str, tuple[str, ...]] = {
    "_upload": ("words",),
    "config": ("sections", "mkosi"),
    "images_wanted": ("images",),
    "mkosi_builds": ("builds",),
    "network_resolved": ("keys",),
    "network_settings": ("sections",),
    "environment": ("words",),
    "extra_files": ("files",),
    "repart": ("sections", "definitions"),
    "sandbox_files": ("files",),
    "scripts": ("files",),
    "settings": ("sections", "systemd"),
    "skeleton_files": ("files",),
    "unit": ("sections", "systemd"),
    "vars": ("words",),
}
INSTEAD: dict[str, tuple[str, ...]] = {
    "argv": ("cmd",),
    "builds": ("directory", "config", "users"),
    "cmd": ("argv",),
    "image": ("machine",),
}

# The program of a command is told, its arguments are not; of a URL all but the password.
COMMANDS: dict[str, t.Callable[[str], t.Any]] = {
    "argv": lambda word: ["sh", "-c", "sleep 0.4", word],
    "cmd": lambda word: f"sh -c 'sleep 0.4' {word}",
    "url": lambda word: f"http://user:{word}@127.0.0.1:1/it-planted.tar",
}
PLAIN = ("bool", "int", "float", "bits", "bytes")
# Arguments that say in their spec that they are no secret, and why they are none.
PUBLIC: dict[str, str] = {
    **dict.fromkeys(("max_size", "max_output", "least_rate"), "a number with a unit"),
    **dict.fromkeys(
        ("name", "machine", "image", "clone_from", "rename_from", "import_as", "images_expected"),
        "what it names has this name, on the disk and in units",
    ),
    **dict.fromkeys(
        (
            "src",
            "dest",
            "path",
            "directory",
            "chdir",
            "creates",
            "removes",
            "record",
            "files",
            "root",
            "home_roots",
            "users_home_roots",
            "users_shell",
        ),
        "a path",
    ),
    **dict.fromkeys(
        (
            "user",
            "users",
            "users_linger",
            "owner",
            "owners",
            "group",
            "groups",
            "members",
            "comment",
            "home",
            "shell",
        ),
        "what /etc/passwd tells everybody",
    ),
    "databases": "what /etc/nsswitch.conf tells everybody",
    **dict.fromkeys(("unit", "drop_in", "patterns", "exclude", "mask"), "names of files and units"),
    **dict.fromkeys(
        (
            "signal",
            "since",
            "older_than",
            "limit",
            "checksum",
            "mode",
            "keys",
            "least_rate",
            "max_size",
        ),
        "a number, a time, a public key, or the like",
    ),
    **dict.fromkeys(
        "short description target priority ingress_priority egress_priority disable ingress_zones"
        " egress_zones interfaces sources services ports protocols source_ports forward_ports port"
        " to_port to_addr icmp_blocks icmp_block_inversion masquerade forward rich_rules".split(),
        "the firewall tells it everybody",
    ),
}
# The same of roles, whose specs cannot say it.
PUBLIC_IN_ROLES: dict[str, str] = {
    **dict.fromkeys(("host_packages_extra", "mkosi_packages_extra"), "names of packages"),
    **dict.fromkeys(("images_keys", "images_prune"), "public keys, and names"),
    **dict.fromkeys(
        "firewall_zone firewall_policy firewall_interfaces firewall_services firewall_egress_zones"
        " firewall_zones firewall_policies firewall_connections network_dns".split(),
        "the firewall and the network tell it everybody",
    ),
    "host_free_space": "a number with a unit",
    "users_home_roots": PUBLIC["users_home_roots"],
}
# Lists whose entries a role gives to a module as they are: there its spec says it.
GIVEN_ON = {"machines_wanted": ("machines", "machines")}
QUOTED = "Ansible itself quotes what is no number, boolean or choice in an argument of a role"
# What cannot be helped, or is another's: where it may be found, and why.
EXCEPTIONS: dict[tuple[str, str], dict[str, str]] = {
    ("drop_in", "settings"): {
        "files": "networkd and resolved are ordinary users, and have to read it"
    },
    ("machine_exec", "argv"): {"ps": "the arguments of a process are open to everybody"},
    ("machine_exec", "cmd"): {"ps": "the arguments of a process are open to everybody"},
    ("unit_override", "settings"): {
        "show": "systemd tells everybody Environment= and SetCredential=; documented"
    },
    ("machines", "machines.unit"): {
        "show": "systemd tells everybody Environment= and SetCredential=; documented"
    },
}


def shapes(argument: str, word: str) -> list[t.Any]:
    """Mappings as they are taken, and as they are refused."""
    every: dict[str, list[t.Any]] = {
        "sections": [
            {"X-Planted": {"X-Planted": word}},
            {"Exec": word},
            {"Exec": [word]},
            {"Exec": {"Environment": word, "Boot": {"a": {"b": word}}}},
            word,
        ],
        "systemd": [
            {"Exec": {"Environment": {"TOKEN": word}, "Parameters": word}},
            {"Service": {"Environment": {"TOKEN": word}}},
            {"Service": {"SetCredential": f"id:{word}", "LoadCredential": f"id:/etc/{word}"}},
            {"Exec": {"Environment": f"A=b {word}"}},
            {"Service": {"Environment": f"A=b {word}"}},
            {"Service": {"SetCredential": word}},
        ],
        "mkosi": [
            {"Content": {"RootPassword": word, "KernelCommandLine": f"a={word}"}},
            {"Content": {"Environment": {"TOKEN": word}}},
            f"[Content]\nRootPassword={word}\n{word}\n",
        ],
        # The keys of one section, of which anybody can read those that cannot be secret.
        "keys": [
            {"X-Planted": word},
            {"X-Planted": [word]},
            {"X-Planted": {"a": word}},
            [word],
            word,
        ],
        "definitions": [
            {"10-a.conf": {"Partition": {"Type": "root", "X-Planted": word}}},
            {"10-a.conf": word},
        ],
        "files": [
            {"a/file": {"content": word, "mode": word}},
            {"a/file": word},
            {"postinst": f"#!/bin/sh\n# {word}\n"},
        ],
        "images": [
            [{"name": "it-planted-image", "url": f"http://user:{word}@127.0.0.1:1/it-planted.tar"}],
            [{"name": "it-planted-image", "headers": {"Authorization": word}}],
            [{"name": "it-planted-image", "no_such_argument": word}],
            [word],
            word,
        ],
        "builds": [
            [{"directory": "/var/lib/it-planted-mkosi", "config": shape}]
            for shape in (
                {"Content": {"RootPassword": word}, "Distribution": {"Distribution": "debian"}},
                {"Content": {"Environment": {"TOKEN": word}}},
                f"[Content]\nRootPassword={word}\n{word}\n",
                {"Content": word},
            )
        ]
        + [
            [{"directory": "/var/lib/it-planted-mkosi", "config": {}, name: value}]
            for name, value in (
                ("root_password", word),
                ("extra_files", {"a/file": word}),
                ("scripts", {"postinst": f"#!/bin/sh\n# {word}\n"}),
                ("no_such_argument", word),
            )
        ]
        + [[word], word],
        "words": [{"TOKEN": word}, {"TOKEN": {"deep": [word]}}, {f"1 {argument}": word}],
    }
    kinds = SHAPES.get(argument, tuple(every))
    return [shape for kind in kinds for shape in every[kind]]


class Planter:
    """Makes cases, each with a word that is in no other one."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.cases: list[tuple[str, Arguments]] = []
        self.words: list[dict[str, t.Any]] = []

    def plant(self, module: str, spec: t.Mapping[str, t.Any]) -> None:
        self._plant(module, spec, BASES[module], (), lambda given: given, False)

    def _plant(
        self,
        module: str,
        spec: t.Mapping[str, t.Any],
        base: Arguments,
        path: tuple[str, ...],
        wrap: t.Callable[[Arguments], Arguments],
        public: bool,
    ) -> None:
        together: dict[str, Arguments] = {"public": {}, "plain": {}}
        for name, entry in spec.items():
            here = (*path, name)
            if entry.get("options"):
                self._into(module, base, here, entry, wrap, public)
            word = self._word(module, here, entry, public)
            values = self._values(name, entry, word)
            if (public or entry.get("no_log") is False) and name not in COMMANDS:
                together["public"][name] = values[0]
            elif is_plain(entry):
                together["plain"][name] = values[0]
            else:
                for value in values:
                    self._case(module, base, {name: value}, wrap)
        for given in together.values():
            if given:
                self._case(module, base, given, wrap)

    def _into(
        self,
        module: str,
        base: Arguments,
        path: tuple[str, ...],
        entry: t.Mapping[str, t.Any],
        wrap: t.Callable[[Arguments], Arguments],
        public: bool,
    ) -> None:
        """The same for the arguments in an argument."""
        old = base.get(path[-1])
        entries = old if isinstance(old, list) and old else [{}]
        inner = self._inside(wrap, base, path[-1], entry["type"] == "list")
        public = public or entry.get("no_log") is False
        self._plant(module, entry["options"], dict(entries[0]), path, inner, public)

    def _case(
        self,
        module: str,
        base: Arguments,
        planted: Arguments,
        wrap: t.Callable[[Arguments], Arguments],
    ) -> None:
        given = copy.deepcopy(base)
        for other in {other for name in planted for other in INSTEAD.get(name, ())}:
            given.pop(other, None)
        if "builds" not in planted:
            given.pop("builds", None)
        self.cases.append((module, wrap({**given, **planted})))

    @staticmethod
    def _inside(
        wrap: t.Callable[[Arguments], Arguments], base: Arguments, name: str, several: bool
    ) -> t.Callable[[Arguments], Arguments]:
        def wrapped(given: Arguments) -> Arguments:
            outer = copy.deepcopy(base)
            for other in INSTEAD.get(name, ()):
                outer.pop(other, None)
            return wrap({**outer, name: [given] if several else given})

        return wrapped

    @staticmethod
    def _values(name: str, entry: t.Mapping[str, t.Any], word: str) -> list[t.Any]:
        if name in COMMANDS:
            return [COMMANDS[name](word)]
        kind = entry.get("type", "str")
        if kind == "path":
            return [f"/{word}"]
        if entry.get("options"):
            return [word]
        if kind in ("dict", "raw"):
            return shapes(name, word)
        return [[word]] if kind == "list" else [word]

    def _word(
        self, module: str, path: tuple[str, ...], entry: t.Mapping[str, t.Any], public: bool
    ) -> str:
        word = f"{self.prefix}{len(self.words):04d}"
        reason = None
        exceptions = EXCEPTIONS.get((module, ".".join(path)), {})
        if module.startswith("roles/") and is_plain(entry):
            exceptions = {"output": QUOTED}
        if (public or entry.get("no_log") is False) and path[-1] not in COMMANDS:
            reason = PUBLIC.get(path[-1]) or PUBLIC_IN_ROLES.get(path[-1])
            if reason is None:
                sys.exit(f"{module}: why is {'.'.join(path)} no secret? Say it in PUBLIC")
        self.words.append(
            {
                "word": word,
                "module": module,
                "argument": ".".join(path),
                "public": reason,
                "exceptions": exceptions,
            }
        )
        return word


def is_plain(entry: t.Mapping[str, t.Any]) -> bool:
    return bool(entry.get("choices")) or entry.get("type") in PLAIN


class Called(Exception):
    """A module has begun."""


def specs() -> dict[str, t.Mapping[str, t.Any]]:
    """The argument specs of all modules, as they give them to Ansible."""
    root = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")[0]
    sys.path.insert(0, root)
    found: dict[str, t.Mapping[str, t.Any]] = {}
    given: list[t.Mapping[str, t.Any]] = []

    def init(_self: object, argument_spec: t.Mapping[str, t.Any], **_rest: t.Any) -> None:
        given.append(argument_spec)
        raise Called

    basic.AnsibleModule.__init__ = init  # type: ignore[method-assign, assignment]
    modules = "ansible_collections.nspawn.machined.plugins.modules"
    for path in sorted(Path(root, modules.replace(".", "/")).glob("*.py")):
        try:
            importlib.import_module(f"{modules}.{path.stem}").main()
        except Called:
            found[path.stem] = given[-1]
    roles = Path(root, "ansible_collections/nspawn/machined/roles")
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        told = yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        spec = _of_role(told, {name: {"no_log": False} for name in PUBLIC_IN_ROLES})
        for name in set(GIVEN_ON).intersection(spec):
            module, argument = GIVEN_ON[name]
            taken = found[module][argument]["options"]
            spec[name]["options"] = _of_role(told[name].get("options", {}), taken)
        found[f"roles/{path.parents[1].name}"] = spec
    return found


def _of_role(
    told: t.Mapping[str, t.Any], taken: t.Mapping[str, t.Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    """The options of a role as a module would spell them, which O(taken) knows to be no secrets."""
    spec: dict[str, t.Any] = {}
    for name, entry in told.items():
        spec[name] = dict(entry)
        known = taken.get(name, {})
        if known.get("no_log") is False:
            spec[name]["no_log"] = False
        if "options" in entry:
            spec[name]["options"] = _of_role(entry["options"], known.get("options", {}))
    return spec


def task(number: int, module: str, given: Arguments) -> list[str]:
    """A case as a task of a play."""
    case = f"(lookup('ansible.builtin.file', cases) | from_json)[{number}]"
    if not module.startswith("roles/"):
        return [
            f"- name: Case {number}",
            f'  nspawn.machined.{module}: "{{{{ {case} }}}}"',
            f"  check_mode: {str(module in ONLY_ASKED).lower()}",
            "  ignore_errors: true",
        ]
    # Packages would be installed and daemons be told. What cannot be included is not ignored.
    return [
        "- block:",
        f"    - name: Case {number}",
        "      ansible.builtin.include_role:",
        f"        name: nspawn.machined.{module[len('roles/') :]}",
        "        apply: {check_mode: true}",
        "      vars:",
        *(f'        {name}: "{{{{ {case}[{name!r}] }}}}"' for name in given),
        "  rescue:",
        "    - ansible.builtin.meta: noop",
    ]


def main() -> None:
    directory, prefix = Path(sys.argv[1]), sys.argv[2]
    planter = Planter(prefix)
    for module, spec in specs().items():
        if module not in BASES:
            sys.exit(f"{module} is not tried: say in BASES what it needs")
        if module in (sys.argv[3:] or BASES):
            planter.plant(module, spec)
    lines = ["---"]
    for number, (module, given) in enumerate(planter.cases):
        lines += task(number, module, given)
    (directory / "tasks.yml").write_text("\n".join(lines) + "\n")
    (directory / "cases.json").write_text(json.dumps([given for _module, given in planter.cases]))
    (directory / "words.json").write_text(json.dumps(planter.words))


if __name__ == "__main__":
    main()
