# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each module promises about check mode, diff mode, idempotence and trust, worded once.

A module takes the first fragment and says only its C(support) of each attribute, and whom it
trusts:

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
          - Needs root of the host. Trusts ...

A module that only reads takes C(nspawn.machined.attributes.info_module) as well and says the last;
one with an action plugin beside it takes C(nspawn.machined.attributes.action_plugin).
"""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of the modules of this collection."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - Says in check mode what would change, and changes nothing.
  diff_mode:
    description:
      - Shows what changed, or in check mode what would change, when diff mode is on.
  idempotent:
    description:
      - A second run with the same arguments changes nothing, unless somebody else changed the
        host in between.
  platform:
    description:
      - The hosts that the module works on.
    platforms: linux
    support: full
    details:
      - The host runs systemd 252 or later.
  trust:
    description:
      - What the module must be allowed to do, and whom it believes. The collection's
        C(docs/security.md) says what is promised against each of them.
    support: full
"""

    # In addition to the first.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - The module only reads.
  diff_mode:
    support: N/A
    details:
      - The module only reads.
  idempotent:
    support: full
    details:
      - The module only reads.
"""

    # In addition to the first.
    ACTION_PLUGIN = r"""
options: {}
attributes:
  action:
    description:
      - Has an action plugin of the same name, so that a part of it runs on the controller.
    support: full
  async:
    description:
      - Can be used with the C(async) keyword.
    support: none
"""
