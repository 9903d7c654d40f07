# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_override
short_description: Drop-ins of the units that run machines
version_added: 0.1.0
description:
  - Writes a drop-in beside the unit of one or more machines, C(systemd-nspawn@NAME.service), or
    takes it away again. It is what C(systemctl edit) and C(systemctl revert) do, but for a file of
    its own - drop-ins of other names stay as they are.
  - Sections and keys are those of systemd.unit(5), systemd.service(5), systemd.exec(5) and
    systemd.resource-control(5). They are checked before anything changes.
  - systemd reads its units anew only when a drop-in has changed, or when an earlier run was cut off
    before that. If it then refuses the unit the drop-in is taken back.
  - Most of what machines need has a key in M(nspawn.machined.nspawn_settings). The unit is the
    place for limits, credentials, dependencies, and options that have no key.
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
      - Of keys that may hold secrets, such as V(SetCredential=), V(Environment=) and V(ExecStart=),
        only names are shown, and that a value is another one.
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the declared settings, commands of the host in them
        included, and no machine.
options:
  name:
    description:
      - The machines. Their units get the same drop-in.
      - One of O(name) and O(unit) is required.
    type: list
    elements: str
    aliases: [names]
  unit:
    description:
      - Units by their own names.
      - V(systemd-nspawn@.service) is the template - such a drop-in concerns all machines of the
        host, those that exist and those to come.
    type: list
    elements: str
    aliases: [units]
  drop_in:
    description:
      - The name of the drop-in, without its ending. systemd reads drop-ins in the order of their
        names.
    type: str
    default: 50-nspawn-machined
  settings:
    description:
      - Settings, section by section, each key with a value or a list of values. The drop-in is
        exactly that.
      - What the vendor's unit sets stays, as with every drop-in; a list grows. To begin anew, let
        the list start with an empty text. For V(ExecStart=), V(ExecReload=) and V(ExecStop=), of
        which there should be one, the module does that by itself.
      - V(Environment=) may also be given as a mapping.
    type: dict
  state:
    description:
      - Whether there shall be the drop-in. V(absent) takes it away, and its directory when nothing
        else is in it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A drop-in with secrets in it can be read by root alone.
  - A unit that runs takes most settings at its next start. RV(restart_needed) names those units.
  - Everybody on the host can read what V(SetCredential=) and V(Environment=) say. Use
    V(LoadCredential=), with a file that only root can read, for secrets.
seealso:
  - module: nspawn.machined.nspawn_settings
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: Limit what a machine may take
  nspawn.machined.unit_override:
    name: web
    settings:
      Service:
        MemoryMax: 1G
        CPUQuota: 150%
        TasksMax: 2048

- name: Give a machine other options than the vendor's unit does
  nspawn.machined.unit_override:
    name: opensuse-leap
    settings:
      Service:
        ExecStart: >-
          /usr/bin/systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest
          --settings=override --machine=%i

- name: Hand a secret to the machine as a credential
  nspawn.machined.unit_override:
    name: web
    drop_in: 60-credentials
    settings:
      Service:
        LoadCredential: token:/etc/credstore/web-token
        ExecStart: >-
          /usr/bin/systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest
          --network-veth -U --settings=override --load-credential=token:token --machine=%i

- name: Start a machine after another one
  nspawn.machined.unit_override:
    name: web
    settings:
      Unit:
        Wants: systemd-nspawn@db.service
        After: systemd-nspawn@db.service

- name: Stop any machine of this host that takes longer than a minute
  nspawn.machined.unit_override:
    unit: systemd-nspawn@.service
    settings:
      Service:
        TimeoutStopSec: 1min

- name: Take ours away and leave the drop-ins of others
  nspawn.machined.unit_override:
    name: [web, db]
    state: absent
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: success
  sample:
    - write /etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf
    - reload systemd
units:
  description: The units by name.
  type: dict
  returned: success
  contains:
    path:
      description: The drop-in.
      type: str
    exists:
      description: Whether there is such a file now, or would be after what check mode announces.
      type: bool
    running:
      description: Whether the unit runs.
      type: bool
    restart_needed:
      description: Whether the unit runs and the drop-in was changed after its start.
      type: bool
  sample:
    systemd-nspawn@web.service:
      path: /etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf
      exists: true
      running: true
      restart_needed: true
restart_needed:
  description: The units that run and whose drop-in was changed after their start.
  type: list
  elements: str
  returned: success
  sample: [systemd-nspawn@web.service]
"""

import typing as t

from ..module_utils._systemd import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "name": {"type": "list", "elements": "str", "aliases": ["names"], "no_log": False},
            "unit": {"type": "list", "elements": "str", "aliases": ["units"], "no_log": False},
            "drop_in": {"type": "str", "default": "50-nspawn-machined", "no_log": False},
            "settings": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_one_of=[("name", "unit")],
        supports_check_mode=True,
    )
    face.converge_units(module)


if __name__ == "__main__":
    main()
