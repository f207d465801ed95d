"""`sase-gan demo`: the whole way once, on the bundled faces."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.evaluate import evaluate_set
from sase_gan.commands.options import DeviceOption, ThreadsOption


def demo(
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [default: runs/emoji-faces-NUMBER]")] = None,
    kimg: Annotated[
        float | None, typer.Option(help="Thousands of images to learn from. [default: those of the preset demo]")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Train the bundled faces for a few minutes, draw samples, measure them, and say where to look."""
    from sase_gan.api.sample import sample
    from sase_gan.api.train import train
    from sase_gan.datasets.sources import bundled_data
    from sase_gan.evaluation.options import EvaluationOptions
    from sase_gan.runs.folder import RunFolder

    faces = bundled_data("emoji-faces")
    run = train(faces, preset="demo", out=out, kimg=kimg, device=device, threads=threads, report=typer.echo)
    if run.interrupted:
        raise typer.Exit(130)
    finished = RunFolder(run.folder).finished
    grid = sample(finished, range(64), device=device).save(run.folder / "samples")
    evaluation = run.folder / "evaluation"
    evaluate_set(EvaluationOptions(finished, out=evaluation, device=device))
    typer.echo(f"""
training pictures   {run.folder / "grids" / "reals.png"}
without training    {run.folder / "grids" / "instant.png"}
the network alone   {run.folder / "grids" / f"{run.snapshot.name}.png"}
finished samples    {grid}
report on these     {evaluation / "report.html"}""")
