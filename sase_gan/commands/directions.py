"""`sase-gan directions`: what a model's directions do, and directions of one's own, kept for `sample` and `film`."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import samples_folder


def directions(
    source: Annotated[
        str, typer.Argument(help="Snapshot folder, run folder (its chosen snapshot), or OWNER/NAME on the hub.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to. [default: directions/ with a folder for each snapshot]")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=64, help="Directions of each kind that are shown.")] = 6,
    start: Annotated[str, typer.Option(help="The picture that is moved along them.")] = "0",
    reach: Annotated[float, typer.Option(min=0.1, max=90, help="How far, to either side.")] = 3.0,
    save: Annotated[
        list[str] | None, typer.Option(help="NAME=f0: keep an own direction in NAME.direction; repeatable.")
    ] = None,
    before: Annotated[str | None, typer.Option(help="Pictures without something, as `sample` names them ...")] = None,
    after: Annotated[str | None, typer.Option(help="... and pictures with it: what leads there is kept,")] = None,
    name: Annotated[str | None, typer.Option(help="under this name.")] = None,
) -> None:
    """Show what a model's directions do, f0, f1 ... by factorisation and c0, c1 ... by components, and keep some.

    Then, for example: sase-gan sample MODEL --seeds 17+f0.150,17+FOLDER/smile.direction.-80
    """
    from sase_gan.api.directions import save_direction_between, save_directions, show_directions
    from sase_gan.errors import UsageError
    from sase_gan.places import try_folder

    if len({part is None for part in (before, after, name)}) > 1:
        raise UsageError("--before, --after and --name belong together; give all of them, or none")
    chosen = dict(_pair(text) for text in save or ())
    out = out or samples_folder(source, "directions")
    try_folder(out)
    for path in save_directions(source, chosen, out):
        typer.echo(f"kept {path}")
    if before and after and name:
        path, length = save_direction_between(source, before, after, name, out)
        typer.echo(f"kept {path}; {length:.2f} along it lead from the first pictures to the others")
    if not (chosen or name):
        names = [f"{kind}{number}" for kind in "fc" for number in range(count)]
        show_directions(source, names, out / "directions.png", start=start, reach=reach)
        typer.echo(f"{out / 'directions.png'}: a row each for {', '.join(names)}, from {-reach:g} to {reach:g}")


def _pair(text: str) -> tuple[str, str]:
    from sase_gan.errors import UsageError

    name, equals, own = text.partition("=")
    if not (name and equals and own):
        raise UsageError(f"{text!r} is not understood; write NAME=f0, for example smile=f0")
    return name, own
