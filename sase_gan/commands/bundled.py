"""`sase-gan data bundled`: the sets of pictures that come with the program."""

from pathlib import Path
from typing import Annotated

import typer


def bundled(
    name: Annotated[str | None, typer.Argument(help="Of the set; without it all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to copy it to. [default: only say where it lies]")] = None,
) -> None:
    """Say where the bundled sets of pictures lie, or copy one, with its licence."""
    import shutil

    from sase_gan.datasets.sources import bundled_data, bundled_sets
    from sase_gan.errors import UsageError
    from sase_gan.places import try_folder

    if name is None:
        if out is not None:
            raise UsageError("--out was given without the name of a bundled set; name one: sase-gan data bundled NAME")
        for folder in bundled_sets():
            typer.echo(f"{folder.name:20}  {len(list(folder.glob('*.png'))):4} pictures  {folder}")
        return
    folder = bundled_data(name)
    if out is None:
        typer.echo(folder)
        return
    if out.exists():
        raise UsageError(f"{out} exists already; choose another --out")
    try_folder(out.resolve().parent)
    shutil.copytree(folder, out)
    typer.echo(f"{name} lies in {out}; look at it with: sase-gan data check {out}")
