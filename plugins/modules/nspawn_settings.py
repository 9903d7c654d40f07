# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nspawn_settings
short_description: Settings of machines, in C(.nspawn) files
version_added: 0.1.0
description:
  - Brings the C(.nspawn) files of one or more machines in C(/etc/systemd/nspawn) into the wanted
    state.
  - Sections and keys are those of systemd.nspawn(5). They are checked before anything changes -
    systemd itself would only write a line to its journal about a key that it does not know, and
    start the machine without it.
  - What is in a file already stays, with its comments, order and spelling, unless O(exclusive) is
    set. Another spelling of the same value, like V(true) for V(yes), is left as it is.
  - systemd reads exactly one file for a machine - the first that it finds in
    C(/etc/systemd/nspawn), C(/run/systemd/nspawn), and next to the image. Only the first two are
    trusted.
  - A machine that runs takes new settings at its next start. RV(restart_needed) names those
    machines.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of keys that may hold secrets, such as V(Environment=) and V(Parameters=), only names are
        shown, and that a value is another one.
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the declared settings, what they open of the host
        included, and no machine.
options:
  name:
    description:
      - The machines. All of them get the same settings.
      - There need not be an image yet.
    type: list
    elements: str
    required: true
    aliases: [names]
  settings:
    description:
      - Settings, section by section, each key with a value or a list of values.
      - Booleans may be given as YAML booleans. A list becomes one line for each item, which is how
        systemd wants V(Bind=), V(Port=) and the like.
      - V(Environment=) may also be given as a mapping.
      - A key with V(null) is removed.
    type: dict
  exclusive:
    description:
      - Whether O(settings) are all that the file shall say. Other keys are then removed, comments
        are not.
    type: bool
    default: false
  defaults:
    description:
      - Adds what M(nspawn.machined.machines) gives its machines, where O(settings) say nothing
        else - V(NotifyReady=yes), so that a start waits until the machine has booted, and private
        users with the ownership of files mapped to them, V(PrivateUsers=pick) with
        V(PrivateUsersOwnership=auto).
    type: bool
    default: false
  state:
    description:
      - Whether there shall be a file. V(absent) removes all of it.
    type: str
    choices: [present, absent]
    default: present
  backup:
    description:
      - Whether to keep a copy of a file before it is changed or removed, for root alone.
    type: bool
    default: false
notes:
  - A file with secrets in it can be read by root alone.
seealso:
  - module: nspawn.machined.machines
  - module: nspawn.machined.unit_override
  - name: systemd.nspawn(5)
    description: All sections and keys.
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd.nspawn.html
"""

EXAMPLES = r"""
- name: Show a directory of the host in the machine, and let a port of the host lead to it
  nspawn.machined.nspawn_settings:
    name: web
    settings:
      Files:
        Bind:
          - /srv/web
          - /srv/certificates:/etc/ssl/web:idmap
      Network:
        Port:
          - tcp:8080:80
          - tcp:8443:443

- name: Let machines use the host's network
  nspawn.machined.nspawn_settings:
    name: [opensuse-leap, tumbleweed]
    settings:
      Network:
        Private: false
        VirtualEthernet: false

- name: Put machines onto a network of their own, on which they find each other
  nspawn.machined.nspawn_settings:
    name: [web, db]
    settings:
      Network:
        Zone: shop

- name: Cut a machine off from all networks
  nspawn.machined.nspawn_settings:
    name: vault
    settings:
      Network:
        Private: true
        VirtualEthernet: false

- name: Connect a machine to a bridge of the host
  nspawn.machined.nspawn_settings:
    name: lab
    settings:
      Network:
        Bridge: br0

- name: Give a machine an address on the network of one of the host's interfaces
  nspawn.machined.nspawn_settings:
    name: lab
    settings:
      Network:
        MACVLAN: eth0

- name: Throw away at each stop what the machine has written
  nspawn.machined.nspawn_settings:
    name: scratch
    settings:
      Exec:
        Ephemeral: true

- name: Have the file say exactly this, keep a copy, and restart the machine if it runs otherwise
  nspawn.machined.nspawn_settings:
    name: web
    settings:
      Files:
        BindUser: alan
    exclusive: true
    defaults: true
    backup: true
  register: settings

- name: Restart it
  nspawn.machined.machine:
    name: "{{ settings.restart_needed }}"
    state: restarted
  when: settings.restart_needed | length > 0
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: success
  sample: [write /etc/systemd/nspawn/web.nspawn]
machines:
  description: The machines by name.
  type: dict
  returned: success
  contains:
    path:
      description: The file.
      type: str
    exists:
      description: Whether there is such a file now, or would be after what check mode announces.
      type: bool
    settings:
      description:
        - All that the file says, section by section, each key with the list of its values.
        - The values of keys that may hold secrets are masked.
      type: dict
    running:
      description: Whether the machine runs.
      type: bool
    restart_needed:
      description:
        - Whether the machine runs with other settings, as the file was changed after its start.
      type: bool
    backup_file:
      description: The copy of the file as it was before.
      type: str
      returned: if O(backup) is set and there was a file that changed
  sample:
    web:
      path: /etc/systemd/nspawn/web.nspawn
      exists: true
      settings: {Files: {Bind: [/srv/web]}}
      running: true
      restart_needed: true
restart_needed:
  description: The names of the machines that run with other settings.
  type: list
  elements: str
  returned: success
  sample: [web]
"""

import typing as t

from ..module_utils._settings import face

NAMES: dict[str, t.Any] = {"type": "list", "elements": "str", "no_log": False}


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "name": {**NAMES, "required": True, "aliases": ["names"]},
            "settings": {"type": "dict"},
            "exclusive": {"type": "bool", "default": False},
            "defaults": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backup": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    face.converge(module)


if __name__ == "__main__":
    main()
