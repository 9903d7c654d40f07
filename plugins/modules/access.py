# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: access
short_description: Who may use which machines without being root
version_added: 0.1.0
description:
  - Lets ordinary users start, stop and enter machines of the host, each only those that are
    theirs, by rules of polkit.
  - The rights of the whole host are one file,
    C(/etc/polkit-1/rules.d/60-nspawn-machined.rules), a table of exact names. A right to C(lab)
    is none to C(lab2) or C(lab-x), and no other call is granted than those of
    O(machines[].owner_may).
  - An owner who can become root in a machine would be root of the host where the machine's users
    are the host's. So a machine without private users cannot have an owner, unless
    O(machines[].owner_shared_users) says so.
  - Everything that can be seen to be wrong is refused before anything changes - owners who are
    not there, machines without private users, a polkit without JavaScript rules.
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
      - Needs root of the host. Trusts polkit, and who the host says are its users and
        groups.
options:
  machines:
    description:
      - The machines, each with its owners.
      - Nobody has rights to a machine that is named without owners.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the machine.
        type: str
        required: true
      owner:
        description:
          - A user of the host, or with C(@) before it a group, all of whose members are owners.
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
          - V(start), V(stop) and V(restart) are those of C(systemctl), V(start) also that of
            C(machinectl). V(kill) is C(machinectl kill), and so C(stop), C(poweroff) and C(reboot)
            of C(machinectl), which send signals. V(terminate) is C(machinectl terminate).
          - V(login) is C(machinectl login), which asks for a name and a password of the machine.
            V(shell) is C(machinectl shell) as oneself, C(ALAN@lab) for the user C(ALAN).
          - V(status) is C(machinectl status), which anybody may call before systemd 262.
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
          - Whoever becomes root in such a machine can do anything on the host.
        type: bool
        default: false
  exclusive:
    description:
      - Take away the rights to machines that O(machines) does not name.
    type: bool
    default: true
  state:
    description:
      - V(absent) takes away all rights to the machines that O(machines) names, or to all
        machines when it names none.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: nspawn.machined.access_info
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: All rights to machines of this host
  nspawn.machined.access:
    machines:
      - name: lab
        owner: alan
        owner_root_shell: true
      - name: web
        owners: [alan, "@staff"]
        owner_may: [start, stop, restart, status]

- name: Let one more machine have an owner, and leave the others as they are
  nspawn.machined.access:
    machines:
      - name: play
        owner: grace
    exclusive: false

- name: Only root may do anything with machines
  nspawn.machined.access:
    state: absent
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample: ["write /etc/polkit-1/rules.d/60-nspawn-machined.rules"]
machines:
  description: All rights to machines as they are then, by the machines' names.
  type: dict
  returned: success
  contains:
    users:
      description: The users who have them.
      type: list
      elements: str
      returned: always
    groups:
      description: The groups whose members have them.
      type: list
      elements: str
      returned: always
    may:
      description: What they may do.
      type: list
      elements: str
      returned: always
    root_shell:
      description: Whether they may have a shell as root of the machine.
      type: bool
      returned: always
  sample:
    lab:
      users: [alan]
      groups: []
      may: [start, stop, restart, login, shell, kill, terminate, status]
      root_shell: true
"""

import typing as t

from ..module_utils._access import face

RIGHTS = ["start", "stop", "restart", "login", "shell", "kill", "terminate", "status"]

ENTRY: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "owner": {"type": "str", "no_log": False},
    "owners": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "owner_may": {"type": "list", "elements": "str", "choices": RIGHTS},
    "owner_root_shell": {"type": "bool", "default": False},
    "owner_shared_users": {"type": "bool", "default": False},
}

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "machines": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "exclusive": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> t.NoReturn:
    face.converge(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
