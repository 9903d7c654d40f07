# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the modules that start and stop machines wait for them, worded once.

The argument spec of these options is C(WAITING) in C(_machines.face).
"""

from __future__ import annotations


class ModuleDocFragment:
    """The options of C(machine) and C(machines) about waiting."""

    DOCUMENTATION = r"""
options:
  wait:
    description:
      - How long to wait for a machine that is started. V(booted) waits until its boot has ended,
        V(registered) until systemd-machined knows it, V(none) not at all.
      - A machine whose settings say C(NotifyReady=yes) tells when it has booted. Others are asked
        again and again, which needs a D-Bus inside.
    type: str
    choices: [booted, registered, none]
    default: booted
  wait_timeout:
    description:
      - The seconds that a machine may take to start, and to stop.
      - One that has not booted by then has failed, and goes on booting. systemd itself gives a
        machine with C(NotifyReady=yes) 90 seconds, unless C(TimeoutStartSec=) of its unit says
        otherwise.
    type: float
    default: 120
  force:
    description:
      - Kill machines that have not stopped at the end of O(wait_timeout).
    type: bool
    default: false
"""
