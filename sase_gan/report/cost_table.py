"""Cost against image size and batch: outcomes of a sweep as a Markdown table and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sase_gan.report.plots import Line, lines_svg, panels_svg

if TYPE_CHECKING:
    from sase_gan.hardware import Hardware
    from sase_gan.runs.speed_sweep import Outcome


def markdown(outcomes: Sequence[Outcome], hardware: Hardware) -> str:
    """Write a line a case; what could not be measured says why."""
    unit = hardware.unit
    lines = [f"| preset | px | batch | precision | {unit} a step | {unit} a picture | memory, GB |", "|" + " --- |" * 7]
    for outcome in outcomes:
        case, cost = outcome.case, outcome.cost
        start = f"| {case.preset} | {case.image_size} | {case.batch_size} | {case.precision} |"
        if cost is None:
            lines.append(f"{start} {outcome.problem} | | |")
            continue
        seconds = cost.work_per_step(hardware)
        own = f" {seconds:.3g} | {seconds / case.batch_size:.3g} | {cost.peak_memory_mb / 1000:.2f} |"
        lines.append(start + own)
    return "\n".join(lines) + "\n"


def plot(outcomes: Sequence[Outcome], hardware: Hardware) -> str:
    """Draw seconds a step and memory over the image size, a panel for each preset, a line for each of four batches."""
    unit, panels = hardware.unit, {}
    for preset in dict.fromkeys(outcome.case.preset for outcome in outcomes):
        points = [
            (outcome.case.batch_size, outcome.case.image_size, outcome.cost)
            for outcome in outcomes
            if outcome.case.preset == preset and outcome.cost is not None
        ]
        batches = sorted({batch for batch, _, _ in points})[:4]
        if not batches:
            continue
        for what in (f"{unit} a step", "memory, GB"):
            lines = []
            for batch, role in zip(batches, ("fake", "real", "third", "mark"), strict=False):
                own = [(side, cost) for size, side, cost in points if size == batch]
                values = [
                    cost.peak_memory_mb / 1000 if what.startswith("memory") else cost.work_per_step(hardware)
                    for _, cost in own
                ]
                lines.append(Line(f"batch {batch}", [side for side, _ in own], values, role=role))
            alt = f"{preset}: {what} against the image size"
            panels[f"{preset}: {what}"] = lines_svg(lines, alt=alt, x_label="image size, px")
    return panels_svg(panels)
