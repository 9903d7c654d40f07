# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: images
short_description: Pull, import, clone, rename and remove many images of systemd at once
version_added: 0.1.0
description:
  - Does what M(nspawn.machined.image) does for any number of images in one call.
  - Independent images are made side by side; a clone waits for the image that it is cloned from.
  - All sources are looked at first. If one of them is missing, nothing is changed.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.action_plugin
attributes:
  check_mode:
    support: full
    details:
      - Asks the servers whether the files are there, and checks what would be verified before the
        download.
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts servers and files as far as O(images[].verify) says,
        and nothing in an image.
options:
  images:
    description:
      - The images, each with the arguments of M(nspawn.machined.image).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the image.
        type: str
        required: true
      class:
        description:
          - What the image is for. V(machine) is for systemd-nspawn, V(portable) for C(portablectl),
            V(sysext) extends C(/usr) and V(confext) extends C(/etc).
          - It is made in the directory where systemd looks for it, which is C(/var/lib/machines),
            C(/var/lib/portables), C(/var/lib/extensions) or C(/var/lib/confexts).
          - V(confext) needs systemd 254 or later, the others any that this collection works with.
            The C(--class) of C(importctl), which came with systemd 256, is not needed.
          - Each class has its own names. Where names stand alone, as in RV(plan), the class is
            before them, as in C(sysext/tools); a machine's name is by itself.
          - A new image is neither attached nor merged. That is done with C(portablectl attach),
            C(systemd-sysext refresh) or C(systemd-confext refresh).
        type: str
        choices: [machine, portable, sysext, confext]
        default: machine
      state:
        description:
          - Whether the image is to be there.
          - With V(absent) the image goes together with its C(.nspawn) file and the record of where
            it came from. An image that a machine runs from is not removed, nor one that is attached
            or merged.
        type: str
        choices: [present, absent]
        default: present
      url:
        description:
          - Where to pull the image from, with C(http), C(https) or C(file).
          - It may contain a user and a password, as in C(https://USER:WORD@HOST/PATH), which are
            sent to that server alone. What is shown and kept is the URL without them, and with
            C(?…) for its query, as links that are signed have their word there.
          - It is pulled when there is no image of this name. If there is one, the server is only
            asked whether its file has changed.
        type: str
      path:
        description:
          - The absolute path of a tar or raw image, or of a directory.
        type: path
      remote_src:
        description:
          - Whether O(images[].path) is on the host. Otherwise it is on the controller and is
            uploaded when it is needed.
        type: bool
        default: false
      clone_from:
        description:
          - The image to clone, of the same O(images[].class). The C(.nspawn) file of a machine is
            copied along.
          - The name that is written inside a system or configuration extension stays what it is.
          - It may be one that is made by the same call.
        type: str
      rename_from:
        description:
          - The present name of the image. Its C(.nspawn) file, unit drop-ins, enablement and record
            go along.
          - Nothing happens when there is an image of the new name already.
          - Only for O(images[].class=machine), as the others bear their name inside as well.
        type: str
      format:
        description:
          - What the source is. V(auto) goes by its name, and where that does not tell by its first
            bytes.
        type: str
        choices: [auto, tar, raw, directory]
        default: auto
      verify:
        description:
          - How to verify what is pulled from O(images[].url).
          - V(signature) wants a C(SHA256SUMS) file beside it with a detached signature
            (C(SHA256SUMS.gpg) or C(SHA256SUMS.asc)) by a key in C(/etc/systemd/import-pubring.gpg).
          - V(checksum) wants the C(SHA256SUMS) file alone, or O(images[].checksum). Over https the
            file verifies the image. Over plain http it shows damage and not tampering, which is
            warned of, and told as C(integrity) instead of C(verified).
          - V(none) takes what comes, with a warning.
          - The default is V(checksum) where O(images[].checksum) is given, otherwise V(signature).
        type: str
        choices: [signature, checksum, none]
      checksum:
        description:
          - What the file must have, as C(sha256:) and 64 hexadecimal digits. Of a compressed file,
            that of the file as it is served.
        type: str
      read_only:
        description:
          - Whether the image is to be read-only. Left as it is when not given.
        type: bool
      limit:
        description:
          - The most that the image may take on the disk, with K, M, G, T or P, or V(none).
          - Needs btrfs, and turns its quotas on, under which each further clone costs more than the
            one before. Left as it is when not given.
          - Only for O(images[].class=machine).
        type: str
      update:
        description:
          - Whether to replace the image, whole or not at all, when its source has changed.
            Settings, drop-ins, enablement, the limit and whether it is read-only stay.
          - Otherwise a changed source is told in RV(images[].drift) and a warning.
          - That the parent of a clone was replaced is told in RV(images[].drift) alone.
        type: bool
        default: false
      force:
        description:
          - With O(images[].update), whether to stop and start again the machine that runs from the
            image, and to replace an image of which nobody knows where it came from.
          - All extensions are merged anew when one that is merged is replaced. A portable service
            that is attached has to be detached first all the same.
        type: bool
        default: false
      _address:
        description:
          - The URL in full, which the action plugin takes out of O(images[].url). A playbook cannot
            give it.
        type: str
      _upload:
        description:
          - What the action plugin found on the controller. A playbook cannot give it.
        type: dict
      headers:
        description:
          - Headers for the server of O(images[].url), as C(Authorization) with a token. They go
            with each request to it, also for checksums and signatures, and never to another host,
            port or scheme that it redirects to. Over plain http everybody on the way can read them.
          - Whether they have changed is not noticed. They are neither logged, shown nor kept.
        type: dict
      least_rate:
        description:
          - How many bytes a second the server has to send at least, over each 60 seconds of waiting
            for it, with K, M, G, T or P, or V(none).
        type: str
        default: 1K
      timeout:
        description:
          - How many seconds making the image may take. So long may also take what is looked at
            before, which is the server's answer, its checksums and its signature.
        type: float
        default: 1800
  images_expected:
    description:
      - Images that earlier tasks of the same run make. In check mode, where those make nothing,
        they count as being there.
    type: list
    elements: str
    default: []
seealso:
  - module: nspawn.machined.image
  - module: nspawn.machined.image_info
"""

EXAMPLES = r"""
- name: An image and two clones of it
  nspawn.machined.images:
    images:
      - name: trixie
        url: https://images.example.org/debian/trixie.tar.xz
        read_only: true
      - name: web
        clone_from: trixie
      - name: db
        clone_from: trixie
        limit: 20G
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: always
  sample:
    - pull image trixie
    - clone image web
images:
  description: The images as they are now, in the order in which they were given.
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
    drift:
      description: Why the image is not what its source would give now. Nothing when it is.
      type: str
      returned: always
    image:
      description: The image as it is now. Nothing when there is none.
      type: dict
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
          description: How many bytes it takes. Nothing when unknown.
          type: int
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
                - How it was verified. V(signature) by a key of the host's ring, V(checksum) by what
                  the playbook gave or the server told over https, V(none) not at all.
              type: str
              returned: always
            integrity:
              description:
                - Whether the file was compared with a checksum. By itself, as with sums that came
                  over plain http, this shows damage and not tampering.
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
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": face.ARGUMENTS,
        "mutually_exclusive": [face.SOURCES],
    },
    "images_expected": {"type": "list", "elements": "str", "default": [], "no_log": False},
}


def main() -> t.NoReturn:
    face.converge_images(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
