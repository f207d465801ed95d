"""`sase-gan scenes`: one model for each picture of a folder, and their scores in one table."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands.options import (
    ColoursOption,
    ConfigOption,
    DeviceOption,
    SettingsOption,
    ThreadsOption,
    split_names,
)


def scenes(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for models, samples and scores.")] = Path("scenes"),
    preset: Annotated[str | None, typer.Option(help="instant, quick, standard or paper; default by hardware.")] = None,
    config: ConfigOption = None,
    max_size: Annotated[int | None, typer.Option(help="Longer side in px.")] = None,
    colours: ColoursOption = None,
    seed: Annotated[int | None, typer.Option(help="Of every run.")] = None,
    settings: SettingsOption = None,
    count: Annotated[int, typer.Option(min=2, help="Pictures drawn from each model and measured.")] = 50,
    metrics: Annotated[str | None, typer.Option(help="Only these figures, by commas; as in evaluate.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Train a model on every picture, draw from each, and score them: the same command goes on where it stopped."""
    from sase_gan.config import resolve
    from sase_gan.evaluation.options import EvaluationOptions, settle_figures
    from sase_gan.evaluation.pairs import run_pairs
    from sase_gan.hardware import choose_hardware
    from sase_gan.places import try_folder
    from sase_gan.runs.options import RunOptions
    from sase_gan.runs.presets import choose_one_shot_preset
    from sase_gan.runs.scenes import train_scenes
    from sase_gan.runs.tasks import TASKS, kind_of_preset

    try_folder(out)
    hardware = choose_hardware(device, threads=threads)
    preset = preset or choose_one_shot_preset(gpu=hardware.kind != "cpu")[0]
    kind = kind_of_preset(preset, "one_shot")
    own: dict[str, Any] = {"max_size": max_size, "colours": colours}
    if kind != "instant":
        own = {"pyramid": {"max_size": max_size}, "generator": {"colours": colours}}
    flags = {"seed": seed, **own}
    resolved = resolve(TASKS[kind].config_type, preset=preset, file=config, flags=flags, settings=settings, task=kind)
    scoring = EvaluationOptions(
        source=out / "samples",
        real=out / "real",
        out=out / "scores",
        metrics=split_names(metrics),
        device=device,
    )
    settle_figures(scoring)  # a misspelt figure is told now, not when all pictures are trained

    def progress(name: str, done: int, total: int) -> None:
        typer.echo(f"{done} of {total} pictures are finished" + (f"; now {name}" if name else ""))

    if not train_scenes(pictures, out, resolved, RunOptions(hardware), count=count, progress=progress):
        typer.echo("interrupted and saved; the same command goes on")
        raise typer.Exit(130)
    result = run_pairs(scoring)
    typer.echo((result.folder / "scenes.md").read_text())
    typer.echo(f"Table: {result.folder / 'scenes.md'}")
