# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send packets between machines, their host and a world outside, and tell which arrive.

packets.py serve NAME PORT      answer on TCP and UDP, with the name and who asks
packets.py ask KIND ADDRESS PORT    print the answer; nothing arrives: print "nothing"
packets.py table PLAN EXPECTED  all probes of a plan, side by side (both JSON); prints what came of
                                each. What is to arrive may take a while to: routes are new

Each runs in the network of who sends: of a machine (by its leader) or of the world (a namespace).
"""

from __future__ import annotations

import concurrent.futures
import json
import socket
import subprocess
import sys
import threading
import time
import typing as t

PATIENCE = 3.0
SETTLING = 20.0
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def serve(name: str, port: int) -> None:
    streams = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("", port))

    def answer() -> None:
        while True:
            _word, peer = datagrams.recvfrom(64)
            datagrams.sendto(told(name, peer[0]), peer)

    threading.Thread(target=answer, daemon=True).start()
    while True:
        stream, peer = streams.accept()
        with stream:
            stream.sendall(told(name, peer[0]))


def told(name: str, peer: str) -> bytes:
    return f"{name} sees {peer.removeprefix('::ffff:')}".encode()


def ask(kind: str, address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[kind]) as one:
        one.settimeout(PATIENCE)
        try:
            one.connect((address, port))
            if kind == "udp":
                one.send(b"?")
            return one.recv(256).decode().strip() or "an empty answer"
        except OSError:
            return "nothing"


def table(plan: dict[str, dict[str, list[t.Any]]], expected: dict[str, str]) -> dict[str, str]:
    """O(plan): by name what enters the sender's network, and what is asked there."""

    def one(name: str, probe: dict[str, list[t.Any]]) -> str:
        end = time.monotonic() + SETTLING
        while True:
            answer = asked(probe)
            if answer.startswith(expected.get(name, answer)) or time.monotonic() > end:
                return answer
            time.sleep(1)

    def asked(probe: dict[str, list[t.Any]]) -> str:
        words = [str(word) for word in probe["ask"]]
        argv = [*probe["enter"], sys.executable, __file__, "ask", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = {name: pool.submit(one, name, probe) for name, probe in plan.items()}
        return {name: answer.result() for name, answer in answers.items()}


def main() -> None:
    verb, *words = sys.argv[1:]
    if verb == "serve":
        serve(words[0], int(words[1]))
    elif verb == "ask":
        print(ask(words[0], words[1], int(words[2])))
    else:
        print(json.dumps(table(*map(json.loads, words))))


if __name__ == "__main__":
    main()
