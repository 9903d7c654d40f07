# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: What machines are, have, use and say
version_added: 0.1.0
description:
  - Returns one, several or all machines of a host, running or not, with addresses, operating
    system, settings, and on demand what they use, what has failed in them and their journal.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.info_module
attributes:
  trust:
    details:
      - Needs root of the host. Trusts systemd-machined, and returns what a machine says as
        its own words.
options:
  name:
    description:
      - The names of the machines. When not given, all that run, that start with the host, or
        that the collection made. An image that is none of that is no machine.
    type: list
    elements: str
  stats:
    description:
      - Whether to return what each running machine has used.
    type: bool
    default: false
  health:
    description:
      - Whether to ask each running machine's systemd for its state and its failed units.
    type: bool
    default: false
  logs:
    description:
      - How many of the last lines of each machine's own journal to return.
    type: int
    default: 0
  since:
    description:
      - No lines of the journal from before that time, in words of C(journalctl --since).
    type: str
seealso:
  - module: nspawn.machined.image_info
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: Look at all machines
  nspawn.machined.machine_info:
  register: all

- name: Name those that do not run
  ansible.builtin.debug:
    msg: "{{ all.machines | rejectattr('state', 'equalto', 'running') | map(attribute='name') }}"

- name: Name those that somebody has changed since they were declared
  ansible.builtin.debug:
    msg: "{{ all.machines | selectattr('drift', 'defined') | selectattr('drift')
      | map(attribute='name') }}"

- name: See what one of them uses and has said lately
  nspawn.machined.machine_info:
    name: web
    stats: true
    health: true
    logs: 20
    since: "-1h"
"""

RETURN = r"""
machines:
  description: The machines, by name, or in the order in which the names were given.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the machine.
      type: str
      returned: always
    state:
      description:
        - V(running), V(starting), V(stopping), V(paused), V(failed), V(stopped), or V(absent)
          when there is neither a machine nor an image of the name.
      type: str
      returned: always
    unit:
      description: The unit that runs it, or would.
      type: str
      returned: always
    enabled:
      description: Whether it starts with the host.
      type: bool
      returned: always
    image:
      description: Its image, with C(name), C(type), C(path), C(read_only), C(usage) and times.
      type: dict
      returned: always
    class:
      description: What machined takes it for, V(container) or V(vm). Empty when it does not run.
      type: str
      returned: always
    service:
      description: Who registered it, such as C(systemd-nspawn). Empty when it does not run.
      type: str
      returned: always
    machine_id:
      description: Its machine ID, when it runs and has one.
      type: str
      returned: always
    started:
      description: Since when it runs, in seconds since 1970.
      type: float
      returned: always
    uptime:
      description: For how many seconds it has been running.
      type: float
      returned: always
    unit_state:
      description:
        - What systemd says of its unit - C(load), C(active) and C(sub); of one that failed also
          C(result) and C(exit_status).
      type: dict
      returned: always
      sample: {"load": "loaded", "active": "active", "sub": "running"}
    interfaces:
      description:
        - The links of the host by which it is connected - the host's end of a link to it, or the
          bridge on which it is.
      type: list
      elements: str
      returned: always
      sample: [ve-web]
    leader:
      description: The process ID of its first process on the host.
      type: int
      returned: always
    root:
      description: Its root directory on the host.
      type: str
      returned: always
    addresses:
      description: Its addresses, without those of its loopback.
      type: list
      elements: str
      returned: always
    os:
      description: Its C(os-release), with keys in small letters.
      type: dict
      returned: always
      sample: {"id": "debian", "pretty_name": "Debian GNU/Linux 13 (trixie)"}
    drop_ins:
      description: The drop-ins of its unit that are its own.
      type: list
      elements: str
      returned: always
    settings_file:
      description: The C(.nspawn) file that counts.
      type: str
      returned: always
    settings:
      description:
        - What is in it, section by section. Values of keys that may hold secrets are masked.
      type: dict
      returned: always
    settings_trusted:
      description: Whether systemd heeds all of it, or only what an untrusted place may say.
      type: bool
      returned: when there is such a file
    settings_ignored:
      description:
        - What of it has no effect, as C(Section.Key), because systemd does not trust the place.
      type: list
      elements: str
      returned: when there is such a file, which can be read
      sample: [Network.Zone]
    settings_error:
      description: What is wrong with the file.
      type: str
      returned: when it cannot be read
    drift:
      description:
        - What is not as M(nspawn.machined.machines) was asked for it the last time. Empty when all
          of it is.
      type: list
      elements: dict
      returned: when M(nspawn.machined.machines) looks after the machine
      contains:
        subject:
          description: V(state), V(enabled), V(settings) or V(unit).
          type: str
          returned: always
        key:
          description: The section and key of a file, such as V(Network.Zone).
          type: str
          returned: always
        declared:
          description: What was asked for. Of a key its values, nothing when it shall not be there.
          type: raw
          returned: always
        found:
          description: What is there instead.
          type: raw
          returned: always
    restart_needed:
      description: Whether it runs with other settings than those that are there now.
      type: bool
      returned: always
    stats:
      description:
        - What it has used since its start - C(cpu_seconds), C(read_bytes), C(written_bytes),
          C(received_bytes), C(sent_bytes) - and uses now - C(memory) in bytes, C(tasks).
        - What the host does not count is empty.
      type: dict
      returned: with O(stats)
    system_state:
      description: What its systemd says of itself, such as V(running) or V(degraded).
      type: str
      returned: with O(health)
    failed_units:
      description: The units that have failed in it.
      type: list
      elements: str
      returned: with O(health)
    logs:
      description: The last lines of its journal.
      type: list
      elements: str
      returned: with O(logs)
    errors:
      description:
        - What could not be told of it and why, such as V(health) of a machine that does not answer.
          Each machine has 20 s for all that is asked of it, and its errors are no other machine's.
        - Empty when all could be told.
      type: dict
      returned: always
"""

import typing as t

from ..module_utils._machines import face

ARGUMENTS = {
    "name": {"type": "list", "elements": "str", "no_log": False},
    "stats": {"type": "bool", "default": False},
    "health": {"type": "bool", "default": False},
    "logs": {"type": "int", "default": 0},
    "since": {"type": "str", "no_log": False},
}


def main() -> t.NoReturn:
    face.tell(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
