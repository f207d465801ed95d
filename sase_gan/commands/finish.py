"""`sase-gan finish`: pictures of a trained model drawn again out of patches of its training pictures."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import DeviceOption


def finish(
    source: Annotated[str, typer.Argument(help="Snapshot or run folder of a network that learned from a set.")],
    pictures: Annotated[
        Path | None,
        typer.Option(help="The training pictures. [default: where the run or the snapshot says that they are]"),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="0 to 1: how freely pictures are redrawn; near 0 all stays in its place. [default: chosen by figures]"
        ),
    ] = None,
    variety: Annotated[
        float | None,
        typer.Option(help="Above 1 smaller pieces serve, below 1 larger ones. [default: chosen by figures]"),
    ] = None,
    detail: Annotated[
        float | None,
        typer.Option(help="How many times the network's details count; at 1 more blurred patches serve. [default: 3]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new snapshot. [default: snapshots/finished of the run]")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Finish a trained model with patches: crisp pictures in the layouts that the network has learnt."""
    from sase_gan.api.finish import finish as finish_model

    done = finish_model(
        source, pictures, strength=strength, variety=variety, detail=detail, out=out, device=device, report=typer.echo
    )
    whose = "its training pictures" if done.own else "pictures that it did not learn from"
    typer.echo(
        f"{done.folder} draws out of patches of {done.pictures} pictures, {whose}, and contains them (strength "
        f"{done.way.strength:g}, variety {done.way.variety:g}); draw with: sase-gan sample {done.folder}"
    )
