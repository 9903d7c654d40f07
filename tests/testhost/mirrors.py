# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's archive as this machine's own apt configuration knows it.

Other people's repositories in that configuration do not count: what is used must call itself
Debian in its Release file.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
import typing as t
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import places
from .run import HostError, output, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FORMAT = "$(IDENTIFIER)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"

# apt's own settings that a download needs as much in a root tree as on the machine.
PASSED_ON = (
    "acquire::http::proxy",
    "acquire::https::proxy",
    "acquire::check-valid-until",
    "acquire::check-date",
)


class Source(t.NamedTuple):
    """One suite at one address."""

    uri: str
    suite: str

    @property
    def line(self) -> str:
        return f"deb [signed-by={KEYRING}] {self.uri} {self.suite} main"

    @property
    def deb822(self) -> str:
        return (
            f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\n"
            f"Components: main\nSigned-By: {KEYRING}\n"
        )


class Configured(t.NamedTuple):
    """Addresses in apt's configuration that may carry Debian, in its order."""

    archives: tuple[str, ...]
    security: tuple[str, ...]


def parse(indextargets: str) -> Configured:
    """Sort the main components of apt's index targets into archives and security archives."""
    archives: dict[str, None] = {}
    security: dict[str, None] = {}
    for line in indextargets.splitlines():
        identifier, uri, suite, component = (line.split("|") + [""] * 4)[:4]
        if identifier != "Packages" or component not in ("main", "updates/main"):
            continue
        is_security = suite.endswith(("-security", "/updates"))
        (security if is_security else archives)[uri.rstrip("/")] = None
    return Configured(tuple(archives), tuple(security))


def is_debian(release: str, suite: str) -> bool:
    """Whether a Release file is Debian's own, for the suite asked for."""
    fields = dict(line.split(": ", 1) for line in release.splitlines() if ": " in line)
    return fields.get("Origin") == "Debian" and suite in (
        fields.get("Codename"),
        fields.get("Suite"),
        f"{fields.get('Codename')}-security",
        f"{fields.get('Codename', '').removesuffix('-security')}-security",
    )


def choose(suite: str, configured: Configured, has: Callable[[Source], bool]) -> tuple[Source, ...]:
    """The suite itself, which must be there, and its updates and security suites where they are."""
    sources: list[Source] = []
    for name, uris in (
        (suite, configured.archives),
        (f"{suite}-updates", configured.archives),
        (f"{suite}-security", configured.security),
    ):
        found = next((Source(uri, name) for uri in uris if has(Source(uri, name))), None)
        if found:
            sources.append(found)
        elif name == suite:
            raise HostError(
                f"no archive in this machine's apt configuration has Debian's {suite} "
                f"(looked at: {', '.join(uris) or 'none'}); add one that has it"
            )
    return tuple(sources)


@functools.cache
def sources(suite: str) -> tuple[Source, ...]:
    """Working sources for a suite; asked of the mirrors once for each apt configuration."""
    # Without release information it also answers where nobody has run "apt-get update" yet.
    targets = output(["apt-get", "indextargets", "--no-release-info", "--format", FORMAT])
    configured = parse(targets)
    key = hashlib.sha256(repr((suite, configured)).encode()).hexdigest()[:12]
    remembered = places.CACHE / f"sources-{suite}-{key}.json"
    if not remembered.exists():
        chosen = choose(suite, configured, _has)
        remembered.parent.mkdir(parents=True, exist_ok=True)
        partial = remembered.with_suffix(".partial")
        partial.write_text(json.dumps(chosen))
        partial.rename(remembered)
    return tuple(Source(*entry) for entry in json.loads(remembered.read_text()))


def _has(source: Source) -> bool:
    """Ask with apt's own downloader, so that its proxies and certificates apply."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "Release"
        for name in ("InRelease", "Release"):
            url = f"{source.uri}/dists/{source.suite}/{name}"
            done = run(
                [
                    "/usr/lib/apt/apt-helper",
                    "-oAcquire::Retries=2",
                    "download-file",
                    url,
                    str(target),
                ],
                check=False,
            )
            if done.returncode == 0:
                return is_debian(target.read_text(errors="replace"), source.suite)
    return False


def parse_options(dump: str) -> tuple[str, ...]:
    """The settings of an apt-config dump that are passed on, as apt.conf lines."""
    return tuple(
        line
        for line in dump.splitlines()
        if line.split(" ", 1)[0].lower().startswith(PASSED_ON) and not line.endswith(' "";')
    )


def options() -> tuple[str, ...]:
    return parse_options(output(["apt-config", "dump"]))


def deb822(wanted: Iterable[Source]) -> str:
    return "\n".join(source.deb822 for source in wanted)


def lines(wanted: Sequence[Source]) -> list[str]:
    return [source.line for source in wanted]
