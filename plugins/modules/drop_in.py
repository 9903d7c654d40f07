# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drop_in
short_description: Drop-ins for systemd-networkd's and systemd-resolved's configuration
version_added: 0.1.0
description:
  - Puts the same drop-in beside one or more configuration files of systemd-networkd or
    systemd-resolved, and has the daemon read it.
  - The daemon reloads only when a drop-in has changed, or when an earlier run was cut off before
    its reload. Links that networkd had set up from the files concerned are set up anew.
  - Overrides of units are made with M(nspawn.machined.unit_override).
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
      - The values of keys that may hold secrets are not shown.
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the host's own files and daemons, and no machine.
options:
  files:
    description:
      - The configuration files, relative to C(/etc/systemd), whether they are the vendor's or
        the host's own - V(resolved.conf), or V(network/) and the name of a C(.network) file.
      - One call takes files of one daemon only.
    type: list
    elements: str
    required: true
  drop_in:
    description:
      - The name of the drop-in, without its ending.
    type: str
    default: 50-nspawn-machined
  settings:
    description:
      - Settings, section by section as C(systemd.network(5)) or C(resolved.conf(5)) spells
        them, each with a value or a list of values.
      - The drop-in is exactly that.
      - C(DNS) of the sections C(DHCPServer) and C(IPv6SendRA) may be V(auto), which stands for the
        IPv4 and IPv6 name servers that the host itself uses. Where that is one on a loopback
        address, such as systemd-resolved's C(127.0.0.53), V(auto) stands for the host
        (C(_server_address)) if that answers on all its addresses, and else for the servers that
        the host's resolver asks itself. Addresses that mean the machine itself when a machine
        asks them are refused.
    type: dict
    default: {}
  state:
    description:
      - Whether the drop-ins are to be there.
      - V(absent) leaves other drop-ins of the same file alone.
    type: str
    choices: [present, absent]
    default: present
  enabled:
    description:
      - Whether the daemon is to be enabled and to run as well. That it was this module which
        enabled it is remembered on the host.
      - With O(state=absent), V(true) disables and stops a daemon that this module has enabled,
        and no other.
      - For networkd whether the host forwards packets is remembered as well, and brought back with
        O(state=absent), unless somebody else may need it by then, of which a warning tells.
    type: bool
    default: false
seealso:
  - module: nspawn.machined.unit_override
"""

EXAMPLES = r"""
- name: Tell machines a name server by DHCP
  nspawn.machined.drop_in:
    files:
      - network/80-container-ve.network
      - network/80-container-vz.network
    settings:
      DHCPServer:
        DNS: [192.0.2.53]

- name: Let the host's resolver answer machines
  nspawn.machined.drop_in:
    files: [resolved.conf]
    settings:
      Resolve:
        DNSStubListenerExtra: 192.0.2.1

- name: Take both away again
  nspawn.machined.drop_in:
    files: ["{{ item }}"]
    state: absent
  loop:
    - network/80-container-ve.network
    - resolved.conf
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: always
  sample:
    - write /etc/systemd/network/80-container-ve.network.d/50-nspawn-machined.conf
    - reload systemd-networkd.service
"""

import typing as t

from ..module_utils._systemd import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "files": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "drop_in": {"type": "str", "default": "50-nspawn-machined", "no_log": False},
            "settings": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "enabled": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    face.converge_daemon(module)


if __name__ == "__main__":
    main()
