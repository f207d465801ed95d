"""`sase-gan film`: a film from picture to picture, silent or in time with music."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import DeviceOption, ThreadsOption


def film(
    source: Annotated[
        str, typer.Argument(help="Snapshot folder, run folder (its chosen snapshot), or OWNER/NAME on the hub.")
    ],
    seeds: Annotated[
        str, typer.Option(help="The stations, two or more, by the names that `sample` takes, recipes of `invert` too.")
    ] = "0,5,12",
    out: Annotated[Path, typer.Option(help="The MP4 to write.")] = Path("film.mp4"),
    music: Annotated[
        Path | None, typer.Option(help="WAV or MP3: the film is as long, has its sound, and moves where it begins.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Of the film. [default: the music's, or the pace for each station]")
    ] = None,
    rate: Annotated[int, typer.Option(help="Frames a second, 1 to 120.")] = 25,
    side: Annotated[
        int | None, typer.Option(help="Of the frames in pixels, the shorter one. [default: the model's own]")
    ] = None,
    loop: Annotated[bool, typer.Option(help="Let the film end where it began, so that it can be repeated.")] = True,
    pace: Annotated[float, typer.Option(help="Seconds from station to station.")] = 2.0,
    strength: Annotated[
        float, typer.Option(help="0 to 1: the share of the way that the music moves; the rest is even.")
    ] = 0.8,
    truncation: Annotated[float, typer.Option(help="0 to 2; below 1 is more typical and less varied.")] = 1.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames drawn at once.")] = 8,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Film a walk from picture to picture, of any length at the same memory; with music in time with it."""
    from sase_gan.api.film import film as shoot
    from sase_gan.hardware import choose_hardware
    from sase_gan.places import try_file

    choose_hardware(device, threads=threads)
    try_file(out)
    done = shoot(
        source,
        seeds,
        out,
        music=music,
        seconds=seconds,
        frames_per_second=rate,
        side=side,
        loop=loop,
        pace=pace,
        strength=strength,
        truncation=truncation,
        batch_size=batch_size,
        device=device,
    )
    typer.echo(f"{done.frames} frames of {done.size[0]}x{done.size[1]} px, {done.seconds:.1f} s, in {done.path}")
