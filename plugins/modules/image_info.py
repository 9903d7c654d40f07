# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: What systemd and the collection know of images
version_added: 0.1.0
description:
  - Returns one, several or all images of a host with their sizes, limits, times, operating systems,
    where they came from, and what was made from them.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.info_module
attributes:
  trust:
    details:
      - Needs root of the host. Trusts nothing in an image, and returns what it says as its
        own words.
options:
  name:
    description:
      - The names of the images. All of them when not given.
      - Names that no image has are left out of the result.
    type: list
    elements: str
  class:
    description:
      - Of which class the images are; see M(nspawn.machined.image).
    type: str
    choices: [machine, portable, sysext, confext]
    default: machine
seealso:
  - module: nspawn.machined.image
"""

EXAMPLES = r"""
- name: Look at all images
  nspawn.machined.image_info:
  register: all

- name: Name those that are not verified
  ansible.builtin.debug:
    msg: >-
      {{ all.images | rejectattr('provenance.verified', 'equalto', 'signature')
         | map(attribute='name') }}

- name: Look at one of them
  nspawn.machined.image_info:
    name: trixie

- name: Look at all system extensions
  nspawn.machined.image_info:
    class: sysext
"""

RETURN = r"""
images:
  description: The images, by name, or in the order in which the names were given.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the image.
      type: str
      returned: always
    class:
      description: What it is for - V(machine), V(portable), V(sysext) or V(confext).
      type: str
      returned: always
    type:
      description: What it is on the disk - V(directory), V(subvolume), V(raw) or V(block).
      type: str
      returned: always
    path:
      description: Where it lies.
      type: str
      returned: always
    read_only:
      description: Whether it is read-only.
      type: bool
      returned: always
    created:
      description: When it was created, in microseconds since 1970. V(0) when unknown.
      type: int
      returned: always
    modified:
      description: When it was changed, in microseconds since 1970. V(0) when unknown.
      type: int
      returned: always
    usage:
      description: How many bytes it takes. Nothing when unknown, as without btrfs quotas.
      type: int
      returned: always
    usage_exclusive:
      description: How many bytes of these no other image shares. Nothing when unknown.
      type: int
      returned: always
    limit:
      description: The most that it may take. Nothing when there is no limit.
      type: int
      returned: always
    limit_exclusive:
      description: The most that it may take without sharing. Nothing when there is no limit.
      type: int
      returned: always
    os:
      description:
        - The fields of its C(os-release) file, or of the C(extension-release) file of an extension.
          Empty when it has none that can be read, as in a raw image that is not of a machine.
      type: dict
      returned: always
      sample: {ID: debian, VERSION_ID: "13"}
    problem:
      description:
        - Why RV(images[].os) could not be read, where there is something else than a file. Nothing
          when it could.
      type: str
      returned: always
      sample: "web:/etc/os-release is a FIFO"
    machine:
      description: The machine that runs from it. Nothing when none does.
      type: str
      returned: always
    used:
      description: What keeps it from being removed. Nothing when nothing does.
      type: str
      returned: always
      sample: it is merged into /usr
    enabled:
      description: Whether its machine starts when the host boots.
      type: bool
      returned: always
    clones:
      description: The images that were cloned from it.
      type: list
      elements: str
      returned: always
    provenance:
      description: Where it came from. Nothing when that is unknown.
      type: dict
      returned: always
      contains:
        kind:
          description: V(url), V(path), V(upload), V(clone) or V(mkosi).
          type: str
          returned: always
        source:
          description: The URL, the path or the image that it was cloned from.
          type: str
          returned: always
        imported:
          description: When it was made, in seconds since 1970.
          type: float
          returned: always
        checksum:
          description: The checksum of the file as it came.
          type: str
          returned: always
        verified:
          description:
            - How it was verified. V(signature) by a key of the host's ring, V(checksum) by what the
              playbook gave or the server told over https, V(none) not at all.
          type: str
          returned: always
        integrity:
          description:
            - Whether the file was compared with a checksum. By itself, as with sums that came over
              plain http, this shows damage and not tampering.
          type: bool
          returned: always
        size:
          description: The size of the file as it came.
          type: int
          returned: always
        etag:
          description: The ETag that the server gave.
          type: str
          returned: always
        last_modified:
          description: When the server said the file was changed, or the time of the file.
          type: str
          returned: always
        digest:
          description: What the image was built from, if it was built on the host.
          type: str
          returned: always
        names:
          description: The names that the image had before.
          type: list
          elements: str
          returned: always
"""

import typing as t

from ..module_utils._images import face

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "list", "elements": "str", "no_log": False},
    "class": face.IMAGE_CLASS,
}


def main() -> t.NoReturn:
    face.tell(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
