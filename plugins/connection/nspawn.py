# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
name: nspawn
short_description: Run tasks in a machine of this host
version_added: 0.1.0
author:
  - nspawn.machined contributors (@nspawn-machined)
description:
  - Gets into a systemd-nspawn machine that runs on the controller's own host. To Ansible the
    machine is a host like any other; nothing has to run in it for that.
  - A helper stays in the machine for as long as the run of Ansible lasts, in a unit of its own,
    which is confined as the machine's own services are. It leaves nothing on the disk. In a machine
    without Python 3.8 each command is a unit instead, which takes longer.
options:
  machine:
    description:
      - The name of the machine on its host.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_nspawn_machine
  as_owner:
    description:
      - Enter the machine with the rights of its owner on the host, who need not be root there and
        cannot become it, as the role P(nspawn.machined.access#role) gives them.
      - The user in the machine has to be the owner, or C(root) where owners may have a shell as
        root. If no user is given it is the one on the host.
      - It goes through C(machinectl shell). What a task leaves running ends with the run then, and
        a Python has to be in the machine.
    type: bool
    default: false
    vars:
      - name: ansible_nspawn_as_owner
extends_documentation_fragment:
  - nspawn.machined.inside
notes:
  - The host needs systemd 252 or later and systemd-container, and the machine a D-Bus.
seealso:
  - plugin: nspawn.machined.nspawn_ssh
    plugin_type: connection
  - plugin: nspawn.machined.nspawn_image
    plugin_type: connection
"""

EXAMPLES = r"""
# An inventory: two machines of this host. Ansible runs as a user who may become root with sudo.
all:
  children:
    machines:
      hosts:
        web:
        db:
          ansible_nspawn_machine: db-13
      vars:
        ansible_connection: nspawn.machined.nspawn
        ansible_nspawn_host_become: true
"""

from ..plugin_utils._connection.here import HereConnection


class Connection(HereConnection):
    """A machine of this host."""

    transport = "nspawn.machined.nspawn"
