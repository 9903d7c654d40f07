# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machines
short_description: All machines of a host in one call
version_added: 0.1.0
description:
  - Brings any number of systemd-nspawn machines to the state that is declared for them - image,
    settings, unit, enablement, running or not.
  - The host is looked at once, whatever the number of machines. Clones are made side by side;
    there is one daemon-reload, and all machines are enabled, started and waited for together.
  - A machine that fails does not stop the others. RV(machines) tells what became of each.
  - Everything that can be seen to be impossible is refused before anything changes - names,
    keys and values of settings that this host's systemd does not know, images that do not exist,
    too few inotify instances, too little disk.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.action_plugin
  - nspawn.machined.waiting
attributes:
  async:
    support: full
    details:
      - How far it has come is not shown then.
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of O(machines[].vars), and of keys that may hold secrets such as V(Environment=), only names
        are shown, and that a value is another one.
  idempotent:
    support: partial
    details:
      - With O(restart=always) running machines are restarted each time.
  trust:
    details:
      - Needs root of the host. Trusts the declared images and settings, what these open
        included, and no machine that runs.
options:
  machines:
    description:
      - The machines, each by its name.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the machine. At most 64 letters, digits, hyphens and dots.
        type: str
        required: true
      image:
        description:
          - The image that the machine's own image is cloned from when it has none.
          - When the machine has an image, this changes nothing.
          - What would make the clone the same machine as its template, its machine ID, is taken
            from it. Images of the type C(raw) are cloned as they are.
        type: str
      settings:
        description:
          - The machine's settings, section by section and key by key as C(systemd.nspawn(5))
            spells them, each with a value or a list of values.
          - When given, the file C(/etc/systemd/nspawn/NAME.nspawn) says exactly this and the
            defaults of the collection - C(NotifyReady=yes), C(PrivateUsers=pick) and
            C(PrivateUsersOwnership=auto), each of which can be given another value, or none with
            V(null).
          - When left out, the defaults are written if the machine has no settings at all, and a
            file that is there is left alone.
        type: dict
      unit:
        description:
          - A drop-in for the machine's unit C(systemd-nspawn@NAME.service), section by section and
            key by key as C(systemd.service(5)) and its kin spell them.
          - An empty mapping removes the drop-in; when left out, it is left alone.
        type: dict
      enabled:
        description:
          - Whether the machine starts with the host. When left out, that stays as it is.
        type: bool
      state:
        description:
          - V(started) and V(stopped) make the machine when it is not there.
          - V(absent) stops the machine and removes its image, its settings, its drop-in and what
            the collection remembers of it. Nothing else.
        type: str
        choices: [started, stopped, absent]
        default: started
      users:
        description:
          - Users of the host who are users of the machine as well, with their home, which is
            C(/run/host/home/NAME) inside. They are added to C(BindUser=) of the settings, and glibc
            of the machine is told to ask systemd for them.
          - Refused before anything changes is whoever cannot be one, or should not be - root and
            system users, names that are not there or numbers, whose home is not a folder of its
            own below O(users_home_roots), who has no private group, and whose name the image has
            already. Also an image without C(libnss_systemd.so.2), and up to systemd 257 a machine
            without private users. Whom C(BindUser=) of the settings names is refused likewise.
        type: list
        elements: str
        default: []
      users_shell:
        description:
          - The shell of its users inside, the path of a program there, or V(host) for the one that
            each has on the host. When left out, systemd's default, which is C(/bin/bash).
          - Needs systemd 258 for anything else than that.
        type: str
      users_linger:
        description:
          - Those of its users who have a service manager of their own inside from the boot on.
        type: list
        elements: str
        default: []
      users_allow_system:
        description:
          - Let system users of the host be users of the machine.
        type: bool
        default: false
      binds:
        description:
          - Directories, files and sockets of the host that the machine is shown. They are added to
            C(Bind=) and C(BindReadOnly=) of the settings; one that is no longer listed goes from
            there.
          - What the machine is shown, it can use. What belongs to the system, or has in it what
            does, is refused unless O(machines[].binds[].force) says so, wherever links lead to it.
        type: list
        elements: dict
        default: []
        suboptions:
          src:
            description:
              - The path on the host.
            type: str
            required: true
          dest:
            description:
              - The path in the machine. When left out, the same as O(machines[].binds[].src).
            type: str
          read_only:
            description:
              - Whether the machine may only read it.
            type: bool
            default: false
          mapping:
            description:
              - Whose the files are in a machine with private users.
              - V(none) shows them as those of C(nobody), and nobody there can write to them.
              - V(idmap) gives users the same numbers on both sides. Root of the machine is root
                there, and can put programs with the setuid bit on the host.
              - V(rootidmap) lets root of the machine be whoever owns the directory on the host.
                Nobody else in the machine is anybody there. Of groups it is the one that has the
                number of the owner. Where the directory has another group nobody can write to it,
                of which a warning tells.
              - V(owneridmap) lets whoever owns the place in the machine be the owner on the host.
                It needs systemd 256. Of groups the same holds.
              - The file system has to take part - btrfs from Linux 5.15, ext4 and xfs from 5.12,
                tmpfs from 6.3; nfs, cifs and overlay do not.
            type: str
            choices: [none, idmap, rootidmap, owneridmap]
            default: none
          create:
            description:
              - Whether to make the directory when it is not there. One that is there is left as it
                is.
              - It goes with the machine if it is empty then and no other machine is shown it.
            type: bool
            default: false
          owner:
            description:
              - Whose it is when it is made. When left out, root's.
            type: str
          group:
            description:
              - Its group when it is made. When left out, the primary group of
                O(machines[].binds[].owner), or root.
            type: str
          mode:
            description:
              - Its mode when it is made, as octal digits in quotes. When left out, V(0755).
            type: str
          force:
            description:
              - Take the path as it is, also when it belongs to the system.
            type: bool
            default: false
      docker_socket:
        description:
          - The socket of the host's Docker or Podman, for this machine. It is added to the
            settings, mapped so that the host's group keeps its number when users are private.
          - Who in the machine may use it is settled by M(nspawn.machined.docker_socket), from the
            same entry.
        type: dict
        suboptions:
          accept_root_on_host:
            description:
              - That whoever may use the socket is root of the host. It is refused without.
            type: bool
            default: false
          path:
            description:
              - The socket on the host.
            type: str
            default: /run/docker.sock
          dest:
            description:
              - Where it is in the machine. When left out, the same as
                O(machines[].docker_socket.path).
            type: str
          group:
            description:
              - See M(nspawn.machined.docker_socket).
            type: str
            default: dockerx
          members:
            description:
              - See M(nspawn.machined.docker_socket).
            type: list
            elements: str
            default: []
          mask:
            description:
              - See M(nspawn.machined.docker_socket).
            type: list
            elements: str
          shared_gid:
            description:
              - See M(nspawn.machined.docker_socket).
            type: bool
            default: false
      owner:
        description:
          - A user of the host who may use the machine without being root, or with C(@) before it a
            group. One who cannot be its owner is refused before anything changes.
          - The rights themselves are granted by M(nspawn.machined.access), from the same entry.
            They go with the machine when O(machines[].state=absent).
        type: str
      owners:
        description:
          - Several of them, beside O(machines[].owner).
        type: list
        elements: str
        default: []
      owner_may:
        description:
          - What the owners may do; when left out, all of it.
        type: list
        elements: str
        choices: [start, stop, restart, login, shell, kill, terminate, status]
      owner_root_shell:
        description:
          - Whether the owners may also have a shell as root of the machine.
        type: bool
        default: false
      owner_shared_users:
        description:
          - Let the machine have owners although its root is, or may be, root of the host.
        type: bool
        default: false
      vars:
        description:
          - Variables for the inventory. Remembered by this module.
        type: dict
      restart:
        description:
          - For this machine, instead of O(restart).
        type: str
        choices: [never, when_needed, always]
      wait:
        description:
          - For this machine, instead of O(wait).
        type: str
        choices: [booted, registered, none]
      wait_timeout:
        description:
          - For this machine, instead of O(wait_timeout).
        type: float
  restart:
    description:
      - Which running machines are restarted. V(when_needed) restarts those that run with other
        settings or another drop-in than their files say now, whoever changed them and however long
        ago.
    type: str
    choices: [never, when_needed, always]
    default: when_needed
  rolling:
    description:
      - Restart only this many machines at once. The next ones follow when these have booted; when
        one does not come back, the rest are left to run as they are.
      - V(0) restarts all together.
    type: int
    default: 0
  purge:
    description:
      - Remove the machines that this module has made on this host and that O(machines) does not
        name any more, neither as a machine nor as the O(machines[].image) of one. Machines that
        somebody else made are never touched.
    type: bool
    default: false
  check_limits:
    description:
      - Refuse what would exceed the host's inotify instances or disk, or the addresses of a zone's
        bridge.
    type: bool
    default: true
  users_home_roots:
    description:
      - The folders below which the homes of O(machines[].users) are, links and dots resolved.
    type: list
    elements: str
    default: [/home, /var/home]
  users_private_group:
    description:
      - V(make) says that M(nspawn.machined.users) makes private groups before this, so that check
        mode does not miss them. This module makes none.
    type: str
    choices: [check, make]
    default: check
  images_expected:
    description:
      - Images that earlier tasks of the same run make. In check mode, where those make nothing,
        they count as being there.
    type: list
    elements: str
    default: []
seealso:
  - module: nspawn.machined.machine
  - module: nspawn.machined.nspawn_settings
  - module: nspawn.machined.unit_override
"""

EXAMPLES = r"""
- name: All machines of this host
  nspawn.machined.machines:
    machines:
      - name: web
        image: trixie
        settings:
          Network: {Zone: web}
          Files: {Bind: [/srv/web]}
        unit:
          Service: {MemoryMax: 1G}
        enabled: true
      - name: db
        image: trixie
        settings:
          Network: {Zone: web}
        enabled: true
      - name: old
        state: absent

- name: Take new settings into force, two machines at a time
  nspawn.machined.machines:
    machines: "{{ machines_wanted }}"
    rolling: 2

- name: Only these, and none that was declared before
  nspawn.machined.machines:
    machines: "{{ machines_wanted }}"
    purge: true
"""

RETURN = r"""
plan:
  description:
    - What was done, or in check mode would be done, in order.
  type: list
  elements: str
  returned: always
  sample: ["record web", "clone web", "write /etc/systemd/nspawn/web.nspawn", "start web"]
machines:
  description:
    - What became of each machine, by its name.
  type: dict
  returned: always
  contains:
    state:
      description:
        - V(started), V(paused), V(stopped) or V(absent).
        - V(starting), V(stopping) or V(failed) when it could not be brought to what was wanted.
      type: str
      returned: always
      sample: started
    changed:
      description:
        - Whether something was done for this machine.
      type: bool
      returned: always
    failed:
      description:
        - Whether something could not be done for this machine.
      type: bool
      returned: always
    msg:
      description:
        - What went wrong, with the last lines of the unit's journal and the likely cause.
      type: str
      returned: when it failed
    steps:
      description:
        - What was done for this machine.
      type: list
      elements: str
      returned: always
    killed:
      description:
        - That it did not stop in time and was killed, as O(force) says.
      type: bool
      returned: when it was
    restarted_because:
      description:
        - Why it was restarted.
      type: str
      returned: when it was restarted
    failed_units:
      description:
        - The units that failed inside a machine that was started and waited for.
      type: list
      elements: str
      returned: when there are any
"""

import typing as t

from ..module_utils._machines import face

RESTART = {"type": "str", "choices": ["never", "when_needed", "always"]}
RIGHTS = ["start", "stop", "restart", "login", "shell", "kill", "terminate", "status"]

BIND: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "src": {"type": "str", "required": True, "no_log": False},
    "dest": {"type": "str", "no_log": False},
    "read_only": {"type": "bool", "default": False},
    "mapping": {
        "type": "str",
        "choices": ["none", "idmap", "rootidmap", "owneridmap"],
        "default": "none",
    },
    "create": {"type": "bool", "default": False},
    "owner": {"type": "str", "no_log": False},
    "group": {"type": "str", "no_log": False},
    "mode": {"type": "str", "no_log": False},
    "force": {"type": "bool", "default": False},
}

SOCKET: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "accept_root_on_host": {"type": "bool", "default": False},
    "path": {"type": "str", "default": "/run/docker.sock", "no_log": False},
    "dest": {"type": "str", "no_log": False},
    "group": {"type": "str", "default": "dockerx", "no_log": False},
    "members": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "mask": {"type": "list", "elements": "str", "no_log": False},
    "shared_gid": {"type": "bool", "default": False},
}

ENTRY: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "image": {"type": "str", "no_log": False},
    "settings": {"type": "dict"},
    "unit": {"type": "dict"},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
    "users": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "users_shell": {"type": "str", "no_log": False},
    "users_linger": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "users_allow_system": {"type": "bool", "default": False},
    "binds": {"type": "list", "elements": "dict", "default": [], "options": BIND},
    "docker_socket": {"type": "dict", "options": SOCKET},
    "owner": {"type": "str", "no_log": False},
    "owners": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "owner_may": {"type": "list", "elements": "str", "choices": RIGHTS},
    "owner_root_shell": {"type": "bool", "default": False},
    "owner_shared_users": {"type": "bool", "default": False},
    "vars": {"type": "dict", "no_log": True},
    "restart": RESTART,
    "wait": {"type": "str", "choices": ["booted", "registered", "none"]},
    "wait_timeout": {"type": "float"},
}

ARGUMENTS = {
    "machines": {"type": "list", "elements": "dict", "required": True, "options": ENTRY},
    "restart": {**RESTART, "default": "when_needed"},
    "rolling": {"type": "int", "default": 0},
    "purge": {"type": "bool", "default": False},
    "check_limits": {"type": "bool", "default": True},
    "images_expected": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "users_home_roots": {
        "type": "list",
        "elements": "str",
        "default": ["/home", "/var/home"],
        "no_log": False,
    },
    "users_private_group": {"type": "str", "choices": ["check", "make"], "default": "check"},
    **face.WAITING,
}


def main() -> t.NoReturn:
    face.converge_declared(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
