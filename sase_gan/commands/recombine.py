"""`sase-gan recombine`: pictures of a model without training, bound to training pictures or to a photograph."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands.options import DeviceOption, samples_folder, tell_others


def recombine(
    source: Annotated[str, typer.Argument(help="Snapshot or run folder of a model without training.")],
    seeds: Annotated[str, typer.Option(help="Such as 0,1,4-6.")] = "0-15",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="MASK=NAME,NAME: where the picture MASK is white, these training pictures alone serve; may be "
            "repeated. A training picture is named by its file name or its number."
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="MASK=NAME,NAME: where MASK is white, these do not serve.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="NAME,NAME: the only training pictures that serve.")] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="A photograph to begin from; its middle is cut to fit.")
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="With --from: how much is drawn anew, 0 to 1. [default: 0.5; with --mask 1]"),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="With --from: white where it may change; elsewhere it stays.")
    ] = None,
    variety: Annotated[float | None, typer.Option(help="As of sample.")] = None,
    sources: Annotated[bool, typer.Option("--sources", help="As of sample.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the pictures. [default: recombined/ with a folder for each snapshot]"),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw without training, bound: regions from chosen training pictures, or variations of a photograph."""
    from sase_gan.api.sample import sample
    from sase_gan.places import try_folder

    control: dict[str, Any] = {
        "bound": [_masked(text) for text in only or ()],
        "barred": [_masked(text) for text in without or ()],
        "subset": [] if subset is None else subset.split(","),
        "picture": from_,
        "strength": strength,
        "mask": mask,
    }
    out = out or samples_folder(source, "recombined")
    try_folder(out)
    images = sample(source, seeds, control=control, variety=variety, sources=sources, device=device)
    images.save(out)
    tell_others(out, images.text.get("snapshot"))
    typer.echo(f"{len(images)} pictures of {images.model} in {out}")


def _masked(text: str) -> tuple[str, list[str]]:
    from sase_gan.errors import UsageError

    mask, equals, names = text.rpartition("=")
    if not (mask and equals and names):
        raise UsageError(
            f"{text!r} is not understood; write MASK=NAME or MASK=NAME,NAME, for example mouth.png=grin.png"
        )
    return mask, names.split(",")
