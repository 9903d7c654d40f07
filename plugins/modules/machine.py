# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine
short_description: Start, stop, restart, pause, kill and enable machines
version_added: 0.1.0
description:
  - Starts, stops, restarts, pauses, kills and enables systemd-nspawn machines that are there, one
    or many in one call.
  - A machine that fails does not stop the others. RV(machines) tells what became of each.
  - Their images, settings and units are left alone; see M(nspawn.machined.machines).
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.waiting
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(state=restarted) the machines are restarted each time.
      - With O(state=killed) machines that run are sent O(signal) each time.
  trust:
    details:
      - Needs root of the host. Trusts a machine to say when it has booted, and nothing else
        that it says.
options:
  name:
    description:
      - The machine or machines.
    type: list
    elements: str
    required: true
  state:
    description:
      - What the machines shall do. When left out, that stays as it is.
      - V(restarted) also starts those that do not run.
      - V(paused) stops all processes of the machines where they are, and keeps their memory.
        A machine that does not run is started first.
      - V(killed) sends O(signal) to the machines that run. Those that do not are left alone.
    type: str
    choices: [started, stopped, restarted, paused, killed]
  signal:
    description:
      - What O(state=killed) sends, by a name such as V(SIGHUP) or V(SIGRTMIN+4), or by its number.
      - With V(SIGKILL) the machine has ended when the module has, or O(wait_timeout) has passed.
        What another signal brings about is not waited for. To the leader, which is the systemd of
        the machine, V(SIGRTMIN+4) is the wish to power off, V(SIGHUP) that to read its units again.
    type: str
    default: SIGKILL
  kill_whom:
    description:
      - Who gets the signal of O(state=killed) - V(all) processes of the machine, or its V(leader),
        the first one.
    type: str
    choices: [all, leader]
    default: all
  enabled:
    description:
      - Whether the machines start with the host. When left out, that stays as it is.
    type: bool
  check_limits:
    description:
      - Refuse to start machines that would exceed the host's inotify instances, or the addresses of
        a zone's bridge.
    type: bool
    default: true
seealso:
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: Start a machine, and with each boot of the host
  nspawn.machined.machine:
    name: web
    state: started
    enabled: true

- name: Restart two machines, and kill what does not stop within half a minute
  nspawn.machined.machine:
    name: [web, db]
    state: restarted
    wait_timeout: 30
    force: true

- name: End a machine that answers to nothing any more
  nspawn.machined.machine:
    name: web
    state: killed

- name: Ask the systemd of a machine to power off, and do not wait for it
  nspawn.machined.machine:
    name: web
    state: killed
    signal: SIGRTMIN+4
    kill_whom: leader
"""

RETURN = r"""
plan:
  description:
    - What was done, or in check mode would be done, in order.
  type: list
  elements: str
  returned: always
  sample: ["enable web", "reload systemd", "start web"]
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

ARGUMENTS = {
    "name": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "state": {"type": "str", "choices": ["started", "stopped", "restarted", "paused", "killed"]},
    "signal": {"type": "str", "default": "SIGKILL", "no_log": False},
    "kill_whom": {"type": "str", "choices": ["all", "leader"], "default": "all"},
    "enabled": {"type": "bool"},
    "check_limits": {"type": "bool", "default": True},
    **face.WAITING,
}


def main() -> t.NoReturn:
    face.converge_named(
        face.Module(
            argument_spec=ARGUMENTS,
            required_one_of=[("state", "enabled")],
            supports_check_mode=True,
        )
    )


if __name__ == "__main__":
    main()
