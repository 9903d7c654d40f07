# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which name servers machines are told of, and which they could not reach.

Private to the collection. networkd ignores what it cannot read, and passes on what leads nowhere:
machines would be left without names, and nobody would say why.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .._core import files
from .._core.lines import lines_of
from .._core.plan import Failure

AUTO = "auto"
"""What the host itself uses, as far as machines can reach it."""
HOST = "_server_address"
"""networkd's word for the address that the host has on a machine's link."""
LINK_LOCAL = "_link_local"
"""The same in router advertisements."""

RESOLV_CONF = "/etc/resolv.conf"
# Who serves the host on a loopback address tells here whom it asks itself.
UPLINKS = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
SOCKETS = ("/proc/net/udp", "/proc/net/udp6")

Settings = t.Mapping[str, t.Mapping[str, t.Any]]

# The section that tells machines of servers, the version of IP, and the words it knows.
_PLACES: t.Mapping[str, tuple[int, frozenset[str]]] = {
    "DHCPServer": (4, frozenset({HOST, AUTO})),
    "IPv6SendRA": (6, frozenset({LINK_LOCAL, AUTO})),
}


def check(settings: Settings) -> None:
    """Refuse servers that networkd would not pass on, and those that no machine could reach."""
    for section, (version, words) in _PLACES.items():
        for server in _given(settings, section):
            if server not in words:
                _check_one(section, server, version)


def _given(settings: Settings, section: str) -> list[str]:
    given = settings.get(section, {}).get("DNS", [])
    return [str(item) for item in given] if isinstance(given, list) else str(given).split()


def _check_one(section: str, server: str, version: int) -> None:
    address = _address(server)
    if address is None or address.version != version:
        example = "192.0.2.53, or _server_address" if version == 4 else "2001:db8::53"
        how = "DHCP can hand out" if version == 4 else "router advertisements can tell"
        raise Failure(
            f"{section}/DNS: {server} is not an IPv{version} address, which is all that {how}."
            f" Right would be one such as {example}{' for the host itself' * (version == 4)}"
        )
    if not _is_reachable(address):
        raise Failure(
            f"{section}/DNS: {server} is a machine's own address when a machine asks it, and not"
            " the host's. Right would be auto for what the host uses itself, the address of a"
            " server in the network, or _server_address where the host answers on its links to"
            " machines (DNSStubListenerExtra= of systemd-resolved, and dns among the services of"
            " the firewall's zone)"
        )


def _address(text: str) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_reachable(address: t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]) -> bool:
    """By somebody else than the host."""
    return not (address.is_loopback or address.is_unspecified or address.is_link_local)


# --- auto -----------------------------------------------------------------------------------


def resolved(settings: Settings, look: t.Callable[[], list[str]]) -> Settings:
    """The settings with what auto stands for; O(look) gives the host's servers."""
    asked = [section for section in _PLACES if AUTO in _given(settings, section)]
    if not asked:
        return settings
    found = look()
    result = {section: dict(keys) for section, keys in settings.items()}
    for section in asked:
        version = _PLACES[section][0]
        servers = [one for one in _given(settings, section) if one != AUTO]
        servers += [one for one in found if _version(one) == version and one not in servers]
        if servers:
            result[section]["DNS"] = servers
        else:
            del result[section]["DNS"]
    return {section: keys for section, keys in result.items() if keys}


def _version(server: str) -> int:
    address = _address(server)
    return 4 if address is None else address.version


def of_host() -> list[str]:
    """What the host itself uses, as far as machines can reach it."""
    return chosen(
        files.read(RESOLV_CONF) or "",
        [files.read(path) or "" for path in UPLINKS],
        [files.read(path) or "" for path in SOCKETS],
    )


def chosen(own: str, uplinks: t.Iterable[str], sockets: t.Iterable[str]) -> list[str]:
    """From the host's resolv.conf, those of who serves it, and the kernel's lists of sockets."""
    servers = _servers(own)
    if not servers and _serves_all(sockets):
        servers = [HOST]
    if not servers:
        servers = next(filter(None, map(_servers, uplinks)), [])
    if servers:
        return servers
    raise Failure(
        f"auto: the host's name servers ({', '.join(_named(own)) or f'none in {RESOLV_CONF}'})"
        " are not ones that a machine could reach, and nobody tells which those ask. Name the"
        " servers that machines shall ask"
    )


def _servers(text: str) -> list[str]:
    found = []
    for server in _named(text):
        address = _address(server)
        if address is not None and _is_reachable(address):
            found.append(server)
    return list(dict.fromkeys(found))


def _named(text: str) -> list[str]:
    words = (line.split() for line in lines_of(text))
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]


def _serves_all(sockets: t.Iterable[str]) -> bool:
    """Somebody on the host answers on port 53 of all its IPv4 addresses."""
    for text in sockets:
        for line in lines_of(text)[1:]:
            local = line.split()[1]
            address, _colon, port = local.partition(":")
            if int(port, 16) == 53 and not int(address, 16):
                return True
    return False
