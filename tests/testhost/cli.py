# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import cache, checks, hosts, launch, places, recipe, web
from .network import Link
from .run import HostError


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="testhost", description="Test hosts: real systems to test on."
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="boot a host and print its inventory")
    up.add_argument("name", nargs="?", help="its name (the distribution's)")
    up.add_argument("--distribution", default="debian13", choices=sorted(recipe.DISTRIBUTIONS))
    down = commands.add_parser("down", help="end hosts and take away all that came with them")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="every host of this checkout")
    commands.add_parser("list", help="this checkout's hosts")
    shell = commands.add_parser("ssh", help="run a command in a host, or a shell")
    shell.add_argument("name")
    shell.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("requirements", help="install the system packages that are missing")
    trees = commands.add_parser("cache", help="make root trees and the guest ahead of time")
    trees.add_argument("distributions", nargs="*", default=["debian13"])
    serve = commands.add_parser("serve", help="serve a folder on the test network")
    serve.add_argument("directory", type=Path)
    return made


def main(arguments: Sequence[str]) -> int:
    # So that up takes back what it began when make or a shell ends it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        if arguments and arguments[0].startswith("_"):
            return _within(arguments[0], arguments[1:])
        return _command(parser().parse_args(arguments))
    except HostError as exc:
        say(f"testhost: {exc}")
        return 1
    except KeyboardInterrupt:
        return 130


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _within(verb: str, arguments: Sequence[str]) -> int:
    """What this program calls itself for, in namespaces."""
    if verb == "_build":
        kind, name, target = arguments
        recipe.build(kind, name, Path(target))
    elif verb == "_supervise":
        directory, slot, *binds = arguments
        launch.supervise(places.Host(Path(directory).name), Link(int(slot)), binds)
    return 0


def _command(given: argparse.Namespace) -> int:
    if given.command == "up":
        host = places.host(given.name or given.distribution)
        hosts.up(host, given.distribution, say)
        print(host.inventory.read_text(), end="")
    elif given.command == "down":
        chosen = places.hosts() if given.all else [places.host(name) for name in given.names]
        if not given.all and not chosen:
            raise HostError("say which hosts, or --all")
        for host in chosen:
            hosts.down(host)
    elif given.command == "list":
        for row in hosts.listing():
            print("{:<16} {:<10} {:<8} {}".format(*row))
    elif given.command == "ssh":
        hosts.enter(places.host(given.name), given.arguments)
    elif given.command == "requirements":
        checks.requirements(say)
    elif given.command == "cache":
        checks.requirements(say)
        for name in given.distributions:
            print(cache.host_image(name, say))
        print(cache.guest_tar(say))
    elif given.command == "serve":
        web.serve(given.directory.resolve())
    return 0
