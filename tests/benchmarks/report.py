# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured, for people: a table, a plot, and the figures themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .measure import Sample

CASES = ("from nothing", "nothing to change", "one changed")
HALF_RUNNING = "nothing to change, half of them running"
ORDER = ("-", *CASES, HALF_RUNNING)


def table(samples: Sequence[Sample]) -> str:
    head = "machines | case | way | wall s | per machine ms | CPU s on the host | processes"
    rows = [
        f"| {head} | module MiB |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for sample in sorted(samples, key=lambda s: (s.count, ORDER.index(s.case))):
        each = f"{1000 * sample.wall / sample.count:.0f}" if sample.count else ""
        memory = f"{sample.memory / 1024:.0f}" if sample.memory else ""
        rows.append(
            f"| {sample.count or ''} | {sample.case} | {sample.way} | {sample.wall:.2f} | {each}"
            f" | {sample.cpu:.2f} | {sample.processes} | {memory} |"
        )
    return "\n".join(rows)


def budgets(samples: Sequence[Sample]) -> str:
    """The figures of the design's budgets, computed from the measured ones."""
    walls = {(s.way, s.case, s.count): s.wall for s in samples}
    empty = walls[("empty play", "-", 0)]
    lines = []
    for count in sorted({s.count for s in samples if s.count}):
        ours = {case: walls.get(("collection", case, count)) for case in CASES}
        script = walls.get(("script", "from nothing", count))
        tasks = walls.get(("tasks", "nothing to change", count))
        nothing, idle = ours["from nothing"], ours["nothing to change"]
        if nothing and script:
            lines.append(f"- {count} from nothing: {nothing / script:.2f} x the script")
        if idle:
            lines.append(f"- {count}, nothing to change: {idle - empty:.2f} s beyond an empty play")
        half = walls.get(("collection", HALF_RUNNING, count))
        if half:
            lines.append(
                f"- {count} declared, half of them running: {half - empty:.2f} s beyond an empty"
                " play"
            )
        if idle and tasks:
            lines.append(
                f"- {count}, nothing to change: {tasks / idle:.0f} x faster than task by task,"
                f" {(tasks - empty) / max(idle - empty, 1e-3):.0f} x beyond an empty play"
            )
    return "\n".join(lines)


def write(folder: Path, samples: Sequence[Sample], distribution: str, *, quotas: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(
        json.dumps([sample.as_dict() for sample in samples], indent=1) + "\n"
    )
    (folder / "results.md").write_text(
        f"# Machines at once on {distribution}, btrfs quotas {'on' if quotas else 'off'}\n\n"
        f"{table(samples)}\n\n{budgets(samples)}\n"
    )
    plot(folder / "results.png", samples)


def plot(path: Path, samples: Sequence[Sample]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(CASES), figsize=(5 * len(CASES), 4))
    for axis, case in zip(axes, CASES, strict=True):
        for way in dict.fromkeys(s.way for s in samples if s.count):
            points = sorted((s.count, s.wall) for s in samples if (s.way, s.case) == (way, case))
            axis.plot(*zip(*points, strict=True), marker="o", label=way)
        axis.set(title=case, xlabel="machines", ylabel="seconds", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
