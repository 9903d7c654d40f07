# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: users
short_description: Whether users of the host can be users of its machines
version_added: 0.1.0
description:
  - Looks at the users of the host who shall be users of machines as well, for all machines in one
    call, and refuses those who cannot be one, or should not be, before anything changes.
  - A home is resolved through every link and dot. It has to be a folder that is there, belong to
    the user, be nobody else's home, and lie below one of O(home_roots) in folders that only root
    can change. So no name of a folder is special, C(/) and C(/etc) as little as others.
  - A machine knows a user who has a private group, one with the user's name. Users without one
    are refused, or get one with O(private_group=make) and stay in the group that they had.
  - The machines themselves are made by M(nspawn.machined.machines), from the same entries, which
    refuses the same users and makes those known inside who can be.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the names that are declared, and gives each machine the homes
        of its users, with all that is in them; of what these users wrote, and of images, nothing.
options:
  machines:
    description:
      - The machines, each with its users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the machine.
        type: str
        required: true
      image:
        description:
          - The image that it is going to be cloned from. It is looked at when the machine has none.
        type: str
      state:
        description:
          - Users of a machine that goes are not looked at.
        type: str
        choices: [started, stopped, absent]
        default: started
      users:
        description:
          - The names of its users. Those whom C(BindUser=) of O(machines[].settings) names are
            looked at as well.
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
      settings:
        description:
          - The settings of the machine, which say whether its users are the host's. When left out,
            those that it has count.
        type: dict
  home_roots:
    description:
      - The folders below which the homes are that machines may be given.
    type: list
    elements: str
    default: [/home, /var/home]
  private_group:
    description:
      - What becomes of a user without a private group. V(check) refuses it; V(make) makes the
        group, with the user's number where that is free, and makes it the primary one.
      - From systemd 258 on nothing in a home can be written inside unless user and group have the
        same number, so with either value users whose numbers differ are refused there.
    type: str
    choices: [check, make]
    default: check
  state:
    description:
      - V(absent) gives users their former groups back, as far as this module has changed them -
        those of the machines that O(machines) names, or all when it names none.
    type: str
    choices: [present, absent]
    default: present
notes:
  - C(usermod) hands files in a user's home over from the old primary group to the new one.
seealso:
  - module: nspawn.machined.machines
  - module: nspawn.machined.nsswitch
  - module: nspawn.machined.access
"""

EXAMPLES = r"""
- name: See whether these can be users of machines
  nspawn.machined.users:
    machines:
      - name: web
        image: trixie
        users: [alan, grace]

- name: Give those private groups who have none
  nspawn.machined.users:
    machines:
      - name: web
        users: [alan]
        users_linger: [alan]
    private_group: make

- name: Take these groups back
  nspawn.machined.users:
    state: absent
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample: ["group alan"]
machines:
  description: The names of users, by the names of machines.
  type: dict
  returned: success
  sample:
    web: [alan]
users:
  description: What the host knows of these users then, by their names.
  type: dict
  returned: success
  contains:
    uid:
      description: The number.
      type: int
      returned: always
    group:
      description: The name of the primary group.
      type: str
      returned: always
    home:
      description: The home without links and dots; V(null) when it is not there.
      type: str
      returned: always
  sample:
    alan:
      uid: 1000
      group: alan
      home: /home/alan
"""

import typing as t

from ..module_utils._users import face

ENTRY: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "image": {"type": "str", "no_log": False},
    "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
    "users": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "users_shell": {"type": "str", "no_log": False},
    "users_linger": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "users_allow_system": {"type": "bool", "default": False},
    "settings": {"type": "dict"},
}

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "machines": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "home_roots": {
        "type": "list",
        "elements": "str",
        "default": ["/home", "/var/home"],
        "no_log": False,
    },
    "private_group": {"type": "str", "choices": ["check", "make"], "default": "check"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> t.NoReturn:
    face.converge(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
