# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
name: nspawn_image
short_description: Run tasks in an image that does not run
version_added: 0.1.0
author:
  - nspawn.machined contributors (@nspawn-machined)
description:
  - Gets into an image of systemd-machined that no machine runs from, a folder, a subvolume or a raw
    one, on the controller's own host or on one that is reached by ssh.
  - There is no service manager in it. Modules that enable services work, those that start them
    fail.
  - A container is there for as long as the run of Ansible lasts, and the image is in use by it. In
    an image without Python 3.8 there is a container for each command instead, which takes longer.
options:
  image:
    description:
      - The name of the image on its host.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_nspawn_image
  ephemeral:
    description:
      - Work in a snapshot that is gone when the run of Ansible has ended. The image may be in use
        then. In one without Python each command has a snapshot of its own.
    type: bool
    default: false
    vars:
      - name: ansible_nspawn_ephemeral
  ssh:
    description:
      - Whether the image is on another host, to which P(ansible.builtin.ssh#connection) leads with
        all of its options.
    type: bool
    default: false
    vars:
      - name: ansible_nspawn_ssh
  ssh_user:
    description:
      - The user on that host. The one in the image is O(remote_user).
    type: str
    vars:
      - name: ansible_ssh_user
extends_documentation_fragment:
  - nspawn.machined.inside
notes:
  - The host needs systemd 252 or later and systemd-container.
seealso:
  - plugin: nspawn.machined.nspawn
    plugin_type: connection
  - plugin: nspawn.machined.nspawn_ssh
    plugin_type: connection
"""

EXAMPLES = r"""
# An inventory: an image that is prepared before machines are cloned from it.
all:
  hosts:
    trixie:
      ansible_connection: nspawn.machined.nspawn_image
      ansible_nspawn_ssh: true
      ansible_host: server.example.org
      ansible_ssh_user: root
"""

from ..plugin_utils._connection.offline import OfflineConnection


class Connection(OfflineConnection):
    """An image that does not run."""

    transport = "nspawn.machined.nspawn_image"
