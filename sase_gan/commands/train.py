"""`sase-gan train`: a folder of pictures, or one picture, in; a generator with its samples and figures out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands import options
from sase_gan.fits import FIT_HELP


def train(
    path: Annotated[Path | None, typer.Argument(help="Folder or zip of pictures, or one picture.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME-001.")] = None,
    preset: Annotated[str | None, typer.Option(help="Preset; default chosen from pictures and hardware.")] = None,
    config: options.ConfigOption = None,
    image_size: Annotated[
        str | None, typer.Option(help="32, 64, 128, 256, 512 or 1024 px, or WIDTHxHEIGHT such as 64x96.")
    ] = None,
    colours: options.ColoursOption = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Of a set: folders, each a class, or dataset.json as StyleGAN's tools write it. [default: none]"
        ),
    ] = None,
    max_size: Annotated[int | None, typer.Option(help="Longer side in px, for one picture.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Train for so many thousand images.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop after so many minutes, rates falling by then; one picture: fit into them."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step on each device.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Start from this snapshot, run or hub name.")
    ] = None,
    freeze: Annotated[
        int | None, typer.Option(help="With --from: so many first layers of the discriminator do not learn.")
    ] = None,
    rate_factor: Annotated[float | None, typer.Option(help="With --from: both learning rates times this.")] = None,
    publish_discriminator: Annotated[
        bool, typer.Option("--publish-discriminator", help="Beside each snapshot, for others to start from.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    fit: Annotated[str | None, typer.Option(help=f"{FIT_HELP} [default: the preset's]")] = None,
    background: options.BackgroundOption = None,
    holdout: options.HoldoutOption = None,
    settings: options.SettingsOption = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="[RUN]", help="Go on with this run folder; without a name, with the newest.")
    ] = None,
    device: options.DeviceOption = "auto",
    devices: Annotated[int, typer.Option(help="How many GPUs.")] = 1,
    precision: options.PrecisionOption = None,
    threads: options.ThreadsOption = None,
    weights_dir: options.WeightsDirOption = None,
    logger: Annotated[str | None, typer.Option(help="Besides metrics.csv: tensorboard or wandb.")] = None,
    figures: Annotated[bool, typer.Option(help="Measure quality and copying at snapshots.")] = True,
    dry_run: options.DryRunOption = False,
) -> None:
    """Train a generator on a folder of pictures, or on one picture."""
    from sase_gan.files import check_pictures_exist
    from sase_gan.runs.folder import open_run

    # What is not there is told before the imports that take seconds.
    if resume is not None and str(resume) != options.NEWEST:
        open_run(resume)
    if path is not None:
        check_pictures_exist(path.expanduser())
    from sase_gan.hardware import is_first_process
    from sase_gan.progress import surviving_streams
    from sase_gan.runs import train as training
    from sase_gan.runs.request import TrainRequest

    request = TrainRequest(
        path=path,
        out=out,
        preset=preset,
        config=config,
        settings=tuple(settings or ()),
        image_size=image_size,
        colours=colours,
        classes=classes,
        max_size=max_size,
        kimg=kimg,
        minutes=minutes,
        batch_size=batch_size,
        start=None if start is None else Path(start),
        freeze=freeze,
        rate_factor=rate_factor,
        publish_discriminator=publish_discriminator or None,
        seed=seed,
        fit=fit,
        background=background,
        holdout=holdout,
        resume=resume,
        device=device,
        devices=devices,
        precision=precision,
        threads=threads,
        weights_dir=weights_dir,
        logger=logger,
        figures=figures,
    )
    if dry_run:
        training.foretell(request, typer.echo)
        return
    can_be_asked = sys.stdin.isatty() and sys.stdout.isatty()
    with surviving_streams():
        result = training.train(request, typer.echo, typer.confirm if can_be_asked else None)
    # Lightning ends a run whose other processes end with an error.
    if result.interrupted and is_first_process():
        raise typer.Exit(130)
