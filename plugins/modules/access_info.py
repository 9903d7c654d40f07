# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: access_info
short_description: Who may do what with which machines
version_added: 0.1.0
description:
  - Returns the rights that M(nspawn.machined.access) has granted, by machine, and on demand by
    user, groups included.
  - It is a module of its own because rights are the host's - they are told also of machines that
    are not there (any more), and by user as well as by machine.
  - Rights that other rules of polkit grant are not told.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.info_module
attributes:
  trust:
    details:
      - Needs root of the host. Trusts polkit, and who the host says are its users and
        groups.
options:
  name:
    description:
      - The names of machines; all when left out.
    type: list
    elements: str
  user:
    description:
      - Users of the host of whom to tell what they may.
    type: list
    elements: str
    default: []
seealso:
  - module: nspawn.machined.access
  - module: nspawn.machined.machine_info
"""

EXAMPLES = r"""
- name: See who may do what
  nspawn.machined.access_info:
    user: [alan]
  register: rights

- name: Tell what alan may do with the machine lab, and as what
  ansible.builtin.debug:
    msg: "{{ rights.users.alan | selectattr('machine', 'equalto', 'lab') }}"

- name: Refuse rights to machines that are not there, or of people who are not
  ansible.builtin.assert:
    that:
      - rights.machines | rejectattr('exists') | length == 0
      - rights.machines | selectattr('unknown_owners') | length == 0
"""

RETURN = r"""
machines:
  description: The machines to which somebody has rights, by name.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the machine.
      type: str
      returned: always
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
      sample: [start, stop, restart, login, shell, kill, terminate, status]
    root_shell:
      description: Whether they may have a shell as root of the machine.
      type: bool
      returned: always
    exists:
      description: Whether there is such a machine.
      type: bool
      returned: always
    shared_users:
      description: Why the machine's root is, or may be, the host's; nothing when it is not.
      type: str
      returned: always
    unknown_owners:
      description: Those of its owners who are not on the host, or under another name.
      type: list
      elements: str
      returned: always
users:
  description: What each user that was asked for may, a list of machines for each name.
  type: dict
  returned: always
  sample:
    alan:
      - machine: lab
        may: [start, stop, restart]
        root_shell: false
        as: [alan, "@staff"]
rules:
  description: The file of rules - C(path), C(exists), and C(fault) when it was changed by hand.
  type: dict
  returned: always
polkit:
  description:
    - The host's polkit - C(backend), C(version), C(fault) when it does not answer, and
      C(reads_rules) when its rules are JavaScript.
  type: dict
  returned: always
  sample: {"backend": "js", "version": "126", "fault": "", "reads_rules": true}
"""

import typing as t

from ..module_utils._access import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "name": {"type": "list", "elements": "str", "no_log": False},
            "user": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        supports_check_mode=True,
    )
    face.tell(module)


if __name__ == "__main__":
    main()
